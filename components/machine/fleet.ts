import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import type { Role } from "@moorage/render";
import type { Cluster } from "@moorage/hosts";
import { hardwareOf, nodeOf, usersWithPassword } from "../../config/models";
import { formatOf } from "../../config/os";
import type { StackConfig } from "../../config/stack";
import { warningsOf } from "../../config/warnings";
import type { ArgsOf } from "../../providers/inputs";
import { Preflight } from "../../providers/preflight";
import { stackName } from "../../providers/stack";
import type { ResolvedImages } from "../images";
import type { CertificateAuthority } from "../pki";
import { type Identity, NodeAccess } from "./access";
import { storeOf } from "../storage/objectStore";
import { CoreOsNode, installHashOf } from "./coreOsNode";
import { Guest } from "./guest";
import { managersFirst, ReinstallationRow } from "./row";
import { UserPasswords } from "./userPasswords";
import { VirtualBoxNetwork, forwardsHost } from "./virtualBoxNetwork";

/** What Swarm, storage and front listen on between nodes. */
const swarmPorts = [2377, 7946, 4789];

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
  /** Of the nodes that are reinstalled. */
  readonly row: ReinstallationRow;
  /** The key to log in with; `undefined` where the operator's own is used. */
  readonly privateKey?: pulumi.Output<string>;
  /** Passwords of the nodes' users, by name; secret. */
  readonly passwords: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, args: FleetArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:Fleet", name, {}, options);
    const { config } = args;
    for (const warning of warningsOf(config)) void pulumi.log.warn(warning, this);
    const identity = this.identity(name, config);
    this.privateKey = identity?.privateKey;
    const passwords = this.userPasswords(name, config);
    this.passwords = passwords?.passwords ?? {};
    const forwards = config.platform === "virtualbox" ? forwardsHost(config.hypervisor) : undefined;
    const access = Object.fromEntries(
      Object.entries(config.nodes).map(([node, of]) => [
        node,
        new NodeAccess(node, { node: of, identity, forwards }, { parent: this }),
      ]),
    );
    const guests = config.platform === "virtualbox" ? this.guests(config, access, identity) : {};
    const preflight = this.preflight(name, args, access, identity, guests);
    this.row = new ReinstallationRow(managersFirst(config.nodes), preflight.row);
    this.nodes = Object.fromEntries(
      Object.entries(access).map(([node, reached]) => [
        node,
        this.node(
          node,
          {
            reached,
            identity,
            guest: guests[node],
            preflight,
            passwordHashes: passwords?.hashes ?? {},
            cluster: clusterOf(config, access),
          },
          args,
        ),
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
    const network = new VirtualBoxNetwork("virtualbox", { config, access }, { parent: this });
    return Object.fromEntries(
      Object.entries(config.nodes).map(([name, node]) => {
        const cluster = clusterOf(config, access);
        const args = { node, config, access: access[name], network, identity, cluster };
        return [name, new Guest(name, args, { parent: this })];
      }),
    );
  }

  private preflight(
    name: string,
    { config, images }: FleetArgs,
    access: Record<string, NodeAccess>,
    identity: Identity | undefined,
    guests: Readonly<Record<string, Guest>>,
  ): Preflight {
    const imageIds = Object.values(images.archives).map(({ imageId }) => imageId);
    const format = formatOf(config.os);
    const hosts = Object.entries(access).map(([node, reached]) => {
      const of = nodeOf(config, node);
      const host = {
        target: reached.connection,
        installer: reached.installer,
        installHash: installHashOf(node, { node: of, access: reached, config, identity }),
        address: of.address,
        ...hardwareOf(config, of),
        ...(config.platform !== "existing" && config.network.mtu && { mtu: config.network.mtu }),
        ports: portsOf(of, config),
        ...(guests[node] && { guest: guests[node].reinstallable }),
      };
      return [node, host];
    });
    return new Preflight(
      `${name}-preflight`,
      {
        hosts: Object.fromEntries(hosts),
        ...(config.platform !== "existing" && { stack: stackName() }),
        ...(config.os.image && { image: config.os.image }),
        // Left out where they are what they always were, so that no stack changes for them.
        ...(format === "cloud-config" && config.platform !== "existing" && { format }),
        ...(imageIds.length > 0 && { imageIds }),
        maximumClockSkew,
        timeoutSeconds: preflightSeconds,
      },
      // A guest that is not there yet answers nobody.
      { parent: this, dependsOn: Object.values(guests).map(({ machine }) => machine) },
    );
  }

  private userPasswords(name: string, config: StackConfig): UserPasswords | undefined {
    const users = usersWithPassword(config);
    if (users.length === 0) {
      return undefined;
    }
    const insecureMd5 = users.filter((user) => config.os.users[user]?.insecureMd5Password);
    return new UserPasswords(`${name}-user`, { users, insecureMd5 }, { parent: this });
  }

  private node(
    name: string,
    known: {
      readonly reached: NodeAccess;
      readonly identity: Identity | undefined;
      readonly guest: Guest | undefined;
      readonly preflight: Preflight;
      readonly passwordHashes: UserPasswords["hashes"];
      readonly cluster: ArgsOf<Cluster>;
    },
    { config, authority, images }: FleetArgs,
  ): FleetNode {
    const own = nodeOf(config, name);
    const machine = new CoreOsNode(
      name,
      {
        node: own,
        access: known.reached,
        after: [known.preflight],
        row: this.row,
        identity: known.identity,
        guest: known.guest,
        config,
        passwordHashes: known.passwordHashes,
        cluster: known.cluster,
        authority,
        archives: images.archives,
      },
      { parent: this },
    );
    return { config: own, machine };
  }
}

/** What a node is part of, by what the configuration says: known before anything exists. */
function clusterOf({ nodes }: StackConfig, access: Readonly<Record<string, NodeAccess>>): ArgsOf<Cluster> {
  const withRole = (role: Role) =>
    Object.entries(access).filter(([name]) => nodes[name]?.roles.includes(role));
  return {
    managers: withRole("manager").map(([, { connection }]) => connection),
    members: Object.keys(nodes),
    store: storeOf(Object.fromEntries(withRole("storage"))),
  };
}

/** What a node is to listen on, so that nothing else may. */
function portsOf({ roles }: StackConfig["nodes"][string], { edge, etcd }: StackConfig): number[] {
  return [
    ...swarmPorts,
    ...(roles.includes("edge") ? [edge.port] : []),
    ...(etcd.enabled && roles.includes("manager") ? [etcd.clientPort, etcd.peerPort] : []),
  ];
}
