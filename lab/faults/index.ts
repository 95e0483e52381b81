/** Every fault the lab knows, each with the way to take it back. */
import { LabError } from "../exec";
import { off, on, locked } from "../lab";
import { empty, fillUp, setReadOnly, slowDown, speedUp } from "./dataDisk";
import { corrupt, lose, ownerNamed, owners, wipe } from "./files";
import { freezeHost, setLink, thaw, thawHost } from "./freezer";
import { losePackets, passPackets } from "./packets";
import type { Place } from "./place";
import { freezeProgram, killProgram, programNamed, programNames } from "./processes";

export type { Place } from "./place";

export interface Fault {
  /** What happens to the host, for the list of faults. */
  readonly summary: string;
  /** What may follow the name of the fault. */
  readonly choices?: readonly string[];
  readonly begin: (place: Place, choice?: string) => Promise<unknown>;
  /** Takes it back; none where the host mends itself, or nothing in the lab can. */
  readonly end?: (place: Place) => Promise<unknown>;
  /** What mends it where there is no `end`. */
  readonly mendedBy?: string;
}

export type FaultName = keyof typeof faults;

export const faults = {
  power: {
    summary: "power off; back: power on",
    begin: async (place) => {
      // Otherwise the kernel, which lives on, would end the connections of the processes that are killed.
      await setLink(place, "down");
      await off(place.instance, place.host);
    },
    end: ({ instance, host }) => on(instance, host),
  },
  kill: {
    summary: "a program killed; it is started again by whoever looks after it",
    choices: programNames,
    begin: async (place, program) => killProgram(place, programNamed(program)),
    mendedBy: "Swarm, or systemd",
  },
  freeze: {
    summary: "a program frozen; back: thawed",
    choices: programNames,
    begin: async (place, program) => freezeProgram(place, programNamed(program)),
    end: thaw,
  },
  "freeze-host": {
    summary: "all of the host frozen, its link down",
    begin: freezeHost,
    end: thawHost,
  },
  "drop-in": {
    summary: "packets to the host dropped",
    begin: (place) => losePackets(place, "in"),
    end: passPackets,
  },
  "drop-out": {
    summary: "packets from the host dropped",
    begin: (place) => losePackets(place, "out"),
    end: passPackets,
  },
  drop: {
    summary: "packets to and from the host dropped",
    begin: (place) => losePackets(place, "both"),
    end: passPackets,
  },
  "cut-off": {
    summary: "packets between the node and the other nodes dropped; clients still reach it",
    begin: (place) => losePackets(place, "nodes"),
    end: passPackets,
  },
  "slow-disk": {
    summary: "the data disk does 2 MiB and 40 operations a second, for each container",
    begin: (place) => slowDown(place),
    end: speedUp,
  },
  "full-disk": { summary: "not one byte is left on the data disk", begin: fillUp, end: empty },
  "read-only-disk": {
    summary: "the data disk cannot be written",
    begin: (place) => setReadOnly(place, true),
    end: (place) => setReadOnly(place, false),
  },
  corrupt: {
    summary: "bytes in the middle of every file changed",
    choices: owners,
    begin: async (place, owner) => {
      await corrupt(place, ownerNamed(owner));
      // It would go on with what it has in memory.
      if (owner === "etcd") await killProgram(place, "etcd");
    },
    mendedBy:
      "MinIO, where what it notes about an object is whole (`mc admin heal --scan deep`), otherwise wipe it; for etcd, `pulumi up --refresh`",
  },
  wipe: {
    summary: "every file gone",
    choices: owners,
    begin: async (place, owner) => {
      await wipe(place, ownerNamed(owner));
      // It would go on with the files it has open, until it next starts.
      if (owner === "etcd") await killProgram(place, "etcd");
    },
    mendedBy: "MinIO itself; for etcd, `pulumi up --refresh`",
  },
  lose: {
    summary: "the host lost with both its disks",
    begin: (place) => locked(place.instance, () => lose(place)),
    mendedBy: "`pulumi up --refresh`; where it is no guest, once the empty machine is on",
  },
} as const satisfies Record<string, Fault>;

export const faultNames = Object.keys(faults) as FaultName[];

/** The fault of that name. @throws LabError with the names there are */
export function faultNamed(name: string | undefined): Fault {
  const known = faultNames.find((one) => one === name);
  if (known) return faults[known];
  throw new LabError(
    `no fault ${name === undefined ? "named" : `called "${name}"`}: give one of ${faultNames.join(", ")}`,
  );
}

/** Takes a fault back. @throws LabError where nothing in the lab can */
export async function mend(place: Place, name: string | undefined): Promise<void> {
  const fault = faultNamed(name);
  if (fault.end) await fault.end(place);
  else throw new LabError(`the lab does not take "${name}" back: ${fault.mendedBy ?? "nothing does"}`);
}

/** The list that `npm run -s lab -- faults` prints. */
export function faultList(): string[] {
  const entries: [string, Fault][] = Object.entries(faults);
  const rows = entries.map(([name, { summary, choices }]) => ({
    name,
    text: choices ? `${summary} (${choices.join(", ")})` : summary,
  }));
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows.map(({ name, text }) => `${name.padEnd(width)}  ${text}`);
}
