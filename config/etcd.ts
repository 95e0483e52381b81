import { z } from "zod";
import { port } from "./values";

/** etcd refuses an election that is shorter than this many heartbeats. */
export const heartbeatsPerElection = 5;

export const etcdFields = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe("One member of etcd on every manager, for software of your own; nothing here needs it."),
  clientPort: port.default(2379).describe("TCP port for clients, with mutual TLS."),
  peerPort: port.default(2380).describe("TCP port between members, with mutual TLS."),
  heartbeatMs: z
    .int()
    .min(10)
    .max(10_000)
    .default(250)
    .describe(
      "Milliseconds between two signs of life of the leader; about the time a packet takes there and back.",
    ),
  electionMs: z
    .int()
    .min(50)
    .max(50_000)
    .default(2500)
    .describe(
      "Milliseconds without one after which another leader is elected; longer where the disk is shared and slow.",
    ),
  quotaMiB: z
    .int()
    .min(16)
    .max(8192)
    .default(2048)
    .describe("Size in MiB at which etcd takes no more writes until it is compacted and defragmented."),
  autoCompaction: z
    .strictObject({
      mode: z.enum(["periodic", "revision"], { error: "wanted: periodic or revision" }).default("periodic"),
      retention: z
        .string()
        .regex(/^[1-9][0-9]*[hms]?$/, "wanted: a time such as 1h, or a number of revisions such as 1000")
        .default("1h"),
    })
    .refine(
      ({ mode, retention }) => mode === "periodic" || /^[0-9]+$/.test(retention),
      "wanted: a number of revisions such as 1000, as the mode is revision",
    )
    .prefault({})
    .describe(
      "How much history is kept: that of a time (`periodic`), or a number of revisions (`revision`).",
    ),
});

export const etcd = etcdFields.prefault({});

export type EtcdConfig = z.output<typeof etcdFields>;
