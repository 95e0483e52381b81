import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import * as render from "@moorage/render";
import type { StackConfig } from "../../config/stack";
import { Preflight } from "../../providers/preflight";
import { registryHost } from "../edge/edge";
import type { ResolvedImages } from "../images";
import type { CertificateAuthority } from "../pki";
import { type Identity, NodeAccess } from "./access";
import { CoreOsNode } from "./coreOsNode";
import { Guest } from "./guest";
import { VirtualBoxNetwork, forwardsHost } from "./virtualBoxNetwork";

/** What Swarm, storage and front listen on between nodes. */
const swarmPorts = [2377, 7946, 4789];

/** Lowest Docker Engine that knows all that services here use. */
const minimumDocker = "20.10";
/** Seconds; storage refuses requests signed with a clock fifteen minutes off, certificates far less patience. */
const maximumClockSkew = 5;
const preflightSeconds = 60;

export interface FleetArgs {
  readonly config: StackConfig;
  readonly authority: CertificateAuthority;
  readonly images: ResolvedImages;
}

export interface FleetNode {
  readonly config: StackConfig["nodes"][string];
  readonly machine: CoreOsNode;
}

/** All nodes: first every host is looked at, then each is made what the configuration says. */
export class Fleet extends pulumi.ComponentResource {
  readonly nodes: Readonly<Record<string, FleetNode>>;
  /** The key to log in with; `undefined` where the operator's own is used. */
  readonly privateKey?: pulumi.Output<string>;

  constructor(name: string, args: FleetArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:Fleet", name, {}, options);
    const { config } = args;
    const identity = this.identity(name, config);
    this.privateKey = identity?.privateKey;
    const forwards = config.platform === "virtualbox" ? forwardsHost(config.hypervisor) : undefined;
    const access = Object.fromEntries(
      Object.entries(config.nodes).map(([node, of]) => [
        node,
        new NodeAccess(node, { node: of, identity, forwards }, { parent: this }),
      ]),
    );
    const guests = config.platform === "virtualbox" ? this.guests(config, access, identity) : {};
    const preflight = this.preflight(name, config, access, Object.values(guests));
    this.nodes = Object.fromEntries(
      Object.entries(access).map(([node, reached]) => [
        node,
        this.node(node, reached, identity, guests[node], preflight, args),
      ]),
    );
    this.registerOutputs({});
  }

  /** Hosts that already run are reached with their owner's key or agent. */
  private identity(name: string, config: StackConfig): Identity | undefined {
    if (config.platform === "existing") {
      return undefined;
    }
    const own = config.os.sshAuthorizedKey;
    if (own) {
      return { publicKey: pulumi.output(own) };
    }
    const key = new tls.PrivateKey(`${name}-login-key`, { algorithm: "ED25519" }, { parent: this });
    return {
      publicKey: key.publicKeyOpenssh.apply((text) => text.trim()),
      privateKey: key.privateKeyOpenssh,
    };
  }

  /** Guests are there, and answer, before any host is looked at. */
  private guests(
    config: StackConfig,
    access: Record<string, NodeAccess>,
    identity: Identity | undefined,
  ): Record<string, Guest> {
    const network = new VirtualBoxNetwork("virtualbox", { config }, { parent: this });
    return Object.fromEntries(
      Object.entries(config.nodes).map(([name, node]) => {
        const args = { node, config, access: access[name], network, identity };
        return [name, new Guest(name, args, { parent: this })];
      }),
    );
  }

  private preflight(
    name: string,
    config: StackConfig,
    access: Record<string, NodeAccess>,
    guests: Guest[],
  ): Preflight {
    const hosts = Object.entries(config.nodes).map(([node, of]) => [
      node,
      {
        target: access[node]?.connection,
        installer: access[node]?.installer,
        address: of.address,
        interface: of.interface,
        disk: of.disk,
        dataDisk: of.dataDisk,
        ports: [...swarmPorts, ...(of.roles.includes("edge") ? [config.edge.port] : [])],
      },
    ]);
    return new Preflight(
      `${name}-preflight`,
      {
        hosts: Object.fromEntries(hosts),
        minimumDocker,
        maximumClockSkew,
        timeoutSeconds: preflightSeconds,
      },
      // A guest that is not there yet answers nobody.
      { parent: this, dependsOn: guests.map((guest) => guest.machine) },
    );
  }

  private node(
    name: string,
    access: NodeAccess,
    identity: Identity | undefined,
    guest: Guest | undefined,
    preflight: Preflight,
    { config, authority, images }: FleetArgs,
  ): FleetNode {
    const own = config.nodes[name];
    if (!own) {
      throw new Error(`${name} is no node of this stack`);
    }
    const machine = new CoreOsNode(
      name,
      {
        node: own,
        access,
        after: [preflight],
        identity,
        guest,
        os: config.os,
        network: config.network,
        docker: config.swarm,
        mountPoint: config.storage.mountPoint,
        authority,
        registryNames: [...new Set([registryHost(config.edge), config.edge.vip])],
        noProxy: noProxyOf(config),
        archives: images.archives,
      },
      { parent: this },
    );
    return { config: own, machine };
  }
}

function noProxyOf(config: StackConfig): string[] {
  const { edge, network, nodes, os } = config;
  return render.computeNoProxy({
    nodes: Object.entries(nodes).map(([name, node]) => ({ name, address: node.address })),
    domains: network.domain ? [network.domain] : [],
    vip: edge.vip,
    serviceNames: edge.hostname ? [edge.hostname] : [],
    subnets: [network.subnet, network.overlay.subnet],
    exclude: os.proxies?.exclude ?? [],
  });
}
