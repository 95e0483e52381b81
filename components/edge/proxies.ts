import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import type { EdgeConfig } from "../../config/services";
import { isIpv4 } from "../../config/values";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { FleetNode } from "../machine/fleet";
import { nodesWithRole, type Nodes } from "../nodes";
import type { Issuer } from "../pki";
import { fillIn } from "../placeholders";
import { serviceOf as registryService } from "../registry/registry";
import type { RegistryUsers } from "../registry/users";
import { storageServiceOf } from "../storage/objectStore";
import { SwarmService } from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

/** Of an HAProxy with all of its 4,096 connections in use. */
const haproxyMebibytes = 256;

export interface ProxiesArgs {
  readonly swarm: Swarm;
  readonly edge: EdgeConfig;
  readonly users: RegistryUsers;
  readonly passwordGraceMinutes: number;
  readonly issuer: Issuer;
  /** HAProxy's, as Docker names it. */
  readonly image: string;
  /** All nodes. */
  readonly nodes: Nodes;
}

/**
 * HAProxy on every edge and registry node, and the configuration of HAProxy and nginx as files there: users, rights,
 * certificates and limits change by a reload.
 */
export class Proxies extends pulumi.ComponentResource {
  /** The files, by node. */
  readonly files: Readonly<Record<string, NodeFilesPart>>;
  /** HAProxy's service, by node. */
  readonly services: Readonly<Record<string, SwarmService>>;
  readonly fingerprint: pulumi.Output<string>;

  constructor(name: string, args: ProxiesArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:edge:Proxies", name, {}, options);
    const nodes = { ...nodesWithRole(args.nodes, "edge"), ...nodesWithRole(args.nodes, "registry") };
    // In the order of all nodes: every node has to choose the same registry for a repository.
    const names = Object.keys(args.nodes).filter((node) => node in nodes);
    const values = placeholders(args);
    this.files = Object.fromEntries(names.map((node) => [node, this.part(name, node, args, names, values)]));
    this.services = this.haproxies(args, names);
    this.fingerprint = pulumi
      .all(Object.values(this.services).map((service) => service.fingerprint))
      .apply(String);
    this.registerOutputs({});
  }

  /** The S3 endpoint of a registry node. */
  endpointFor(node: string): string {
    return `http://${serviceOf(node)}:${render.haproxyPorts.registry}`;
  }

  private part(
    name: string,
    node: string,
    args: ProxiesArgs,
    haproxies: string[],
    values: Readonly<Record<string, pulumi.Output<string>>>,
  ): NodeFilesPart {
    const { machine, config } = args.nodes[node] as FleetNode;
    const isEdge = config.roles.includes("edge");
    const isStorage = config.roles.includes("storage");
    const ownFirst = [node, ...haproxies.filter((other) => other !== node)];
    const rendered = render.proxiesFiles({
      haproxy: {
        service: serviceOf(node),
        registries: Object.keys(nodesWithRole(args.nodes, "registry")).map(registryService),
        minio: Object.keys(nodesWithRole(args.nodes, "storage")).map(storageServiceOf),
        ownMinio: isStorage ? storageServiceOf(node) : undefined,
      },
      nginx: isEdge ? nginxArgs(args, ownFirst.map(serviceOf)) : undefined,
      passwordGraceMinutes: args.passwordGraceMinutes,
    });
    return new NodeFilesPart(
      `${name}-${node}`,
      {
        connection: machine.connection,
        part: "proxies",
        installation: machine.installation,
        // A node that is off must not keep a user from the others.
        deferIfUnreachable: true,
        ...fillIn(rendered, values),
      },
      // It asks Docker for the programs that are to load the files.
      { parent: this, dependsOn: machine.ready },
    );
  }

  /** One after the other: one that does not work stops those after it. */
  private haproxies(args: ProxiesArgs, names: string[]): Record<string, SwarmService> {
    const services: Record<string, SwarmService> = {};
    let previous: SwarmService | undefined;
    for (const node of names) {
      const file = this.files[node];
      previous = new SwarmService(
        serviceOf(node),
        {
          swarm: args.swarm,
          // Without its files it does not start.
          after: [...(file ? [file] : []), ...(previous ? [previous.converged] : [])],
          image: args.image,
          constraints: [placement.onNode(node)],
          hostname: serviceOf(node),
          user: render.proxyMounts.haproxy.user,
          command: render.haproxyCommand(render.proxyMounts.haproxy.current),
          binds: {
            [render.proxyMounts.haproxy.folder]: {
              source: render.proxyMounts.haproxy.folder,
              readOnly: true,
            },
          },
          tmpfs: { "/tmp": 16 },
          memoryMebibytes: haproxyMebibytes,
          healthcheck: {
            test: render.haproxyHealthTest(),
            intervalSeconds: 1,
            timeoutSeconds: render.lookTimeoutSeconds,
          },
        },
        { parent: this },
      );
      services[node] = previous;
    }
    return services;
  }
}

/** Stand for what only the state knows. */
const placeholder = { users: "@USERS@", certificate: "@CERTIFICATE@", key: "@KEY@" };

function nginxArgs(
  { edge, users, nodes }: ProxiesArgs,
  haproxies: string[],
): render.NginxArgs & { readonly service: string } {
  return {
    service: nginxService,
    haproxies,
    users: users.all.map(({ name, rights }) => ({ name, rights })),
    htpasswd: placeholder.users,
    certificate: placeholder.certificate,
    key: placeholder.key,
    // A node that cannot reach a registry asks its neighbours whether they can.
    neighbours: edgeAddresses(nodes),
    proxyTimeoutSeconds: edge.proxyTimeoutSeconds,
    cacheGibibytes: edge.cache.size,
    limits: edge.limits,
  };
}

function placeholders({ edge, users, issuer, nodes }: ProxiesArgs) {
  const given = [...(edge.hostname ? [edge.hostname] : []), edge.vip, ...edge.alternativeNames];
  const names = [...new Set([...given, ...edgeAddresses(nodes)])];
  const leaf = issuer.issue("front", {
    commonName: edge.hostname ?? edge.vip,
    dnsNames: names.filter((name) => !isIpv4(name)),
    ipAddresses: names.filter(isIpv4),
  });
  return {
    [placeholder.users]: users.hashes.apply(render.htpasswd),
    [placeholder.certificate]: leaf.certificatePem,
    [placeholder.key]: leaf.privateKeyPem,
  };
}

const edgeAddresses = (nodes: Nodes): string[] =>
  Object.values(nodesWithRole(nodes, "edge")).map(({ config }) => config.address);

/** The Swarm service that is nginx. */
export const nginxService = "nginx";

/** The Swarm service that is HAProxy on a node. */
function serviceOf(node: string): string {
  return `haproxy-${node}`;
}
