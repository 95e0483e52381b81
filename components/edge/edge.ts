import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import { registryHost } from "../../config/models";
import type { EdgeConfig } from "../../config/services";
import { NodeFilesPart } from "../../providers/nodeFiles";
import { nodesWithRole, type Nodes } from "../nodes";
import { fillIn } from "../placeholders";
import type { Registry } from "../registry/registry";
import { SwarmService } from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";
import { nginxService, type Proxies } from "./proxies";

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
  readonly proxies: Proxies;
  readonly registry: Registry;
  /** `nginx` as Docker names it; `keepalived` as `docker run` on a node takes it. */
  readonly images: { readonly nginx: string; readonly keepalived: string };
  /** All nodes. Of the edge nodes the earlier one takes the address when both could. */
  readonly nodes: Nodes;
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
      Object.keys(nodesWithRole(args.nodes, "edge")).map((node) => [
        node,
        this.keepalived(name, node, args, nginx),
      ]),
    );
    this.ready = [nginx.converged, ...Object.values(this.addresses)];
    this.fingerprint = nginx.fingerprint;
    this.registerOutputs({ url: this.url });
  }

  /** Without its files it does not start; and the first pull should not meet registries that are still on their way. */
  private nginx({ swarm, edge, proxies, registry, images }: EdgeArgs): SwarmService {
    const { folder, current, user } = render.proxyMounts.nginx;
    return new SwarmService(
      nginxService,
      {
        swarm,
        after: [...Object.values(proxies.files), ...registry.ready],
        image: images.nginx,
        constraints: [placement.withRole("edge")],
        global: true,
        user,
        command: ["/bin/sh", `${current}/start.sh`],
        binds: {
          [folder]: { source: folder, readOnly: true },
          [render.contentCache.container]: { source: render.contentCache.node },
        },
        tmpfs: memoryFolders,
        memoryMebibytes: edge.memoryMebibytes,
        sysctls: deadPeerSysctls,
        ports: [{ published: edge.port, target: render.nginxPort }],
        healthcheck: {
          test: render.nginxHealthTest(current),
          intervalSeconds: 5,
          timeoutSeconds: render.lookTimeoutSeconds,
        },
      },
      { parent: this },
    );
  }

  private keepalived(name: string, node: string, args: EdgeArgs, nginx: SwarmService): NodeFilesPart {
    const edgeNodes = nodesWithRole(args.nodes, "edge");
    const own = edgeNodes[node];
    if (!own) {
      throw new Error(`${node} is no edge node`);
    }
    const rendered = render.keepalivedFiles({
      node,
      image: args.images.keepalived,
      interface: own.config.interface,
      address: own.config.address,
      vip: args.edge.vip,
      peers: addressesBut(node, edgeNodes),
      others: addressesBut(node, args.nodes),
      priority: 200 - Object.keys(edgeNodes).indexOf(node),
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

function addressesBut(node: string, nodes: Nodes): string[] {
  const others = Object.entries(nodes).filter(([name]) => name !== node);
  return others.map(([, { config }]) => config.address);
}
