import { z } from "zod";
import { cidr, dnsName, httpUrl, ipv4, publicKey } from "./values";

export const platform = z
  .enum(["metal", "existing", "virtualbox"], { error: "wanted: one of virtualbox, metal, existing" })
  .default("metal");

const user = z.strictObject({
  groups: z.array(z.string()).default(["sudo", "docker"]).describe("Groups besides the user's own."),
  sshAuthorizedKeys: z.array(publicKey).default([]).describe("Public keys besides the program's."),
});

export const os = z
  .strictObject({
    distribution: z
      .enum(["flatcar"], {
        error: (issue) =>
          issue.input === "fedora-coreos" || issue.input === "coreos"
            ? "this distribution is not supported yet; wanted: flatcar"
            : "wanted: flatcar",
      })
      .default("flatcar"),
    channel: z.enum(["stable", "beta", "alpha", "lts"]).default("stable").describe("Release channel."),
    version: z.string().optional().describe("Version in the channel; the newest at installation by default."),
    sshAuthorizedKey: publicKey
      .optional()
      .describe("A public key of your own for user `core`. Without it the program makes a key pair."),
    users: z
      .record(
        z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, "wanted: a user name of lower-case letters and digits"),
        user,
      )
      .default({}),
    timeZone: z.string().default("UTC"),
    ntp: z.array(z.string()).default([]).describe("Time servers; the distribution's by default."),
    motd: z.string().optional(),
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
        exclude: z.array(z.string()).default([]),
      })
      .optional()
      .describe(
        "Proxies for what lies outside; the cluster's own names and addresses are excluded by the program.",
      ),
  })
  .prefault({});

export const network = z.strictObject({
  subnet: cidr.describe("The nodes' subnet."),
  gateway: ipv4.optional(),
  dns: z.array(ipv4).default([]),
  domain: dnsName.optional().describe("Domain of the nodes' full names."),
  mtu: z.int().min(1280).max(9216).optional(),
  overlay: z
    .strictObject({
      subnet: cidr.default("10.20.1.0/24"),
      encrypted: z.boolean().default(true).describe("IPsec between nodes on the overlay network."),
    })
    .prefault({}),
});

export const swarm = z
  .strictObject({
    autolock: z
      .boolean()
      .default(false)
      .describe(
        "Managers need a key after a restart. `pulumi refresh --target '**:SwarmMember::*'`, then `pulumi up` unlocks them; the key is kept in the state, encrypted.",
      ),
    dockerApi: z
      .boolean()
      .default(false)
      .describe(
        "Docker's API on port 2376 of every node, with mutual TLS. Off: not reachable by network at all.",
      ),
    logMaxSize: z
      .string()
      .regex(/^[0-9]+[kmg]$/, "wanted: a size such as 10m")
      .default("10m"),
    logMaxFile: z.int().min(1).default(3),
    tasksMax: z
      .int()
      .min(128)
      .default(4096)
      .describe("Processes and threads all containers of a node may have."),
  })
  .prefault({});

export type PlatformConfig = z.output<typeof platform>;
export type OsConfig = z.output<typeof os>;
export type NetworkConfig = z.output<typeof network>;
export type SwarmConfig = z.output<typeof swarm>;
