/** Plain values that describe what is to be built. The configuration is parsed into them, renderers take them. */

/** What a node does. Every node is a manager or a worker of the Swarm, and may carry the other roles besides. */
export type Role = "manager" | "worker" | "storage" | "registry" | "edge";

/** Where nodes come from: guests of a VirtualBox host, physical machines, or hosts that already run Docker. */
export type PlatformKind = "virtualbox" | "metal" | "existing";

export type Distribution = "flatcar" | "fedora-coreos" | "coreos";

/** What user data is written in. */
export type UserDataFormat = "ignition" | "cloud-config";

/** An address with its prefix length, such as `10.0.2.0/24`. */
export type Cidr = string;

/** Proxies that nodes use for what lies outside, never for each other. */
export interface ProxyModel {
  readonly http?: string;
  readonly https?: string;
  /** Names, addresses and subnets reached directly, besides those the program adds itself. */
  readonly exclude: readonly string[];
}

export interface UserModel {
  readonly name: string;
  readonly groups: readonly string[];
  /** Public keys in OpenSSH's one-line form. */
  readonly sshAuthorizedKeys: readonly string[];
  /** As `openssl passwd` makes it; for console and sudo. Secret, and no part of `installHash`. */
  readonly passwordHash?: string;
}

/** A node's first network interface, as networkd is told about it. */
export interface InterfaceModel {
  /** Name such as `eth0`, or a MAC address. */
  readonly match: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway?: string;
  readonly dns: readonly string[];
  readonly domains: readonly string[];
  readonly mtu?: number;
  /** Metric of the default route by `gateway`; the distribution's by default. */
  readonly metric?: number;
}

/** A VLAN on a node's first network interface. */
export interface VlanModel {
  /** Name of its device, such as `v3000`. */
  readonly name: string;
  /** 1 to 4094. */
  readonly id: number;
  /** With its prefix length, such as `10.30.0.11/24`. */
  readonly address: Cidr;
  readonly gateway?: string;
  readonly metric?: number;
  readonly mtu?: number;
}

/** A further network interface. */
export interface NicModel {
  /** Name such as `eth1`, or a MAC address. */
  readonly match: string;
  /** With its prefix length; absent: by DHCP. */
  readonly address?: Cidr;
  readonly gateway?: string;
  /** Metric of the default route, by `gateway` or from DHCP. */
  readonly metric?: number;
  readonly mtu?: number;
}

/** What Container Linux (distribution coreos) had and its successors have not. */
export interface ContainerLinuxModel {
  readonly etcd2?: Etcd2Model;
  /** `metadata` as `key=value,…`. */
  readonly fleet?: { readonly publicIp: string; readonly metadata: string };
  /** `interface` by name or address; `network` is what containers get their addresses from. */
  readonly flannel?: { readonly interface: string; readonly network: Cidr };
  /** Docker's API on port 2375, where whoever reaches it is root. */
  readonly insecureDockerApi?: true;
  /** Registries that Docker asks without a certificate. */
  readonly insecureRegistries?: readonly string[];
}

export interface Etcd2Model {
  readonly discovery: string;
  readonly discoveryProxy?: string;
  readonly advertiseClientUrls: readonly string[];
  readonly initialAdvertisePeerUrls: readonly string[];
  readonly listenClientUrls: readonly string[];
  readonly listenPeerUrls: readonly string[];
}

/**
 * What a node is installed with. `installHash` covers what of it only an installation can set.
 */
export interface UserDataModel {
  readonly hostname: string;
  readonly distribution: Distribution;
  readonly users: readonly UserModel[];
  /** The node's SSH host key (ed25519), made by the program. */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
  readonly network: InterfaceModel;
  /** Absent where there are none, as is everything below: what is not used leaves `installHash` as it is. */
  readonly vlans?: readonly VlanModel[];
  readonly nics?: readonly NicModel[];
  readonly timeZone?: string;
  readonly updateStrategy: UpdateStrategy;
  /** Distribution coreos only. */
  readonly containerLinux?: ContainerLinuxModel;
}

export type UpdateStrategy = "off" | "reboot" | "etcd-lock";

/** What putting a changed file or unit in place takes. */
export type Apply =
  | { readonly action: "none" }
  | { readonly action: "reload" | "restart"; readonly unit: string }
  | { readonly action: "reboot" };

/** A file put on a node over SSH. */
export interface ManagedFile {
  readonly content: string;
  /** Permission bits, such as `0o644`. */
  readonly mode: number;
  /** `user:group`, `root:root` by default. */
  readonly owner?: string;
  readonly apply: Apply;
  /**
   * The file is the host's owner's too. `content` is a JSON object: its keys are set, the owner's other keys stay, and
   * what the owner had before comes back when the file leaves the part.
   */
  readonly shared?: true;
  /** All nodes have to agree on it: it comes on all of them at once, before the rest of its part comes node by node. */
  readonly agreed?: true;
}

/** A systemd unit of ours, or drop-ins for one that exists. */
export interface ManagedUnit {
  /** The unit's text; absent where only drop-ins or the enablement are ours. */
  readonly content?: string;
  /** Drop-in name (`10-proxy.conf`) to text. */
  readonly dropIns?: Readonly<Record<string, string>>;
  /** Enabled at boot and running now; `false` means disabled and stopped; absent leaves it alone. */
  readonly enabled?: boolean;
  /** What a changed text takes; a restart of the unit itself by default. */
  readonly apply?: Apply;
}

/** Files by absolute path and units by full name: one part of what stands on a node. */
export interface NodeFiles {
  readonly files: Readonly<Record<string, ManagedFile>>;
  readonly units: Readonly<Record<string, ManagedUnit>>;
}

/** What a user may do in the repositories whose name starts with `prefix` (`""`: all of them). */
export interface RightModel {
  /** A repository (`team/app`), or a prefix that ends in `/` (`team/`), or `""` for every repository. */
  readonly prefix: string;
  readonly access: "read" | "write";
}

export interface RegistryUserModel {
  readonly name: string;
  readonly rights: readonly RightModel[];
}
