/** The figures of a fault's row, out of what was recorded. */
import type { FaultName } from "../../lab/faults";
import type { Probe } from "./client/probe";
import type { Outcome } from "./load";
import {
  answeredFrom,
  begunIn,
  countIn,
  countsOf,
  longestGap,
  longestOfTwo,
  lookedAt,
  pushFailures,
  secondsOfTwo,
  slowestFirstByte,
  wasElsewhere,
  type Holders,
  type Span,
} from "./measure";
import type { Step } from "./plan";
import { manifestOf, type Probed } from "./probed";

/** From when on first bytes have to be fast, and pushes to succeed. */
export const GRACE_MS = 3000;

/** Faults that hurt from their beginning, and are done only seconds later. */
export const hurtingAtOnce: readonly FaultName[] = ["power", "lose", "corrupt", "wipe"];

/** When a fault was begun, when it was done, when it was taken back, and when all was over. */
export interface Times {
  readonly from: number;
  readonly hurt: number;
  readonly mending: number;
  readonly to: number;
}

/** What was recorded of a stage. */
export interface Recorded {
  readonly probes: readonly Probe[];
  readonly probed: readonly Probed[];
  readonly load: { readonly outcomes: readonly Outcome[] };
  readonly vip: { readonly samples: readonly Holders[] };
}

/** From some seconds after the fault was done until it was taken back. */
export const lastingOf = ({ hurt, mending }: Pick<Times, "hurt" | "mending">): Span => ({
  from: hurt + GRACE_MS,
  to: mending,
});

export function figures(
  { probes, load, vip, probed }: Recorded,
  { fault }: Step,
  nodes: readonly string[],
  times: Times,
) {
  const { from, hurt, mending, to } = times;
  const span: Span = { from, to };
  const lasting = lastingOf(times);
  const returned = probed.map((one) => answeredFrom(probes, manifestOf(one), { from: mending, to }));
  const hurtPaths = probed.filter(({ node }) => nodes.includes(node)).map(manifestOf);
  const ofHurt = probes.filter(({ path }) => hurtPaths.includes(path));
  const slowFrom = (hurtingAtOnce.includes(fault) ? from : hurt) + GRACE_MS;
  return {
    span,
    pushes: countsOf(load.outcomes, "push", span),
    pulls: countsOf(load.outcomes, "pull", span),
    pushed: begunIn(load.outcomes, "push", lasting).ok,
    failures: pushFailures(load.outcomes, span, lasting),
    failedOnReturn: begunIn(load.outcomes, "pull", { from: Math.max(...returned), to }).failed,
    probes: countIn(probes, span),
    hurtProbes: countIn(ofHurt, lasting),
    looks: lookedAt(vip.samples, span),
    elsewhere: wasElsewhere(vip.samples, nodes, { from: hurt, to: mending }),
    gapMs: longestGap(probes, "/v2/", span),
    slowestMs: slowestFirstByte(probes, [{ from: slowFrom, to: mending }]),
    slowestAfterMs: slowestFirstByte(probes, [{ from: mending, to }]),
    secondsOfTwo: secondsOfTwo(vip.samples, span),
    longestOfTwoMs: longestOfTwo(vip.samples, span),
  };
}
