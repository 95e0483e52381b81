/** Figures out of what was recorded. */
import { causeOf, type Cause } from "./causes";
import type { Probe } from "./client/probe";
import type { Outcome } from "./load";

/** From when to when, in milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

const good = ({ status }: Probe): boolean => status === 200;
const answered = ({ at, firstByteMs }: Probe): number => at + firstByteMs;

/** The longest time in a span in which no probe of a path was answered with success. */
export function longestGap(probes: readonly Probe[], path: string, { from, to }: Span): number {
  const times = probes
    .filter((probe) => probe.path === path && good(probe))
    .map(answered)
    .filter((time) => time <= to)
    .sort((a, b) => a - b);
  const before = times.filter((time) => time <= from).at(-1) ?? from;
  const points = [before, ...times.filter((time) => time > from), to];
  return Math.max(...points.slice(1).map((time, index) => time - (points[index] ?? time)));
}

/**
 * The longest time in a span in which a path was asked for in vain, from the first to the last of requests on end without
 * success: it is asked for too seldom to know more.
 */
export function longestInVain(probes: readonly Probe[], path: string, { from, to }: Span): number {
  const those = probes.filter((probe) => probe.path === path && probe.at >= from && probe.at <= to);
  let longest = 0;
  let since: number | undefined;
  for (const probe of those.sort((one, other) => one.at - other.at)) {
    since = good(probe) ? undefined : (since ?? probe.at);
    if (since !== undefined) longest = Math.max(longest, probe.at - since);
  }
  return longest;
}

/** The slowest first byte of those asked in the spans; one that failed counts as never answered. */
export function slowestFirstByte(probes: readonly Probe[], spans: readonly Span[]): number {
  const within = ({ at }: Probe): boolean => spans.some(({ from, to }) => at >= from && at <= to);
  return Math.max(0, ...probes.filter(within).map((probe) => (good(probe) ? probe.firstByteMs : Infinity)));
}

/** Who has the VIP, as far as others could see it, at one moment. */
export interface Holders {
  readonly at: number;
  readonly nodes: readonly string[];
}

/** Looks on end that saw more than one node with the VIP, from the first of them to the first that did not. */
interface Two {
  readonly first: number;
  readonly last: number;
  readonly over: number;
}

function twosIn(samples: readonly Holders[], { from, to }: Span): Two[] {
  const within = samples.filter(({ at }) => at >= from && at <= to).sort((one, other) => one.at - other.at);
  const found: Two[] = [];
  let first: number | undefined;
  let last = 0;
  for (const { at, nodes } of [...within, { at: to, nodes: [] }]) {
    if (nodes.length > 1) {
      first ??= at;
      last = at;
    } else if (first !== undefined) {
      found.push({ first, last, over: at });
      first = undefined;
    }
  }
  return found;
}

const secondOf = (at: number): number => Math.floor(at / 1000);

/**
 * The most seconds on end that more than one node had the VIP, counted by the clock's: those in which it was seen, and
 * those after them without a look.
 */
export const secondsOfTwo = (samples: readonly Holders[], span: Span): number =>
  Math.max(
    0,
    ...twosIn(samples, span).map(
      ({ first, last, over }) => Math.max(secondOf(last), secondOf(over) - 1) - secondOf(first) + 1,
    ),
  );

/** How long that can have been at most, as far as looks tell, which are late on a machine with much to do. */
export const longestOfTwo = (samples: readonly Holders[], span: Span): number =>
  Math.max(0, ...twosIn(samples, span).map(({ first, over }) => over - first));

/** How many of a span's seconds were looked at. */
export interface Looked {
  readonly seconds: number;
  readonly of: number;
}

export function lookedAt(samples: readonly Holders[], { from, to }: Span): Looked {
  const within = samples.filter(({ at }) => at >= from && at <= to);
  const seconds = new Set(within.map(({ at }) => secondOf(at))).size;
  // Its first second and its last are no whole ones.
  return { seconds, of: Math.max(1, Math.floor((to - from) / 1000)) };
}

const LEAST_LOOKED = 0.9;

/** What was looked at too seldom to count anything by it. */
export const seldomLooked = ({ seconds, of }: Looked): string[] =>
  seconds < LEAST_LOOKED * of ? [`the VIP was looked for in ${seconds} of ${of} seconds only`] : [];

/** Whether a node that was not hurt was seen to have the VIP in a span, and none that was. */
export function wasElsewhere(
  samples: readonly Holders[],
  hurt: readonly string[],
  { from, to }: Span,
): boolean {
  const within = samples.filter(({ at }) => at >= from && at <= to);
  return within.some(({ nodes }) => nodes.length > 0 && !nodes.some((node) => hurt.includes(node)));
}

/** How many of what was recorded belong to a span. */
export const countIn = (those: readonly { readonly at: number }[], { from, to }: Span): number =>
  those.filter(({ at }) => at >= from && at <= to).length;

export interface Counts {
  readonly all: number;
  /** Those that did not succeed at the first try. */
  readonly before: number;
  /** Those that failed in spite of the client's own further tries. */
  readonly after: number;
}

const isUnderWay = ({ start, end }: Outcome, { from, to }: Span): boolean => end >= from && start <= to;

/** The requests that were under way in none of the spans. */
export const inNone = (outcomes: readonly Outcome[], spans: readonly Span[]): Outcome[] =>
  outcomes.filter((one) => !spans.some((span) => isUnderWay(one, span)));

/** How the requests went that were under way in a span. */
export function countsOf(outcomes: readonly Outcome[], kind: Outcome["kind"], span: Span): Counts {
  const those = outcomes.filter((one) => one.kind === kind && isUnderWay(one, span));
  return {
    all: those.length,
    before: those.filter(({ ok, retries }) => !ok || retries > 0).length,
    after: those.filter(({ ok }) => !ok).length,
  };
}

/** How those went that were begun in a span, whenever they ended. */
export function begunIn(
  outcomes: readonly Outcome[],
  kind: Outcome["kind"],
  { from, to }: Span,
): { readonly ok: number; readonly failed: number } {
  const those = outcomes.filter((one) => one.kind === kind && one.start >= from && one.start <= to);
  const ok = those.filter((one) => one.ok).length;
  return { ok, failed: those.length - ok };
}

/** When a path was first answered with success, of what was asked in a span; its end where it was not. */
export function answeredFrom(probes: readonly Probe[], path: string, { from, to }: Span): number {
  const those = probes.filter((probe) => probe.path === path && probe.at >= from && good(probe));
  return Math.min(to, ...those.map(answered));
}

/** A push that failed for good. */
export interface PushFailure {
  /**
   * `on return`: begun once a push had succeeded that was begun after the fault was taken back. `around`: begun before
   * that, or before the fault had lasted for some seconds.
   */
  readonly begun: "while it lasted" | "on return" | "around";
  readonly cause: Cause;
}

/** @param lasting from some seconds after the fault until it was taken back */
export function pushFailures(
  outcomes: readonly Outcome[],
  span: Span,
  lasting: Span,
): readonly PushFailure[] {
  const pushes = outcomes.filter(({ kind }) => kind === "push");
  const again = pushes.filter(({ ok, start }) => ok && start > lasting.to).map(({ end }) => end);
  const returned = Math.min(Infinity, ...again);
  const begun = (start: number): PushFailure["begun"] => {
    if (start > returned) return "on return";
    return start >= lasting.from && start <= lasting.to ? "while it lasted" : "around";
  };
  return pushes
    .filter((one) => !one.ok && isUnderWay(one, span))
    .map(({ start, error = "nothing said" }) => ({ begun: begun(start), cause: causeOf(error) }));
}
