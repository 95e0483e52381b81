import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import type { NetworkConfig } from "../../config/machine";
import { registryHost } from "../../config/models";
import type { EdgeConfig } from "../../config/services";
import type { NodeConfig } from "../../config/nodes";
import { isIpv4 } from "../../config/values";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { CoreOsNode } from "../machine/coreOsNode";
import type { Issuer } from "../pki";
import { fillIn } from "../placeholders";
import type { Registry } from "../registry/registry";
import type { ObjectStore } from "../storage/objectStore";
import { SwarmService } from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

/** Port of nginx in its container; above 1023, so that it needs no capability. */
const listenPort = 8443;
const folder = "/etc/nginx";

/** MiB. What clients send and what they are slow to read has a folder each: with one full, all else goes on. */
const memoryFolders = { "/tmp": 64, "/tmp/client_body": 256, "/tmp/proxy": 128 };

/** A connection to a host that died is given up in seconds, where it would wait for its read timeout. */
const deadPeerSysctls = {
  "net.ipv4.tcp_keepalive_time": "5",
  "net.ipv4.tcp_keepalive_intvl": "1",
  "net.ipv4.tcp_keepalive_probes": "3",
  "net.ipv4.tcp_retries2": "5",
};

export interface EdgeArgs {
  readonly swarm: Swarm;
  readonly edge: EdgeConfig;
  readonly network: NetworkConfig;
  readonly registry: Registry;
  readonly store: ObjectStore;
  readonly issuer: Issuer;
  /** `nginx` as Docker names it; `keepalived` as `docker run` on a node takes it. */
  readonly images: { readonly nginx: string; readonly keepalived: string };
  /** The edge nodes; the earlier one takes the address when both could. */
  readonly nodes: Readonly<Record<string, { readonly config: NodeConfig; readonly machine: CoreOsNode }>>;
  /** All nodes, those included. */
  readonly all: Readonly<Record<string, { readonly config: NodeConfig }>>;
}

/** The registry's front: nginx on every edge node, and one address that follows a healthy one. */
export class Edge extends pulumi.ComponentResource {
  /** `https://…`, what clients push to. */
  readonly url: string;
  readonly fingerprint: pulumi.Output<string>;
  readonly ready: pulumi.Resource[];
  /** keepalived by node. */
  readonly addresses: Readonly<Record<string, NodeFilesPart>>;

  constructor(name: string, args: EdgeArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:edge:Edge", name, {}, options);
    const { edge } = args;
    this.url = `https://${registryHost(edge)}`;
    const nginx = this.nginx(args);
    this.addresses = Object.fromEntries(
      Object.keys(args.nodes).map((node) => [node, this.keepalived(name, node, args, nginx)]),
    );
    this.ready = [nginx.converged, ...Object.values(this.addresses)];
    this.fingerprint = nginx.fingerprint;
    this.registerOutputs({ url: this.url });
  }

  private nginx(args: EdgeArgs): SwarmService {
    const { edge, registry } = args;
    const names = certificateNames(args);
    const leaf = args.issuer.issue("front", {
      commonName: edge.hostname ?? edge.vip,
      dnsNames: names.filter((name) => !isIpv4(name)),
      ipAddresses: names.filter(isIpv4),
    });
    const users = pulumi.all(Object.fromEntries(registry.users.map((user) => [user.name, user.bcryptHash])));
    const file = (name: string, content: pulumi.Input<string>) => ({ path: `${folder}/${name}`, content });
    // nginx does not run as root, and nothing else runs in its container.
    const secret = (name: string, content: pulumi.Input<string>) => ({
      ...file(name, content),
      secret: true,
      mode: 0o444,
    });
    return new SwarmService(
      "nginx",
      {
        swarm: args.swarm,
        // The first pull through the front should not meet registries that are still on their way.
        after: registry.ready,
        image: args.images.nginx,
        constraints: [placement.withRole("edge")],
        global: true,
        user: "nginx",
        command: render.nginxStart(`${folder}/nginx.conf`),
        files: {
          config: file(
            "nginx.conf",
            registry.previous.until.apply((until) => nginxConfig(args, until)),
          ),
          "rights-script": file("rights.js", render.rightsScript()),
          "pick-script": file(render.pickScriptName, render.pickScript(args.registry.backends)),
          rights: file(render.rightsDataName, render.renderRights(registry.users)),
          users: secret(
            "users.htpasswd",
            users.apply((hashes) => htpasswd(hashes) + render.unknownUserEntry),
          ),
          // Fronts change one after the other, and clients come to one that has the new passwords or to one that has not.
          "previous-users": secret("previous.htpasswd", registry.previous.previous.apply(htpasswd)),
          certificate: file("tls/front.pem", leaf.certificatePem),
          key: secret("tls/front.key", leaf.privateKeyPem),
        },
        tmpfs: memoryFolders,
        memoryMebibytes: edge.memoryMebibytes,
        sysctls: deadPeerSysctls,
        ports: [{ published: edge.port, target: listenPort }],
        healthcheck: {
          test: render.nginxHealthTest(listenPort),
          intervalSeconds: 5,
          timeoutSeconds: render.lookTimeoutSeconds,
        },
      },
      { parent: this },
    );
  }

  private keepalived(name: string, node: string, args: EdgeArgs, nginx: SwarmService): NodeFilesPart {
    const names = Object.keys(args.nodes);
    const own = args.nodes[node];
    if (!own) {
      throw new Error(`${node} is no edge node`);
    }
    const rendered = render.keepalivedFiles({
      node,
      image: args.images.keepalived,
      interface: own.config.interface,
      address: own.config.address,
      vip: args.edge.vip,
      peers: addressesBut(node, args.nodes),
      others: addressesBut(node, args.all),
      priority: 200 - names.indexOf(node),
      virtualRouterId: args.edge.virtualRouterId,
      port: args.edge.port,
    });
    return new NodeFilesPart(
      `${name}-keepalived-${node}`,
      {
        connection: own.machine.connection,
        part: "edge",
        installation: own.machine.installation,
        ...fillIn(rendered, {}),
      },
      // An address that leads to no nginx would be taken away again at once.
      { parent: this, dependsOn: args.swarm.before(node, [nginx.converged]) },
    );
  }
}

function addressesBut(node: string, nodes: EdgeArgs["all"]): string[] {
  const others = Object.entries(nodes).filter(([name]) => name !== node);
  return others.map(([, { config }]) => config.address);
}

function certificateNames({ edge, nodes }: EdgeArgs): string[] {
  const all = [
    ...(edge.hostname ? [edge.hostname] : []),
    edge.vip,
    ...edge.alternativeNames,
    ...Object.values(nodes).map(({ config }) => config.address),
  ];
  return [...new Set(all)];
}

/** Docker takes no empty secret. */
function htpasswd(hashes: Readonly<Record<string, string>>): string {
  const entries = Object.entries(hashes).map(([user, hash]) => `${user}:${hash}\n`);
  return entries.length > 0 ? entries.join("") : "# none\n";
}

/** @param previousUntil by user, in seconds since 1970 */
function nginxConfig(args: EdgeArgs, previousUntil: Readonly<Record<string, number>>): string {
  const { edge, registry, store } = args;
  const addresses = Object.values(args.nodes).map(({ config }) => config.address);
  return render.renderNginx({
    registries: registry.backends,
    balancers: store.balancers,
    listenPort,
    serverNames: certificateNames(args),
    certificatePath: `${folder}/tls/front.pem`,
    keyPath: `${folder}/tls/front.key`,
    htpasswdPath: `${folder}/users.htpasswd`,
    previousHtpasswdPath: `${folder}/previous.htpasswd`,
    previousUntil,
    fronts: addresses.map((address) => `${address}:${edge.port}`),
    rightsPath: `${folder}/rights.js`,
    // A node that cannot reach a registry asks its neighbours whether they can, and fronts ask each other.
    healthFrom: addresses,
    proxyTimeoutSeconds: edge.proxyTimeoutSeconds,
    connectionsPerAddress: edge.limits.connections,
    writesPerUser: edge.limits.writesPerUser,
    requestsPerSecond: edge.limits.requestsPerSecond,
    largestLayerGibibytes: edge.limits.layerGibibytes,
  });
}
