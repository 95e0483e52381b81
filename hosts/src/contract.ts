/** Inputs and outputs of what is done on hosts. Plain values: they pass through the state of a stack. */
import type { ManagedFile, ManagedUnit } from "@moorage/render";
import type { InstalledGuest, ReinstallableGuest } from "./virtualbox/contract";

export type * from "./services/contract";

/**
 * How to reach a host over SSH. Host keys are pinned: a host that shows another one is refused.
 * The key to log in with is `privateKey`, else `identityFile`, else the agent at `SSH_AUTH_SOCK`.
 */
export interface Connection {
  /** The node's name, for messages. */
  readonly node: string;
  readonly host: string;
  /** @default 22 */
  readonly port: number;
  readonly user: string;
  /** Public host key in OpenSSH's one-line form, `ssh-ed25519 AAAA…`; absent means unknown, which is refused. */
  readonly hostKey?: string;
  /** Private key in OpenSSH's or PEM form (secret). */
  readonly privateKey?: string;
  /** Path of a private key on the operator's machine. */
  readonly identityFile?: string;
}

/** What every operation returns to its provider; `id` identifies the thing on later calls. */
export interface Created<Outputs> {
  readonly id: string;
  readonly outs: Outputs;
}

/** `undefined` from a `read` means that the host positively said: it is gone. */
export type ReadResult<Outputs> = Created<Outputs> | undefined;

/** What a changed input means. `replaces` names the keys that cannot be changed in place. */
export interface Diff {
  readonly changes: boolean;
  readonly replaces: string[];
  readonly changedKeys: string[];
  /** Set when something is replaced: both would claim the same thing on the host. */
  readonly deleteBeforeReplace?: boolean;
}

/** One dynamic resource's work. `diff` touches no network. */
export interface Operation<Inputs, Outputs> {
  create(inputs: Inputs): Promise<Created<Outputs>>;
  read(id: string, state: Outputs): Promise<ReadResult<Outputs>>;
  diff(state: Outputs, inputs: Inputs): Diff;
  update(id: string, state: Outputs, inputs: Inputs): Promise<Outputs>;
  delete(id: string, state: Outputs): Promise<void>;
}

// Preflight: all hosts looked at in one go, before anything is touched.

export interface PreflightHost {
  /** The installed system (or the host as it is, on platform `existing`). */
  readonly target: Connection;
  /** The live installer, on platforms that install; looked at while the installed system is not there. */
  readonly installer?: Connection;
  readonly address: string;
  readonly interface?: string;
  /** What the program sets the interface's MTU to; absent where it leaves it alone. */
  readonly mtu?: number;
  /** Further network interfaces, by name or MAC address, checked to exist. */
  readonly nics?: string[];
  /** Device path of the system disk, checked on the installer to exist and to be empty, or this node's own. */
  readonly disk?: string;
  /** Serial number of `disk` where what others left on it may be erased. */
  readonly erasableDisk?: string;
  /** Device path of the data disk, checked to exist and to be empty or this node's own. */
  readonly dataDisk?: string;
  /** Serial number of `dataDisk` where what others left on it may be erased. */
  readonly wipeDataDiskSerial?: string;
  /** Serial number of `dataDisk` where it may be mounted though it is another node's or stack's. */
  readonly adoptDiskSerial?: string;
  /** File system label of a data disk that is ours. @default "moorage-data" */
  readonly dataLabel?: string;
  /** Folder for objects where there is no data disk for them, checked to be there, and one that MinIO can use. */
  readonly dataDirectory?: string;
  /** TCP ports that must be free while the host is not part of our Swarm. */
  readonly ports: number[];
  /** Digest of what its installation sets; absent where the program does not install it. */
  readonly installHash?: string;
  /** The guest it is, where it is one, checked before it is reinstalled. A change of it alone means nothing. */
  readonly guest?: ReinstallableGuest;
}
export interface PreflightInputs {
  readonly hosts: Record<string, PreflightHost>;
  /** `project/stack`, by which system disks are known as ours. A change of it alone means nothing. */
  readonly stack?: string;
  /** Checked to be there where a host will be installed from it. */
  readonly image?: SystemImage;
  /** What user data is written in: another cloud-config is no reinstallation. @default "ignition" */
  readonly format?: "ignition" | "cloud-config";
  /** Ids of the images that come from archives: all that a system just installed has. */
  readonly imageIds?: string[];
  /** Seconds between the operator's clock and a host's that are still accepted. */
  readonly maximumClockSkew: number;
  /** MiB that must be free where Docker keeps its data, on hosts with an installed system, and in a folder for objects. @default 1024 */
  readonly minimumFreeMiB?: number;
  readonly timeoutSeconds: number;
}
export interface PreflightOutputs extends PreflightInputs {
  /** One line a host: what was found. */
  readonly findings: Record<string, string>;
  /** Names of the nodes whose installation has changed, now or in an earlier update: they go one after the other. */
  readonly row?: string[];
}

// Installation of one node from its live installer.

/** The system's image in a file on the operator's machine, with one checksum in hexadecimal. */
export interface SystemImage {
  /** Relative to the project's folder or absolute. */
  readonly path: string;
  readonly sha512?: string;
  readonly sha256?: string;
}

/** Proxies by the scheme of what is reached through them. */
export interface InstallerProxies {
  readonly http?: string;
  readonly https?: string;
  /** What is reached without one. */
  readonly none: string[];
}

export interface InstallationInputs {
  readonly node: string;
  /** `project/stack`, by which the system disk is known as the node's own. A change of it alone means nothing. */
  readonly stack?: string;
  readonly installer: Connection;
  readonly target: Connection;
  /** Rendered user data (secret: it holds the host's private key). */
  readonly userData: string;
  /** What the user data is written in. @default "ignition" */
  readonly format?: "ignition" | "cloud-config";
  /** Digest of what the installation sets; also in `/etc/moorage/install.json` of the installed system. */
  readonly installHash: string;
  readonly disk: string;
  readonly channel?: string;
  readonly version?: string;
  /** Absent: the installer fetches the image of `channel` and `version`. */
  readonly image?: SystemImage;
  /** Serial number of `disk` where what others left on it may be erased; absent: it has to be empty, or the node's own. */
  readonly erasableDisk?: string;
  /** For the installer's download. */
  readonly proxies?: InstallerProxies;
  readonly timeoutSeconds: number;
  /**
   * How long after the boot with another cloud-config SSH may take to return before the node goes back by itself. A change
   * of it alone means nothing. @default 60
   */
  readonly tryoutSeconds?: number;
  /** The guest that is installed, where it is one: the installer's drives are taken out of it, or put in again. */
  readonly guest?: InstalledGuest;
  /** What a node that serves is taken out of before it is reinstalled. A change of it alone means nothing. */
  readonly cluster?: Cluster;
}
export interface InstallationOutputs extends InstallationInputs {
  /** Boot id of the installed system's first boot, which is another than the live installer's. */
  readonly firstBootId: string;
}

/** `firstBootId` of the installation that lies below; with another one, what was put there is put there again. */
export type Installed = string;

// A node's data disk: formatted when blank, never when it holds anything else.

export interface DataDiskInputs {
  readonly connection: Connection;
  /** `project/stack`; with the node's name it is the owner that the disk is marked with. */
  readonly stack: string;
  readonly device: string;
  /** Serial number of `device` where what others left on it may be erased; absent: it has to be empty, or the node's own. */
  readonly wipeDataDiskSerial?: string;
  /** Serial number of `device` where it may be mounted, and marked anew, though it is another node's or stack's. */
  readonly adoptDiskSerial?: string;
  /** File system label, at most 12 characters (xfs). */
  readonly label: string;
  readonly mountPoint: string;
  /** Folders made on the mounted disk, relative to it. A service that binds one cannot start while the disk is not mounted. */
  readonly directories?: string[];
  readonly installation?: Installed;
}
export type DataDiskOutputs = DataDiskInputs;

/** Where MinIO is found. */
export interface Store {
  /** The first one sees to what drives have missed. */
  readonly storageNodes: readonly Connection[];
  /** The Swarm service that is MinIO on a node, by node. */
  readonly services: Readonly<Record<string, string>>;
}

/** What a node is part of, and is taken out of while a change stops what runs on it. */
export interface Cluster {
  /** Every manager, this node among them where it is one. */
  readonly managers: Connection[];
  /** MinIO, of which a change of this node takes a member away where it has one. */
  readonly store?: Store;
  /** Names of all nodes of the stack. */
  readonly members?: string[];
}

// A part of a node's files and units.

export interface NodeFilesInputs {
  readonly connection: Connection;
  /** Name of this part; two parts of a node never hold the same path. */
  readonly part: string;
  readonly files: Record<string, ManagedFile>;
  readonly units: Record<string, ManagedUnit>;
  /** Absent: members of a Swarm only take turns. A change of it alone changes nothing on the node. */
  readonly cluster?: Cluster;
  readonly installation?: Installed;
  /** If the node cannot be reached, an update leaves its files as they are, and the next one puts them there. @default false */
  readonly deferIfUnreachable?: boolean;
}
/** A unit as it was found: `partly` on is neither what was wanted nor its opposite, as enabled and yet stopped. */
export interface RecordedUnit extends Omit<ManagedUnit, "enabled"> {
  readonly enabled?: boolean | "partly";
}
export interface NodeFilesOutputs extends Omit<NodeFilesInputs, "units"> {
  readonly units: Record<string, RecordedUnit>;
  /** Found on a node that a change which was cut off has drained: drift, so that an update puts it back. */
  readonly outOfService?: true;
}

// A node's network, changed as the node runs.

export interface NodeNetworkInputs {
  readonly connection: Connection;
  /** Who reads the files. */
  readonly service: "systemd-networkd" | "NetworkManager";
  /** All of the node's network, by absolute path. */
  readonly files: Record<string, ManagedFile>;
  /** Absent: it is changed at once. A change of it alone changes nothing on the node. */
  readonly cluster?: Cluster;
  /** How long after a change SSH may take to return before the node goes back by itself. As `cluster`. */
  readonly tryoutSeconds: number;
}
export type NodeNetworkOutputs = NodeNetworkInputs;

// Images loaded on a node from archives on the operator's machine.

export interface ImageArchive {
  /** Path of a `docker save` archive, relative to the project's folder or absolute. */
  readonly archive: string;
  /** The id the image has once loaded, `sha256:…`. */
  readonly imageId: string;
}
export interface LoadedImagesInputs {
  readonly connection: Connection;
  readonly images: Record<string, ImageArchive>;
  readonly installation?: Installed;
}
export type LoadedImagesOutputs = LoadedImagesInputs;

// One node's membership of the Swarm.

export interface SwarmMemberInputs {
  readonly connection: Connection;
  readonly node: string;
  readonly role: "manager" | "worker";
  readonly labels: Record<string, string>;
  readonly advertiseAddr: string;
  readonly dataPathAddr?: string;
  /** Every manager, to fetch tokens from and to have labels set by; in the order of their names. */
  readonly managers: Connection[];
  /** The one member that may start a new Swarm when no other manager has one. */
  readonly founder: boolean;
  /** Managers start locked after a restart. @default false */
  readonly autolock: boolean;
  /** Whether the node takes tasks; absent leaves it alone, so that a node drained by hand stays drained. */
  readonly availability?: "active" | "pause" | "drain";
  /** With another one the node joins anew, and is waited for until its services run there and MinIO has healed. */
  readonly installation?: Installed;
  /** MinIO, which may have a member on this node. A change of it alone means nothing. */
  readonly store?: Store;
}
export interface SwarmMemberOutputs extends SwarmMemberInputs {
  /** The node's id in the Swarm. */
  readonly nodeId: string;
  /** With `autolock`, on managers: the key that unlocks one after a restart (secret: name it in additionalSecretOutputs). */
  readonly unlockKey?: string;
}

// The bucket and the registry's user, made inside a MinIO container with its own client.

export interface StorageAdministration {
  /** Storage nodes; the first whose MinIO container runs is used. */
  readonly storageNodes: Connection[];
  /** Swarm service name by node name, to find the container. */
  readonly services: Record<string, string>;
  readonly bucket: string;
  readonly rootUser: string;
  readonly rootPassword: string;
  readonly timeoutSeconds: number;
}
/** What a refresh found changed on something that exists: drift, so that an update repairs it. */
interface Drifted {
  readonly drift?: string[];
}

export interface BucketInputs extends StorageAdministration {
  /** The bucket is kept when the stack is destroyed. */
  readonly retain: boolean;
}
export type BucketOutputs = BucketInputs & Drifted;

/** Another access key replaces the user: the new one is created first. */
export interface StorageUserInputs extends StorageAdministration {
  readonly accessKey: string;
  readonly secretKey: string;
}
export type StorageUserOutputs = StorageUserInputs & Drifted;

// Acceptance: the proof that what was deployed works.

export interface AcceptanceInputs {
  /** Digest of what is deployed; the checks run when it changes. */
  readonly fingerprint: string;
  readonly managers: Connection[];
  /** Nodes from which the registry is reached, in this order, over an SSH channel to `vip:port`. */
  readonly nodes: Connection[];
  /** Names of those nodes that may have `registryAddress`. */
  readonly edgeNodes: string[];
  readonly registryAddress: string;
  readonly registryPort: number;
  /** Name for SNI and the Host header. */
  readonly registryName: string;
  readonly caCertificate: string;
  readonly username: string;
  readonly password: string;
  /** Repository the check pushes to and deletes from again. */
  readonly repository: string;
  readonly storageServices: Record<string, string>;
  readonly timeoutSeconds: number;
}
export interface CheckResult {
  readonly name: string;
  readonly status: "ok" | "warning" | "failed";
  readonly detail: string;
}
export interface AcceptanceOutputs extends AcceptanceInputs {
  readonly report: CheckResult[];
}

// etcd: members formed into a cluster, kept healthy, and replaced, one at a time.

export interface EtcdMember {
  readonly connection: Connection;
  /** `https://host:port` that clients use. */
  readonly clientUrl: string;
  /** `https://host:port` that the other members use. */
  readonly peerUrl: string;
}
export interface EtcdClusterInputs {
  /** The members by their names, which are their nodes'. */
  readonly members: Record<string, EtcdMember>;
  /** The script on each node that looks at its member and handles it. */
  readonly script: string;
  readonly caCertificate: string;
  /** A client's certificate and key (secret). */
  readonly clientCertificate: string;
  readonly clientKey: string;
  /** Changes whenever a member's files do. */
  readonly fingerprint: string;
  /** What lies below each member, by node; one on another installation may have lost its data. */
  readonly installations?: Record<string, Installed>;
  readonly timeoutSeconds: number;
}
export interface EtcdClusterOutputs extends EtcdClusterInputs {
  /** Each member's id, in hexadecimal as etcdctl shows it. */
  readonly memberIds: Record<string, string>;
}
