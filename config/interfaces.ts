/** Network interfaces of a node besides its first: NICs and VLANs. */
import { z } from "zod";
import { address, deviceName, interfaceName, ipv4, whole } from "./values";

const metric = whole(0, 4294967295)
  .optional()
  .describe("Metric of its default route; the lowest of a node's wins, and no two may be the same.");
const mtu = whole(1280, 9216).optional();

const vlan = z.strictObject({
  id: whole(1, 4094, "a VLAN id"),
  address: address.describe("The node's address there, with its prefix length."),
  gateway: ipv4.optional(),
  metric,
  mtu,
});

const nic = z.strictObject({
  dhcp: z.boolean().default(false).describe("Its address comes by DHCP."),
  address: address.optional().describe("Its address, with its prefix length, where it is not by DHCP."),
  gateway: ipv4.optional(),
  metric,
  mtu,
});

export const vlans = z
  .record(deviceName, vlan)
  .default({})
  .describe("VLANs on the node's interface, by the name of their device.");

export const nics = z
  .record(interfaceName, nic)
  .default({})
  .describe("Further network interfaces, by name or MAC address.");

export type VlansConfig = z.output<typeof vlans>;
export type NicsConfig = z.output<typeof nics>;
