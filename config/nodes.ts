import { z } from "zod";
import { etcdAddresses } from "./etcdAddresses";
import { dataFolder } from "./folders";
import { guest } from "./guest";
import { nics, vlans } from "./interfaces";
import type { PlatformConfig } from "./machine";
import { publicKey } from "./publicKey";
import {
  devicePath,
  hostName,
  interfaceName,
  ipv4,
  label,
  line,
  port,
  sshHost,
  text,
  userName,
} from "./values";

export const roles = ["manager", "worker", "storage", "registry", "edge"] as const;

/** Where SSH reaches a host. */
const endpoint = z.strictObject({
  host: sshHost.optional().describe("Name or address; the node's own address by default."),
  port: port.default(22).describe("TCP port."),
  user: userName.optional().describe("User who may use sudo without a password, or root."),
  hostKey: publicKey
    .optional()
    .describe(
      "Public host key. Needed wherever the program did not make the key itself: an unknown host is refused.",
    ),
  identityFile: line
    .optional()
    .describe("Private key file on the operator's machine; the agent at SSH_AUTH_SOCK by default."),
});

const serialNumber = text(
  /^[!-~]([ -~]{0,126}[!-~])?$/,
  "a disk's serial number in quotes, as `lsblk -d -o NAME,SERIAL` shows it on the node",
);

const role = z.enum(roles, { error: `wanted: one of ${roles.join(", ")}` });

export const node = z.strictObject({
  address: ipv4.describe("The node's address, in `network.subnet`."),
  roles: z
    .array(role)
    .min(1, "wanted: at least manager or worker")
    .describe("`manager` or `worker`, and any of `storage`, `registry`, `edge`."),
  ssh: endpoint.prefault({}).describe("The installed system's SSH server."),
  installer: endpoint
    .optional()
    .describe(
      "The live installer's SSH server (platform `metal`), as booted from ISO, USB stick or network. Without a `hostKey` the program makes its keys, which `npm run -s moorage -- live NODE` prints for it.",
    ),
  labels: z
    .record(label, line)
    .default({})
    .describe(
      "Labels of the node in the Swarm, such as `region: dc1`; those that begin with `moorage.` are the program's own.",
    ),
  disk: devicePath
    .optional()
    .describe("System disk. Empty before its installation, unless `erasableDisk` names it."),
  erasableDisk: serialNumber
    .optional()
    .describe(
      "Serial number of `disk`, where an installation may erase what others have left on it. A disk in use, one that cannot be read, or one with this program's data is never erased.",
    ),
  dataDisk: devicePath
    .optional()
    .describe(
      "Disk for object storage. Formatted when blank (readable, and zero at both ends), or when `wipeDataDiskSerial` names it.",
    ),
  wipeDataDiskSerial: serialNumber
    .optional()
    .describe(
      "Serial number of `dataDisk`, where what others have left on it may be erased. A disk in use, one that cannot be read, or one with this program's data is never erased.",
    ),
  adoptDiskSerial: serialNumber
    .optional()
    .describe(
      "Serial number of `dataDisk`, where it holds the data of another node or stack that this node takes over. Nothing is erased.",
    ),
  dataDirectory: dataFolder
    .optional()
    .describe(
      "Folder for object storage in place of a disk of its own (platform `existing`): it is there, root's, with 1 GiB free, and mounted where /etc/fstab says so. One on the root file system draws a warning. Where SELinux keeps Docker's containers apart, its owner gives it the label that they may read, such as by `chcon -R -t container_file_t`.",
    ),
  interface: interfaceName
    .optional()
    .describe(
      "Network interface, by name or MAC address; `eth0` by default, `enp0s3` on platform `virtualbox`.",
    ),
  nics,
  vlans,
  advertiseAddr: ipv4.optional().describe("Address the Swarm uses for this node; `address` by default."),
  dataPathAddr: ipv4
    .optional()
    .describe(
      "Address for the overlay's traffic; `advertiseAddr` by default, and that alone where it is encrypted.",
    ),
  etcd: etcdAddresses
    .optional()
    .describe(
      "Addresses of the node's member of etcd, where they are others than the node's (`etcd.enabled`, `os.containerLinux.etcd2`).",
    ),
  guest: guest
    .optional()
    .describe("The node's guest where it is another than `hypervisor` says (platform `virtualbox`)."),
});

export const nodes = z
  .record(hostName, node)
  .refine((all) => Object.keys(all).length > 0, "wanted: a map from node name to node")
  .describe("By host name, of at most 36 characters, from which names in Docker are derived.");

/** The name that the first network interface has where nothing else is said. */
export function defaultInterface(platform: PlatformConfig | undefined): string {
  return platform === "virtualbox" ? "enp0s3" : "eth0";
}

/** A node as the schema has it, and with its interface filled in by the platform. */
export type GivenNode = z.output<typeof node>;
export type NodeConfig = GivenNode & { readonly interface: string };
export type NodesConfig = Readonly<Record<string, NodeConfig>>;
