import * as crypto from "node:crypto";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { overlayMtuOption } from "@moorage/render";
import type { NetworkConfig, SwarmConfig } from "../../config/machine";
import type { NodeConfig } from "../../config/nodes";
import { underlayMtu } from "../../config/underlay";
import { firstAddress } from "../../config/values";
import { stackReference } from "../../providers/stack";
import { SwarmMember } from "../../providers/swarmMember";
import { freeName } from "../../providers/recorded";
import type { ConnectionArgs } from "../machine/access";
import type { CoreOsNode } from "../machine/coreOsNode";
import { managersFirst, type ReinstallationRow } from "../machine/row";
import { labelText, stackLabel } from "./label";

/** Labels of ours on nodes, which services are placed by. */
export const placement = {
  /** Keeps a service on the one node of this name. */
  onNode: (name: string) => `node.labels.moorage.node==${name}`,
  withRole: (role: string) => `node.labels.moorage.${role}==true`,
};

/**
 * The overlay's VXLAN number. Left to itself Docker picks one and adds it to the network's options, where the
 * provider takes it for a change that replaces the network. Docker's own choices start at 4096.
 */
const vxlanOption = "com.docker.network.driver.overlay.vxlanid_list";
const vxlanId = "8020";

export interface SwarmArgs {
  readonly nodes: Readonly<Record<string, { readonly config: NodeConfig; readonly machine: CoreOsNode }>>;
  readonly network: NetworkConfig;
  readonly swarm: SwarmConfig;
  readonly row: ReinstallationRow;
}

/** Docker Swarm over the given nodes, with one overlay network for all services. */
export class Swarm extends pulumi.ComponentResource {
  /** Id of the overlay network `services`. */
  readonly networkId: pulumi.Output<string>;
  /** Docker's provider, which reaches whichever manager answers. */
  readonly provider: docker.Provider;
  /** Every manager, in the order of their names. */
  readonly managers: ConnectionArgs[];
  /** Known once all nodes are members. */
  readonly joined: pulumi.Output<string[]>;
  /** What services depend on: every node a member, and the network there. */
  readonly ready: pulumi.Resource[];
  /** By node. */
  readonly members: Readonly<Record<string, SwarmMember>>;
  private readonly row: ReinstallationRow;

  constructor(name: string, args: SwarmArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:swarm:Swarm", name, {}, options);
    const managers = Object.values(args.nodes).filter(({ config }) => config.roles.includes("manager"));
    this.managers = managers.map(({ machine }) => machine.connection);
    this.row = args.row;
    this.members = this.join(name, args);
    const members = Object.values(this.members);
    this.provider = dockerProvider(
      `${name}-docker`,
      managers.map(({ config }) => config),
      this,
    );
    this.joined = pulumi.all(members.map((member) => member.nodeId));
    const { subnet } = args.network.overlay;
    const network = new docker.Network(
      `${name}-services`,
      {
        name: freeName("networks", "services", labelText(), this.joined),
        driver: "overlay",
        // Docker's own choices, said here so that a refresh finds nothing new.
        ipamConfigs: [{ subnet, gateway: firstAddress(subnet), auxAddress: {} }],
        labels: [stackLabel()],
        options: overlayOptions(args),
      },
      {
        parent: this,
        provider: this.provider,
        // An overlay network can be made by a manager of a Swarm only.
        dependsOn: members,
      },
    );
    this.networkId = network.id;
    this.ready = [...members, network];
    this.registerOutputs({ networkId: this.networkId });
  }

  /**
   * What comes before something on one node that is no service: `usual`; where the node is reinstalled its membership
   * alone, as all the others are there, or follow.
   */
  before(node: string, usual: pulumi.Resource[]): pulumi.Output<pulumi.Resource[]> {
    const own = this.members[node];
    return this.row.has(node).apply((isReinstalled) => (isReinstalled && own ? [own] : usual));
  }

  private join(name: string, args: SwarmArgs): Record<string, SwarmMember> {
    const members: Record<string, SwarmMember> = {};
    let founder: SwarmMember | undefined;
    const configs = Object.fromEntries(
      Object.entries(args.nodes).map(([node, { config }]) => [node, config]),
    );
    for (const node of managersFirst(configs)) {
      const own = args.nodes[node];
      if (!own) continue;
      const { config, machine } = own;
      const advertiseAddr = config.advertiseAddr ?? config.address;
      const member = new SwarmMember(
        `${name}-${node}`,
        {
          connection: machine.connection,
          node,
          role: config.roles.includes("manager") ? "manager" : "worker",
          labels: nodeLabels(node, config),
          advertiseAddr,
          dataPathAddr: config.dataPathAddr ?? advertiseAddr,
          managers: this.managers,
          founder: founder === undefined,
          autolock: args.swarm.autolock,
          installation: machine.installation,
          store: machine.cluster.store,
        },
        // The founder's Swarm has to exist before others can join it; the others may join side by side.
        { parent: this, dependsOn: [...machine.ready, ...(founder ? [founder] : [])] },
      );
      members[node] = member;
      founder ??= member;
    }
    return members;
  }
}

function overlayOptions({ nodes, network }: SwarmArgs): Record<string, string> {
  const underlay = underlayMtu(
    network,
    Object.values(nodes).map(({ config }) => config),
  );
  return {
    [vxlanOption]: vxlanId,
    ...(network.overlay.encrypted ? { encrypted: "" } : {}),
    ...overlayMtuOption(underlay),
  };
}

function nodeLabels(name: string, config: NodeConfig): Record<string, string> {
  const roles = config.roles.filter((role) => role !== "manager" && role !== "worker");
  return {
    ...config.labels,
    "moorage.node": name,
    ...Object.fromEntries(roles.map((role) => [`moorage.${role}`, "true"])),
  };
}

/**
 * The provider's address comes from the configuration alone, so that previews know it. It names no host: the
 * command behind it finds the first manager that answers, and takes keys from the stack's own state.
 */
function dockerProvider(name: string, managers: NodeConfig[], parent: pulumi.Resource): docker.Provider {
  const stack = stackReference();
  const endpoints = managers.map((node) => `${node.ssh.host ?? node.address}:${node.ssh.port}`);
  const id = crypto
    .createHash("sha256")
    .update([stack, ...endpoints].join(" "))
    .digest("hex")
    .slice(0, 12);
  const options = [
    `ProxyCommand=node node_modules/@moorage/hosts/dist/bin/docker-proxy.js --stack ${stack}`,
    // The proxy shares its connections among all clients.
    "ControlMaster=no",
    "ControlPath=none",
    // The other end of this connection is a local pipe; the proxy itself checks each manager's host key.
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
  ];
  return new docker.Provider(
    name,
    { host: `ssh://moorage@swarm-${id}`, sshOpts: options.flatMap((option) => ["-o", option]) },
    { parent },
  );
}
