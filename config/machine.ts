import { z } from "zod";
import { cidr, dnsName, ipv4, sharedName, text, whole } from "./values";

export const platform = z
  .enum(["metal", "existing", "virtualbox"], { error: "wanted: one of virtualbox, metal, existing" })
  .default("metal");

export const network = z.strictObject({
  subnet: cidr.describe("The nodes' subnet."),
  gateway: ipv4.optional(),
  metric: whole(0, 4294967295)
    .optional()
    .describe("Metric of the default route by `gateway`; the distribution's by default."),
  dns: z
    .array(ipv4)
    .default([])
    .describe(
      "Name servers of the nodes and their live installers. Without one, whatever is fetched by name needs a proxy that is given by its address, or a file (`os.image`).",
    ),
  domain: sharedName.optional().describe("Domain of the nodes' full names."),
  searchDomains: z.array(dnsName).default([]).describe("Domains to look names up in, after `domain`."),
  mtu: whole(1280, 9216)
    .optional()
    .describe(
      "MTU of the nodes' interface; 1500 where nothing is said. Containers on the overlay have 50 less for VXLAN, and 26 less again (and a multiple of four) where it is encrypted; another MTU makes another overlay network.",
    ),
  tryoutSeconds: whole(15, 3600)
    .default(60)
    .describe(
      "How long after a change of its network, or the boot with another cloud-config, a node waits for SSH before it goes back by itself.",
    ),
  overlay: z
    .strictObject({
      subnet: cidr
        .default("10.20.1.0/24")
        .describe("Subnet of the containers' overlay network: /24 or larger, and free on every node."),
      encrypted: z.boolean().default(true).describe("IPsec between nodes on the overlay network."),
    })
    .prefault({}),
});

function isLogSize(value: string): boolean {
  const [, digits = "0", unit = "k"] = /^([1-9][0-9]{0,8})([kmg])$/.exec(value) ?? [];
  const bytes = Number(digits) * 1024 ** ("kmg".indexOf(unit) + 1);
  return bytes >= 1024 && bytes <= 100 * 1024 ** 3;
}

/** In systemd's notation. Below, a node's own containers would end each other. */
function isMemory(value: string): boolean {
  if (/^(?:[1-9][0-9]|100)%$/.test(value)) return true;
  const [, digits = "0", unit = "M"] = /^([1-9][0-9]{0,6})([MGT])$/.exec(value) ?? [];
  return Number(digits) * 1024 ** "MGT".indexOf(unit) >= 512;
}

export const swarm = z
  .strictObject({
    autolock: z
      .boolean()
      .default(false)
      .describe(
        "Managers need a key after a restart. `pulumi up --refresh --target '**:SwarmMember::*'` unlocks them, also where all are locked; `pulumi up` alone does not look for it. The key is kept in the state, encrypted.",
      ),
    dockerApi: z
      .boolean()
      .default(false)
      .describe(
        "Docker's API on port 2376 of every node, with mutual TLS. Off: not reachable by network at all.",
      ),
    logMaxSize: text(isLogSize, "a size from 1k to 100g, such as 10m")
      .default("10m")
      .describe("Size at which a container's log is rotated."),
    logMaxFile: whole(1, 1000).default(3).describe("Files kept of each container's log."),
    tasksMax: whole(128, 4194304)
      .default(4096)
      .describe("Processes and threads all containers of a node may have."),
    memoryMax: text(isMemory, "a size from 512M, such as 3G, or a share from 10% to 100%")
      .default("80%")
      .describe(
        "Memory all containers of a node may have together, so that SSH and Docker go on when they want too much: a size from 512M, such as 3G, or a share from 10% to 100%.",
      ),
  })
  .prefault({});

export type PlatformConfig = z.output<typeof platform>;
export type NetworkConfig = z.output<typeof network>;
export type SwarmConfig = z.output<typeof swarm>;
