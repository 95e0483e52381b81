/** How long what is left of a run will take, by what was done of it. */
import { holdSeconds, isCovered, titleOf, type Covering, type Remedy, type Step } from "./plan";

/** A step, and how long all of it took. */
export interface Took {
  readonly step: Step;
  readonly seconds: number;
}

/** Beside what it is looked at, until such a step was done: to be whole, and to be read back. */
const TYPICAL: Readonly<Record<Remedy | "none", number>> = { none: 60, heal: 150, up: 240 };
const CHANGE_SECONDS = 150;

/** The steps that are probably still to be done: two nodes have all roles, as a rule. */
export function expected(left: readonly Step[], done: readonly Covering[]): Step[] {
  const open = left.filter((step) => !isCovered(step, done));
  return [...new Set(open.map(titleOf))].flatMap((title) => {
    const begun = done.some(({ step }) => titleOf(step) === title);
    return open.filter((step) => titleOf(step) === title).slice(0, begun ? 1 : 2);
  });
}

const mean = (numbers: readonly number[], otherwise: number): number =>
  numbers.length === 0 ? otherwise : numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

export function secondsFor(steps: readonly Step[], took: readonly Took[]): number {
  return steps.reduce((sum, step) => {
    const alike = took.filter((one) => one.step.remedy === step.remedy);
    const beside = alike.map((one) => one.seconds - holdSeconds(one.step));
    return sum + holdSeconds(step) + mean(beside, TYPICAL[step.remedy ?? "none"]);
  }, 0);
}

export const secondsForChanges = (count: number, took: readonly number[]): number =>
  count * mean(took, CHANGE_SECONDS);
