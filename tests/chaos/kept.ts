/** What a run has found so far, on disk after each row, so that another run can go on with it. */
import * as fs from "node:fs";
import { LabError, writeAtomic } from "../../lab/exec";
import type { Between, Row } from "./bounds";
import type { ChangeRow } from "./changeRow";
import { reasonsOf } from "./causes";
import type { Outcome } from "./load";
import { countsOf, type Span } from "./measure";
import { nameOf, type Step } from "./plan";

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

/** What one run has had acknowledged, of the several that may have gone on with each other. */
export interface Part {
  readonly count: number;
  readonly bytes: number;
  /** What was lost of it when every byte was read back; nothing where the run did not come to that. */
  readonly lostAtEnd?: readonly string[];
}

export interface Found {
  readonly rows: readonly (Row & Dated)[];
  readonly changes: readonly (ChangeRow & Dated)[];
  readonly notRun: readonly NotRun[];
  readonly notChanged: readonly NotChanged[];
  readonly between: readonly Between[];
  readonly parts: readonly Part[];
}

/** The states of the code that anything of it is of. */
export const commitsIn = ({ rows, changes, notRun, notChanged }: Found): string[] => [
  ...new Set([...rows, ...changes, ...notRun, ...notChanged].map(({ commit }) => commit)),
];

export const nothing: Found = { rows: [], changes: [], notRun: [], notChanged: [], between: [], parts: [] };

/** What two runs have found one after the other. */
export const joined = (one: Found, other: Found): Found => ({
  rows: [...one.rows, ...other.rows],
  changes: [...one.changes, ...other.changes],
  notRun: [...one.notRun, ...other.notRun],
  notChanged: [...one.notChanged, ...other.notChanged],
  between: [...one.between, ...other.between],
  parts: [...one.parts, ...other.parts],
});

export const changeName = ({ name }: { readonly name: string }): string => `change: ${name}`;

/** What was found, but for rows of these names, and what came before them: both are found anew. */
export function without(found: Found, again: readonly string[]): Found {
  const isLeft = (name: string): boolean => !again.includes(name);
  const rows = found.rows.filter(({ step }) => isLeft(nameOf(step)));
  const changes = found.changes.filter((row) => isLeft(changeName(row)));
  const left = [...rows.map(({ step }) => nameOf(step)), ...changes.map(changeName)];
  return {
    rows,
    changes,
    notRun: found.notRun.filter(({ step }) => isLeft(nameOf(step))),
    notChanged: found.notChanged.filter((one) => isLeft(changeName(one))),
    between: found.between.filter(({ before }) => left.includes(before)),
    parts: found.parts,
  };
}

/** A row, and when it began. */
export interface Begun {
  readonly name: string;
  readonly from: number;
}

/** Before which no row began any more. */
export const END = "the end";

/**
 * How the requests went that were under way in no row, by the row before which they were begun.
 * @param rows in the order of their times
 */
export function betweenRows(outcomes: readonly Outcome[], rows: readonly Begun[]): Between[] {
  const nextOf = ({ start }: Outcome): string => rows.find(({ from }) => start <= from)?.name ?? END;
  return [...rows.map(({ name }) => name), END].flatMap((before): Between[] => {
    const those = outcomes.filter((one) => nextOf(one) === before);
    if (those.length === 0) return [];
    const pushes = countsOf(those, "push", ALWAYS);
    return [{ before, pushes, pulls: countsOf(those, "pull", ALWAYS), reasons: reasonsOf(those) }];
  });
}

const ALWAYS: Span = { from: 0, to: Infinity };

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
  const isOld = (row: Partial<Row | ChangeRow>): boolean => row.longestOfTwoMs === undefined;
  if ((found as Partial<Found>).parts === undefined || [...found.rows, ...found.changes].some(isOld))
    throw new LabError(`rows in ${file} are of another time, with fewer figures: leave --from out`);
  return found;
}
