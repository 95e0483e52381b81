/** The figures of a row, and the bounds. */
import type { Answer } from "./clients";
import type { Outcome } from "./load";

/** In milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export type Probe = Pick<Answer, "path" | "at" | "end" | "status">;

const good = ({ status }: Probe): boolean => status === 200;

/** The longest time in a span in which a path was not answered with success. */
export function longestGap(probes: readonly Probe[], path: string, { from, to }: Span): number {
  const times = probes
    .filter((probe) => probe.path === path && good(probe) && probe.end <= to)
    .map(({ end }) => end)
    .sort((one, other) => one - other);
  const before = times.filter((time) => time <= from).at(-1) ?? from;
  const points = [before, ...times.filter((time) => time > from), to];
  return Math.max(...points.slice(1).map((time, index) => time - (points[index] ?? time)));
}

export interface Counts {
  readonly all: number;
  /** Requests that did not succeed at the first try. */
  readonly failedFirst: number;
  /** Requests that failed after the client's own retries. */
  readonly failed: number;
}

export function countsOf(outcomes: readonly Outcome[], kind: Outcome["kind"]): Counts {
  const those = outcomes.filter((one) => one.kind === kind);
  return {
    all: those.length,
    failedFirst: those.filter(({ ok, retries }) => !ok || retries > 0).length,
    failed: those.filter(({ ok }) => !ok).length,
  };
}

/** Pulls that failed for good. @param unreadable without a read quorum they may fail */
export function failedPulls(outcomes: readonly Outcome[], unreadable?: Span): Outcome[] {
  const excused = ({ start, end }: Outcome): boolean =>
    unreadable !== undefined && end >= unreadable.from && start <= unreadable.to;
  return outcomes.filter((one) => one.kind === "pull" && !one.ok && !excused(one));
}

export interface Findings {
  /** Acknowledged, and lost or another at the end of the row. */
  readonly lost: readonly string[];
  /** Acknowledged, and missing or another right after the push through another edge node. */
  readonly stale: readonly string[];
  readonly failedPulls: readonly Outcome[];
}

const some = (problems: readonly string[], what: string): string[] =>
  problems.length > 0 ? [`${problems.length} ${what}, such as ${problems[0]}`] : [];

/** The only bounds: acknowledged and lost 0, pulls that failed after retries 0. */
export const brokenBounds = ({ lost, stale, failedPulls: failed }: Findings): string[] => [
  ...some(lost, "acknowledged are lost"),
  ...some(stale, "acknowledged are not seen by another edge node"),
  ...some(
    failed.map(({ error = "no reason" }) => error.slice(-160)),
    "pulls failed after retries",
  ),
];
