import { z } from "zod";

const memory = z
  .int("wanted: megabytes as a whole number, such as 4096")
  .min(2048, "wanted: 2048 or more, which Flatcar needs to boot its live system")
  .describe("Memory in MB.");
const cpus = z.int("wanted: a whole number").min(1).max(64).describe("Virtual CPUs.");
const gibibytes = z.int("wanted: gibibytes as a whole number, such as 32").min(1);
const systemDisk = gibibytes.describe("Size of the system disk in GiB; it can only grow.");
const dataDisk = gibibytes.describe("Size of the data disk in GiB; it can only grow.");

/** What guests have where their node says nothing else. */
export const guestDefaults = {
  memory: memory.default(4096),
  cpus: cpus.default(2),
  systemDisk: systemDisk.default(16),
  dataDisk: dataDisk.default(64),
};

/** One node's own. */
export const guest = z.strictObject({
  memory: memory.optional(),
  cpus: cpus.optional(),
  systemDisk: systemDisk.optional(),
  dataDisk: dataDisk.optional(),
  mac: z
    .string()
    .regex(
      /^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$/,
      "wanted: a MAC address such as 08:00:27:00:00:11, its second digit even",
    )
    .optional()
    .describe("MAC address of the network card; VirtualBox makes one by default."),
});

export type GuestConfig = z.output<typeof guest>;
