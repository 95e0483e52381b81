/** The operating system of nodes that the program installs. */
import { defaultFormat, type UserDataFormat } from "@moorage/render";
import { z } from "zod";
import { publicKey } from "./publicKey";
import { absolutePath, anyText, cidr, httpUrl, isMember, plainWord, port, text } from "./values";

const user = z.strictObject({
  groups: z
    .array(text(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, "a group's name"))
    .default(["sudo", "docker"])
    .describe("Groups besides the user's own."),
  sshAuthorizedKeys: z.array(publicKey).default([]).describe("Public keys besides the program's."),
  password: z
    .boolean()
    .default(false)
    .describe(
      "The program makes a password, for console and sudo alone: SSH takes keys (stack output `consolePasswords`). Taken back, it is taken from the nodes too, unless somebody has set another one there.",
    ),
  insecureMd5Password: z
    .boolean()
    .default(false)
    .describe("The password's hash is MD5-crypt, which is broken. Distribution `coreos` only."),
});

const file = z.strictObject({
  content: anyText,
  permissions: z
    .string('wanted: permissions as quoted octal digits, such as "0644"')
    .regex(/^0?[0-7]{3}$/, 'wanted: permissions as quoted octal digits, such as "0644"')
    .default("0644"),
  owner: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*$/, "wanted: user:group, such as root:root")
    .default("root:root"),
});

const unit = z.strictObject({
  content: anyText.optional().describe("The unit's text; without it the unit is the distribution's."),
  dropIns: z.record(z.string(), anyText).default({}).describe("Text by name, such as `10-own.conf`."),
  enabled: z.boolean().optional().describe("Enabled and running, or neither; left as it is by default."),
});

const etcd2 = z.strictObject({
  discovery: httpUrl.describe("The discovery service's URL for this cluster."),
  discoveryProxy: httpUrl.optional().describe("Proxy by which the discovery service is reached."),
  clientPorts: z.array(port).min(1).default([2379, 4001]),
  peerPorts: z.array(port).min(1).default([2380, 7001]),
});

/** One item of a list with commas in an environment variable. */
const directWord = text(
  /^[A-Za-z0-9._:/@*%[\]-]+$/,
  "what is reached without a proxy: a name, a domain such as .example.com, an address or a subnet",
);

const containerLinux = z
  .strictObject({
    etcd2: etcd2.optional().describe("etcd 2, whose members find each other by a discovery service."),
    fleet: z.boolean().default(false).describe("fleet, with the node's labels as its metadata."),
    flannel: z
      .strictObject({
        network: cidr.describe("Network that containers get their addresses from."),
        interface: plainWord("an interface's name or address")
          .optional()
          .describe("The node's address by default."),
      })
      .optional()
      .describe("flannel with a vxlan backend; Docker waits for it."),
    insecureDockerApi: z
      .boolean()
      .default(false)
      .describe("Docker's API on port 2375: whoever reaches it is root. Everywhere else `swarm.dockerApi`."),
    insecureRegistries: z
      .array(plainWord("a registry such as registry.example.com:5000"))
      .default([])
      .describe(
        "Registries that Docker asks without a certificate. Everywhere else nodes trust the registry's CA.",
      ),
  })
  .describe("What only the retired Container Linux has (distribution `coreos`).");

const image = z
  .strictObject({
    path: text(/^[^\p{Control}\p{Surrogate}]+$/u, "the path of an image file on this machine").describe(
      "On the operator's machine, relative to the project's folder or absolute.",
    ),
    sha512: text(/^[0-9a-f]{128}$/, "128 hexadecimal digits")
      .optional()
      .describe("Its checksum, as Flatcar publishes it."),
    sha256: text(/^[0-9a-f]{64}$/, "64 hexadecimal digits")
      .optional()
      .describe("Its checksum, as Fedora CoreOS publishes it."),
  })
  .describe(
    "The system's image in a file, for sites without internet: sent to the live installer, and checked there before the disk is touched.",
  );

const timeZone = text(isTimeZone, "a time zone such as Europe/Berlin");

/** Names are files on the nodes, where case counts; to Node it does not. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Z][A-Za-z0-9_+-]*(\/[A-Z][A-Za-z0-9_+-]*)*$/.test(name)) return false;
  try {
    const { timeZone: known } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
    return known === name || known.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}

export const channels = {
  flatcar: ["stable", "beta", "alpha", "lts"],
  "fedora-coreos": ["stable", "testing", "next"],
  coreos: ["stable", "beta", "alpha"],
} as const;

export const osKeys = z.strictObject({
  distribution: z
    .enum(["flatcar", "fedora-coreos", "coreos"], { error: "wanted: one of flatcar, fedora-coreos, coreos" })
    .default("flatcar")
    .describe("`coreos` is the retired Container Linux, whose updates ended in May 2020."),
  format: z
    .enum(["ignition", "cloud-config"], { error: "wanted: ignition or cloud-config" })
    .optional()
    .describe(
      "What user data is written in: `ignition` by default, `cloud-config` for distribution `coreos`.",
    ),
  channel: z
    .enum(["stable", "beta", "alpha", "lts", "testing", "next"])
    .default("stable")
    .describe("Release channel, or Fedora CoreOS's stream."),
  version: plainWord("a version such as 4230.2.1")
    .optional()
    .describe(
      "Version in the channel; the newest at installation by default, and always on Fedora CoreOS, where `os.image` pins a release.",
    ),
  image: image.optional(),
  sshAuthorizedKey: publicKey
    .optional()
    .describe("A public key of your own for user `core`. Without it the program makes a key pair."),
  users: z
    .record(
      text(
        (name) => /^[a-z_][a-z0-9_-]{0,31}$/.test(name) && !isMember(name),
        "a user name of lower-case letters and digits",
      ),
      user,
    )
    .default({})
    .describe("Users besides `core`, each with the program's key."),
  timeZone: timeZone.default("UTC"),
  ntp: z
    .array(plainWord("a time server's name or address"))
    .default([])
    .describe("Time servers; the distribution's by default."),
  clockTimer: z
    .boolean()
    .default(false)
    .describe("`date.timer`: sets the clock five minutes after a boot, and daily."),
  motd: anyText.optional(),
  aliases: z
    .boolean()
    .default(false)
    .describe(
      "Short commands in login shells: `dps` (all containers), `dl` (follow a log), `drm` (stop, remove).",
    ),
  updateStrategy: z
    .enum(["off", "reboot", "etcd-lock"])
    .default("off")
    .describe(
      "What the distribution's updater does by itself; `off`, since a Swarm wants nodes drained first.",
    ),
  proxies: z
    .strictObject({
      http: httpUrl.optional(),
      https: httpUrl.optional(),
      exclude: z.array(directWord).default([]),
    })
    .optional()
    .describe(
      "Proxies for what lies outside; the cluster's own names and addresses are excluded by the program.",
    ),
  files: z.record(absolutePath, file).default({}).describe("Files of your own, by path, on every node."),
  units: z
    .record(z.string(), unit)
    .default({})
    .describe("Units of your own, or drop-ins for the distribution's, by full name, on every node."),
  containerLinux: containerLinux.optional(),
});

export const os = osKeys.prefault({});

export type OsConfig = z.output<typeof os>;
export type OsImageConfig = z.output<typeof image>;
export type ContainerLinuxConfig = z.output<typeof containerLinux>;

/** What user data is written in. */
export function formatOf({ distribution, format }: OsConfig): UserDataFormat {
  return format ?? defaultFormat(distribution);
}
