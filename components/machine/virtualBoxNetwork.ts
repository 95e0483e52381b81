import * as os from "node:os";
import * as pulumi from "@pulumi/pulumi";
import type { Hypervisor, NamedForward, PortForward } from "@moorage/hosts";
import type { HypervisorConfig } from "../../config/hypervisor";
import type { EdgeConfig } from "../../config/services";
import { downloadProxies } from "../../config/models";
import { isDnsName, isIpv4 } from "../../config/values";
import type { StackConfig } from "../../config/stack";
import { IsoImage } from "../../providers/isoImage";
import { NatNetwork } from "../../providers/natNetwork";
import { stackReference } from "../../providers/stack";
import { secretWhereOther, withoutSecrets } from "../placeholders";
import type { NodeAccess } from "./access";

const localhost = "127.0.0.1";
const everywhere = "0.0.0.0";
/** Flatcar's live image, in every channel and version. */
const flatcarIso =
  "https://{channel}.release.flatcar-linux.net/amd64-usr/{version}/flatcar_production_iso_image.iso";
const fetchSeconds = 3600;

export interface VirtualBoxNetworkArgs {
  readonly config: StackConfig;
  /** By node. */
  readonly access: Readonly<Record<string, NodeAccess>>;
}

/** What guests need on their hypervisor: a NAT network with a forward to each, and the installer's image. */
export class VirtualBoxNetwork extends pulumi.ComponentResource {
  readonly name: string;
  readonly hypervisor: Hypervisor;
  private readonly forwards: Readonly<Record<string, PortForward>>;
  /** Path of the installer's image there. */
  readonly iso: pulumi.Output<string>;
  /** Of the image as it was checked; absent where its owner may put another one there. */
  readonly isoSha256?: pulumi.Output<string>;
  /** What has to be there before a guest is made. */
  readonly ready: pulumi.Resource[];

  constructor(name: string, args: VirtualBoxNetworkArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:VirtualBoxNetwork", name, {}, options);
    const { hypervisor, network, os } = args.config;
    this.name = hypervisor.network.name;
    this.hypervisor = hypervisorOf(hypervisor);
    this.forwards = forwardsOf(args.config);
    const nat = new NatNetwork(
      `${name}-network`,
      {
        hypervisor: this.hypervisor,
        name: this.name,
        stack: stackReference(),
        subnet: network.subnet,
        dhcp: hypervisor.network.dhcp,
        forwards: this.forwards,
        systems: Object.fromEntries(
          Object.entries(args.access).map(([node, { connection }]) => [forwardTo(node), connection]),
        ),
      },
      { parent: this },
    );
    const { url, path, channel, version, sha256, signingKey } = hypervisor.iso;
    const iso = new IsoImage(
      `${name}-iso`,
      {
        hypervisor: this.hypervisor,
        ...(path ? { path } : { url: url ?? flatcarIso }),
        channel: channel ?? os.channel,
        version: version ?? os.version,
        sha256,
        signingKey,
        ...secretWhereOther(downloadProxies(args.config), downloadProxies(withoutSecrets(args.config))),
        timeoutSeconds: fetchSeconds,
      },
      { parent: this },
    );
    this.iso = iso.file;
    if (path === undefined || sha256 !== undefined || signingKey !== undefined) {
      this.isoSha256 = iso.fileSha256;
    }
    this.ready = [nat, iso];
    this.registerOutputs({ name: this.name, iso: this.iso });
  }

  /** The way to a node. */
  forwardTo(node: string): NamedForward {
    const name = forwardTo(node);
    const to = this.forwards[name];
    if (!to) throw new Error(`${node} has no forward`);
    return { network: this.name, name, to };
  }
}

/** Name of the forward to a node's SSH server. */
const forwardTo = (node: string): string => `ssh-${node}`;

function hypervisorOf({ ssh, vboxManage, folder }: HypervisorConfig): Hypervisor {
  return {
    ...(ssh && {
      connection: {
        node: "hypervisor",
        host: ssh.host,
        port: ssh.port,
        user: ssh.user,
        hostKey: ssh.hostKey,
        identityFile: ssh.identityFile,
      },
    }),
    vboxManage,
    folder,
  };
}

const isLoopback = (host: string): boolean => host === "localhost" || host.startsWith("127.");

const isThisMachine = ({ ssh }: HypervisorConfig): boolean => ssh === undefined || isLoopback(ssh.host);

/** Where the forwards of a hypervisor are reached from here. */
export function forwardsHost(hypervisor: HypervisorConfig): string {
  return isThisMachine(hypervisor) ? localhost : (hypervisor.ssh?.host ?? localhost);
}

/**
 * The front as clients reach it: through the hypervisor's forward, by its name, by the one that its SSH has, or as this
 * machine.
 */
export function reachedThrough(
  { platform, hypervisor, edge }: StackConfig,
  thisMachine = os.hostname(),
): EdgeConfig {
  if (platform !== "virtualbox") return edge;
  const own = hypervisor.hostname ?? (letsOthersIn(hypervisor) ? thisMachine.toLowerCase() : "");
  const named = isDnsName(own) || isIpv4(own) ? [own] : [];
  const names = [...edge.alternativeNames, ...named, forwardsHost(hypervisor), "localhost", localhost];
  return { ...edge, alternativeNames: [...new Set(names)] };
}

/** Whether the forwards of this machine are reached by its name: at 127.0.0.1 they are not. */
function letsOthersIn(hypervisor: HypervisorConfig): boolean {
  return hypervisor.ssh === undefined && !isLoopback(listenOf(hypervisor));
}

function listenOf(hypervisor: HypervisorConfig): string {
  return hypervisor.network.listen ?? (isThisMachine(hypervisor) ? localhost : everywhere);
}

/** One forward to each node's SSH server, and one to the registry. */
function forwardsOf({ nodes, hypervisor, edge }: StackConfig): Record<string, PortForward> {
  const listen = listenOf(hypervisor);
  const forwards = Object.entries(nodes).map(([name, { address, ssh }]) => [
    forwardTo(name),
    { listen, port: ssh.port, address, targetPort: 22 },
  ]);
  const registry = { listen, port: hypervisor.registryPort, address: edge.vip, targetPort: edge.port };
  return Object.fromEntries([...forwards, ["registry", registry]]);
}
