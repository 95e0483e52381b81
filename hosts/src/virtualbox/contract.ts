/** Inputs and outputs of what is done on a VirtualBox host. Plain values: they pass through the state of a stack. */
import type { Cluster, Connection, InstallerProxies } from "../contract";

/** The machine VirtualBox runs on: this one, or one reached over SSH. */
export interface Hypervisor {
  /** Absent where it is this machine. */
  readonly connection?: Connection;
  /** Path of `VBoxManage`; looked for where VirtualBox's packages put it by default. */
  readonly vboxManage?: string;
  /** Folder of guests, disks and images; VirtualBox's own default machine folder by default. */
  readonly folder?: string;
}

// A NAT network with its port forwards.

/** A port of the hypervisor that leads to a guest. */
export interface PortForward {
  /** Address the hypervisor listens on; `0.0.0.0` is all of them. */
  readonly listen: string;
  readonly port: number;
  readonly address: string;
  readonly targetPort: number;
}

/** One forward of a network. */
export interface NamedForward {
  readonly network: string;
  readonly name: string;
  readonly to: PortForward;
}

export interface NatNetworkInputs {
  readonly hypervisor: Hypervisor;
  readonly name: string;
  /** `organization/project/stack`; marks what is ours. */
  readonly stack: string;
  /** Such as `10.0.2.0/24`; the gateway is its first address. */
  readonly subnet: string;
  /** Whether VirtualBox's DHCP server serves the network. */
  readonly dhcp: boolean;
  /** TCP forwards by name. */
  readonly forwards: Record<string, PortForward>;
  /**
   * By forward, the installed system that it leads to. One that still answers at its former address keeps its forward,
   * which follows when the guest boots its live installer. A change of them alone means nothing.
   */
  readonly systems?: Record<string, Connection>;
}
export type NatNetworkOutputs = NatNetworkInputs;

// An ISO image on the hypervisor.

export interface IsoImageInputs {
  readonly hypervisor: Hypervisor;
  /** May hold `{channel}` and `{version}`. Either this or `path`. */
  readonly url?: string;
  /** An image that is on the hypervisor already. */
  readonly path?: string;
  readonly channel?: string;
  /** Absent: the channel's version of the day, resolved once. */
  readonly version?: string;
  readonly sha256?: string;
  /** OpenPGP public key in armour; with it the signature beside the image (`.sig`) must be right. */
  readonly signingKey?: string;
  /** For the download. A change of them alone means nothing. */
  readonly proxies?: InstallerProxies;
  readonly timeoutSeconds: number;
}
export interface IsoImageOutputs extends IsoImageInputs {
  /** Where the image lies on the hypervisor. */
  readonly file: string;
  readonly resolvedVersion: string;
  /** Of the image as it was checked. */
  readonly fileSha256: string;
  /** What was checked, and what was not, in a sentence each. */
  readonly checked: string[];
}

// A guest.

/** What VirtualBox changes only while a guest is off. Named so that a preview says what a change of it costs. */
export interface PowerCycled {
  /** MB. */
  readonly memory: number;
  readonly cpus: number;
  /** Model of the network card, as VirtualBox names it. */
  readonly nicType: string;
  /** Twelve hexadecimal digits in capitals; VirtualBox makes one by default. */
  readonly mac?: string;
  readonly usb: boolean;
  readonly audio: boolean;
  /** Boot order, such as `disk,dvd`. */
  readonly boot: string;
  /** MB; grows only. */
  readonly systemDisk: number;
  /** MB; grows only. Absent: no data disk. */
  readonly dataDisk?: number;
  // What every guest of ours has alike is told where one has it otherwise: drift, which an update puts right.
  /** Whether it has an I/O APIC, which more than one CPU needs. */
  readonly ioapic?: false;
  /** Whether its clock has UTC. */
  readonly rtcUtc?: false;
  /** Another firmware than a BIOS, as VirtualBox names it. */
  readonly firmware?: string;
  /** How many of its two optical drives there are. */
  readonly opticalDrives?: number;
  /** Another type of guest than ours, in VirtualBox's words. */
  readonly osType?: string;
  /** Another kind of disk controller, as VirtualBox names it. */
  readonly controllerType?: string;
  /** Another number of its ports. */
  readonly controllerPorts?: number;
  /** Whether it is booted from. */
  readonly controllerBootable?: false;
}

export interface GuestInputs {
  readonly hypervisor: Hypervisor;
  readonly name: string;
  /** `organization/project/stack`; marks what is ours. */
  readonly stack: string;
  /** NAT network; changed while the guest runs. */
  readonly network: string;
  readonly withPowerCycle: PowerCycled;
  /** The data disk outlives the guest: it is found and attached by the next guest of this name. */
  readonly keepDataDisk: boolean;
  /** Path of the installer's ISO image on the hypervisor; in the drive until the system disk is installed. */
  readonly iso: string;
  /** Of the image as it was checked, and is before it is booted. A change of it alone means nothing. */
  readonly isoSha256?: string;
  /** User data of the live installer (secret), on a second optical drive until the system disk is installed. */
  readonly installerUserData: string;
  /** The way to both of its systems. */
  readonly forward?: NamedForward;
  /** The live installer, which a new guest boots; it is waited for. */
  readonly installer: Connection;
  /** The installed system; after a power cycle it is waited for. */
  readonly target: Connection;
  /** What the node is taken out of for a power cycle. A change of it alone means nothing. */
  readonly cluster?: Cluster;
}
export interface GuestOutputs extends GuestInputs {
  /** VirtualBox's id of the guest. */
  readonly uuid: string;
  /** Found on a guest that a change which was cut off has switched off: drift, so that an update starts it again. */
  readonly leftOff?: true;
  /** Found on a guest whose network cable is out: drift, so that an update puts it in again. */
  readonly cableConnected?: false;
  /** Found in the optical drives of an installed guest, where nothing belongs: drift, so that an update ejects it. */
  readonly inserted?: readonly string[];
}

/** The guest that an installation is to take the installer's drives out of, and to put them into again. */
export interface InstalledGuest {
  readonly hypervisor: Hypervisor;
  readonly name: string;
  /** Another id is another machine. */
  readonly id: string;
  /** What booting its live installer again takes. A change of it alone means nothing. */
  readonly again?: Pick<ReinstallableGuest, "stack" | "iso" | "isoSha256"> & {
    readonly installerUserData: string;
    readonly forward?: NamedForward;
    /** MB. */
    readonly systemDisk: number;
  };
}

/** A guest that boots its live installer again only where it is ours, and the installer's image is what it was. */
export interface ReinstallableGuest extends Pick<GuestInputs, "hypervisor" | "name" | "stack" | "iso"> {
  /** Of the image as it was checked; absent where nothing says what it has to be. */
  readonly isoSha256?: string;
}
