/** What a run has found so far, on disk after each row, so that another run can go on with it. */
import * as fs from "node:fs";
import { LabError, writeAtomic } from "../../lab/exec";
import type { Between, Row } from "./bounds";
import type { ChangeRow } from "./changeRow";
import type { Counts } from "./measure";
import type { Step } from "./plan";

/** A step that this machine cannot do, and why. */
export interface NotRun {
  readonly step: Step;
  readonly because: string;
}

/** Acknowledged pushes, and their bytes. */
export interface Acknowledged {
  readonly count: number;
  readonly bytes: number;
}

export interface Found {
  readonly rows: readonly Row[];
  readonly changes: readonly ChangeRow[];
  readonly notRun: readonly NotRun[];
  readonly between: Between;
  readonly acknowledged: Acknowledged;
}

const none: Counts = { all: 0, before: 0, after: 0 };

export const nothing: Found = {
  rows: [],
  changes: [],
  notRun: [],
  between: { pushes: none, pulls: none, reasons: [] },
  acknowledged: { count: 0, bytes: 0 },
};

const sum = (one: Counts, other: Counts): Counts => ({
  all: one.all + other.all,
  before: one.before + other.before,
  after: one.after + other.after,
});

/** What two runs have found one after the other. */
export const joined = (one: Found, other: Found): Found => ({
  rows: [...one.rows, ...other.rows],
  changes: [...one.changes, ...other.changes],
  notRun: [...one.notRun, ...other.notRun],
  between: {
    pushes: sum(one.between.pushes, other.between.pushes),
    pulls: sum(one.between.pulls, other.between.pulls),
    reasons: [...one.between.reasons, ...other.between.reasons],
  },
  acknowledged: {
    count: one.acknowledged.count + other.acknowledged.count,
    bytes: one.acknowledged.bytes + other.acknowledged.bytes,
  },
});

/** JSON has no word for what never came. */
const NEVER = "never";

export function keep(file: string, found: Found): void {
  const text = JSON.stringify(found, (_key, value: unknown) => (value === Infinity ? NEVER : value), 1);
  writeAtomic(file, `${text}\n`);
}

/** @throws LabError where nothing was kept */
export function keptIn(file: string): Found {
  if (!fs.existsSync(file)) throw new LabError(`no run has kept anything in ${file}: leave --from out`);
  const text = fs.readFileSync(file, "utf8");
  return JSON.parse(text, (_key, value: unknown) => (value === NEVER ? Infinity : value)) as Found;
}
