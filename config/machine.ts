import { z } from "zod";
import { cidr, dnsName, ipv4 } from "./values";

export const platform = z
  .enum(["metal", "existing", "virtualbox"], { error: "wanted: one of virtualbox, metal, existing" })
  .default("metal");

export const network = z.strictObject({
  subnet: cidr.describe("The nodes' subnet."),
  gateway: ipv4.optional(),
  metric: z
    .int()
    .min(0)
    .max(4294967295)
    .optional()
    .describe("Metric of the default route by `gateway`; the distribution's by default."),
  dns: z.array(ipv4).default([]),
  domain: dnsName.optional().describe("Domain of the nodes' full names."),
  searchDomains: z.array(dnsName).default([]).describe("Domains to look names up in, after `domain`."),
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
export type NetworkConfig = z.output<typeof network>;
export type SwarmConfig = z.output<typeof swarm>;
