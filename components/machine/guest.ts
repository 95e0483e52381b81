import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import type { Cluster, InstalledGuest, ReinstallableGuest } from "@moorage/hosts";
import type { HypervisorConfig } from "../../config/hypervisor";
import { interfaceModel } from "../../config/models";
import type { NodeConfig } from "../../config/nodes";
import type { StackConfig } from "../../config/stack";
import { Guest as Machine } from "../../providers/guest";
import type { ArgsOf } from "../../providers/inputs";
import { stackReference } from "../../providers/stack";
import type { Identity, NodeAccess } from "./access";
import type { VirtualBoxNetwork } from "./virtualBoxNetwork";

/** The installed disk comes first, so that the installer in the drive is booted from only while that is empty. */
const bootOrder = "disk,dvd";
const mebibytes = 1024;

export interface GuestArgs {
  readonly node: NodeConfig;
  readonly config: StackConfig;
  readonly access?: NodeAccess;
  readonly network: VirtualBoxNetwork;
  readonly identity?: Identity;
  /** What the node is taken out of for a power cycle. */
  readonly cluster: ArgsOf<Cluster>;
}

/** The VirtualBox guest that is one node's machine; it boots the live installer until its disk is installed. */
export class Guest extends pulumi.ComponentResource {
  readonly machine: Machine;
  /** For the installation, which takes the installer's drives out, or puts them in again. */
  readonly installed: ArgsOf<InstalledGuest>;
  /** For the preflight, which sees to it that the guest can be reinstalled. */
  readonly reinstallable: ArgsOf<ReinstallableGuest>;

  constructor(name: string, args: GuestArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:Guest", name, {}, options);
    const { node, config, access, network } = args;
    if (!access?.installer) throw new Error(`${name} has no live installer`);
    const withPowerCycle = settingsOf(node, config.hypervisor);
    const { hypervisor, iso, isoSha256 } = network;
    const installer = {
      stack: stackReference(),
      iso,
      isoSha256,
      installerUserData: installerUserData(name, args, access),
      forward: network.forwardTo(name),
    };
    this.machine = new Machine(
      `${name}-guest`,
      {
        hypervisor,
        name,
        ...installer,
        network: network.name,
        withPowerCycle,
        keepDataDisk: config.hypervisor.keepDataDisks,
        installer: access.installer,
        target: access.connection,
        cluster: args.cluster,
      },
      // A guest does not start without its network, nor without the image in its drive.
      { parent: this, dependsOn: network.ready },
    );
    this.installed = {
      hypervisor,
      name,
      id: this.machine.id,
      again: { ...installer, systemDisk: withPowerCycle.systemDisk },
    };
    this.reinstallable = { hypervisor, name, stack: installer.stack, iso, isoSha256 };
    this.registerOutputs({});
  }
}

function settingsOf({ guest = {}, dataDisk }: NodeConfig, hypervisor: HypervisorConfig) {
  return {
    memory: guest.memory ?? hypervisor.memory,
    cpus: guest.cpus ?? hypervisor.cpus,
    nicType: hypervisor.nicType,
    ...(guest.mac && { mac: guest.mac.replaceAll(":", "").toUpperCase() }),
    usb: false,
    audio: false,
    boot: bootOrder,
    systemDisk: (guest.systemDisk ?? hypervisor.systemDisk) * mebibytes,
    ...(dataDisk && { dataDisk: (guest.dataDisk ?? hypervisor.dataDisk) * mebibytes }),
  };
}

function installerUserData(name: string, { node, config, identity }: GuestArgs, access: NodeAccess) {
  const key = access.installerHostKey;
  return pulumi.secret(
    pulumi
      .all([key?.privateKey ?? "", key?.publicKey ?? "", identity?.publicKey ?? ""])
      .apply(([privateKey, publicKey, authorizedKey]) =>
        render.renderInstallerUserData({
          hostname: name,
          sshAuthorizedKeys: [authorizedKey],
          hostKey: { privateKey, publicKey },
          network: interfaceModel(config, node),
        }),
      ),
  );
}
