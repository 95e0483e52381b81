/** What a run has found so far, on disk after each row, so that another run can go on with it. */
import * as fs from "node:fs";
import { LabError, writeAtomic } from "../../lab/exec";
import type { Between, Row } from "./bounds";
import type { ChangeRow } from "./changeRow";
import type { Counts } from "./measure";
import type { Step } from "./plan";

/** The state of the code that a row is of. */
export interface Dated {
  readonly commit: string;
}

/** A step that this machine cannot do, and why. */
export interface NotRun extends Dated {
  readonly step: Step;
  readonly because: string;
}

/** A change that this lab cannot have, and why. */
export interface NotChanged extends Dated {
  readonly name: string;
  readonly because: string;
}

/** Acknowledged pushes, and their bytes. */
export interface Acknowledged {
  readonly count: number;
  readonly bytes: number;
}

/** What was read back at the end, every byte of it. */
export interface AtEnd {
  readonly bytes: number;
  readonly lost: readonly string[];
}

export interface Found {
  readonly rows: readonly (Row & Dated)[];
  readonly changes: readonly (ChangeRow & Dated)[];
  readonly notRun: readonly NotRun[];
  readonly notChanged: readonly NotChanged[];
  readonly between: Between;
  readonly acknowledged: Acknowledged;
  readonly atEnd: AtEnd;
}

/** The states of the code that anything of it is of. */
export const commitsIn = ({ rows, changes, notRun, notChanged }: Found): string[] => [
  ...new Set([...rows, ...changes, ...notRun, ...notChanged].map(({ commit }) => commit)),
];

const none: Counts = { all: 0, before: 0, after: 0 };

export const nothing: Found = {
  rows: [],
  changes: [],
  notRun: [],
  notChanged: [],
  between: { pushes: none, pulls: none, reasons: [] },
  acknowledged: { count: 0, bytes: 0 },
  atEnd: { bytes: 0, lost: [] },
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
  notChanged: [...one.notChanged, ...other.notChanged],
  between: {
    pushes: sum(one.between.pushes, other.between.pushes),
    pulls: sum(one.between.pulls, other.between.pulls),
    reasons: [...one.between.reasons, ...other.between.reasons],
  },
  acknowledged: {
    count: one.acknowledged.count + other.acknowledged.count,
    bytes: one.acknowledged.bytes + other.acknowledged.bytes,
  },
  atEnd: { bytes: one.atEnd.bytes + other.atEnd.bytes, lost: [...one.atEnd.lost, ...other.atEnd.lost] },
});

/** JSON has no word for what never came. */
const NEVER = "never";

export function keep(file: string, found: Found): void {
  const text = JSON.stringify(found, (_key, value: unknown) => (value === Infinity ? NEVER : value), 1);
  writeAtomic(file, `${text}\n`);
}

/** @throws LabError where nothing was kept, or by a run that measured less */
export function keptIn(file: string): Found {
  if (!fs.existsSync(file)) throw new LabError(`no run has kept anything in ${file}: leave --from out`);
  const text = fs.readFileSync(file, "utf8");
  const found = JSON.parse(text, (_key, value: unknown) => (value === NEVER ? Infinity : value)) as Found;
  if (
    [...found.rows, ...found.changes].some((row) => (row as Partial<typeof row>).longestOfTwoMs === undefined)
  )
    throw new LabError(`rows in ${file} are of another time, with fewer figures: leave --from out`);
  return { ...nothing, ...found };
}
