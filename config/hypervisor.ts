import { z } from "zod";
import { guestDefaults } from "./guest";
import { publicKey } from "./publicKey";
import { absolutePath, dnsNameOrIpv4, httpUrlTemplate, ipv4, port } from "./values";

const ssh = z.strictObject({
  host: z.string("wanted: the hypervisor's name or address").min(1).describe("Name or address."),
  port: port.default(22).describe("TCP port."),
  user: z.string("wanted: the user whose guests they are").min(1).describe("Whose guests they are."),
  hostKey: publicKey.optional().describe("Public host key. An unknown host is refused."),
  identityFile: z
    .string()
    .optional()
    .describe("Private key file on the operator's machine; the agent at SSH_AUTH_SOCK by default."),
});

const network = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "wanted: a name of letters, digits, dots and hyphens")
      .default("moorage")
      .describe("Name of the NAT network."),
    dhcp: z
      .boolean()
      .default(false)
      .describe("VirtualBox's DHCP server in the network; nodes have static addresses."),
    listen: ipv4
      .optional()
      .describe(
        "Address the port forwards listen on. By default 127.0.0.1 where the hypervisor is this machine, else all.",
      ),
  })
  .prefault({});

const iso = z
  .strictObject({
    url: httpUrlTemplate
      .optional()
      .describe(
        "Where the installer's image is fetched from, with `{channel}` and `{version}`; Flatcar's by default.",
      ),
    path: absolutePath
      .or(z.string().regex(/^[A-Za-z]:[\\/]/))
      .optional()
      .describe("An image that is on the hypervisor already, in place of `url`."),
    channel: z.string().min(1).optional().describe("`os.channel` by default."),
    version: z
      .string()
      .min(1)
      .optional()
      .describe("By default `os.version`, else the channel's version of the day, which is then kept."),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "wanted: 64 hexadecimal digits")
      .optional()
      .describe("The image's checksum; the one published beside it by default."),
    signingKey: z
      .string()
      .regex(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/, "wanted: an OpenPGP public key in armour")
      .optional()
      .describe(
        "Key that has signed the image; with it the signature has to be right, which takes gpg on the hypervisor.",
      ),
  })
  .prefault({});

/** The machine that VirtualBox runs on. */
export const hypervisor = z
  .strictObject({
    ssh: ssh.optional().describe("How it is reached; absent where it is this machine."),
    hostname: dnsNameOrIpv4
      .optional()
      .describe(
        "Its name in the registry's certificate. By default that of `ssh`, or this machine's own once `network.listen` lets others in.",
      ),
    vboxManage: z
      .string()
      .min(1)
      .optional()
      .describe("Path of VBoxManage; looked for where VirtualBox's packages put it by default."),
    folder: z
      .string()
      .min(1)
      .optional()
      .describe("Folder of guests, disks and images; VirtualBox's default machine folder by default."),
    network,
    registryPort: port.default(8443).describe("Port of the hypervisor that leads to the registry."),
    ...guestDefaults,
    nicType: z
      .enum(["virtio", "82540EM", "82545EM"], { error: "wanted: one of virtio, 82540EM, 82545EM" })
      .default("virtio")
      .describe("Model of the guests' network cards."),
    keepDataDisks: z
      .boolean()
      .default(true)
      .describe("Data disks outlive their guests: the next guest of the name gets its disk back."),
    iso,
  })
  .prefault({});

export type HypervisorConfig = z.output<typeof hypervisor>;
