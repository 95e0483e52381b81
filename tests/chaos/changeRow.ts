/** The figures of a change, and what has to hold in them. */
import type { Probe } from "./client/probe";
import type { Outcome } from "./load";
import type { Counts } from "./measure";

export interface ChangeRow {
  readonly name: string;
  readonly pushes: Counts;
  readonly pulls: Counts;
  /** Requests on new connections, and those of them that got nothing or an error. */
  readonly probes: { readonly all: number; readonly unanswered: number };
  /** Milliseconds without an answer to `GET /v2/`. */
  readonly gapMs: number;
  /** Slowest first byte of those that were answered. */
  readonly slowestMs: number;
  readonly secondsOfTwo: number;
  readonly lost: readonly string[];
  /** Of the update. */
  readonly seconds: number;
  /** Without a push that was accepted, where the change has to have a pause. */
  readonly pauseSeconds?: number;
  /** Whether no push may fail for good, whatever the reason. */
  readonly pushesGoOn?: boolean;
  /** Why pushes and pulls did not succeed at the first try, and how often. */
  readonly reasons: readonly string[];
  /** What else was found wrong. */
  readonly problems: readonly string[];
}

const GAP_MS = 2000;
const TWO_SECONDS = 2;
/** All members of MinIO start anew, and find each other. */
const PAUSE_SECONDS = 60;

/** The bounds that a row does not keep. */
export function brokenChange(row: ChangeRow): string[] {
  const broken: string[] = [];
  if (row.lost.length > 0) broken.push(`${row.lost.length} acknowledged are lost`);
  const { pauseSeconds } = row;
  if (pauseSeconds === 0) broken.push("no push was refused: the pause was not seen");
  if (pauseSeconds !== undefined && pauseSeconds > PAUSE_SECONDS)
    broken.push(`no push was accepted for ${pauseSeconds.toFixed(0)} s`);
  if (pauseSeconds === undefined && row.pulls.after > 0) broken.push(`${row.pulls.after} pulls failed`);
  if (row.pushesGoOn && row.pushes.after > 0) broken.push(`${row.pushes.after} pushes failed`);
  if (row.gapMs >= (pauseSeconds === undefined ? GAP_MS : PAUSE_SECONDS * 1000))
    broken.push(`a gap of ${(row.gapMs / 1000).toFixed(1)} s`);
  if (row.secondsOfTwo > TWO_SECONDS) broken.push(`two holders of the VIP for ${row.secondsOfTwo} s`);
  return [...broken, ...row.problems];
}

/** Nobody may be told meanwhile that their password is wrong, or their right is gone. */
export function refusals(probes: readonly Probe[]): string[] {
  const refused = probes.filter(({ status }) => status === 401 || status === 403);
  return refused.length > 0 ? [`${refused.length} requests were refused`] : [];
}

const OTHER = "other: ";

const causes: readonly [RegExp, string][] = [
  [/connection reset|broken pipe|\bEOF\b/i, "the connection ended with its front"],
  [/connection refused/i, "no front at the VIP"],
  [/blob upload (invalid|unknown)|upload (resumed|unknown)/i, "an upload begun before is unknown"],
  [/\b50[234]\b|service unavailable|bad gateway|unavailable/i, "no registry or store"],
  [/\b500\b|internal server error/i, "something failed inside"],
  [/timeout|deadline|not done after/i, "too slow"],
  [/unauthorized|denied|\b40[13]\b/i, "refused"],
];

export function causeOf(error: string): string {
  return causes.find(([pattern]) => pattern.test(error))?.[1] ?? `${OTHER}${error.slice(-120)}`;
}

/** Pushes that failed for good, for a reason that nobody has understood yet. */
export function unexplained(outcomes: readonly Outcome[]): string[] {
  const failed = outcomes.filter(({ kind, ok }) => kind === "push" && !ok);
  const causes = failed.map(({ error }) => causeOf(error ?? "nothing said"));
  return [...new Set(causes.filter((cause) => cause.startsWith(OTHER)))].map(
    (cause) => `a push failed, and it is not understood why: ${cause.slice(OTHER.length)}`,
  );
}

/** A connection refused: nginx had stopped before the VIP had left it. */
export function turnedAway(probes: readonly Probe[], outcomes: readonly Outcome[]): string[] {
  const errors = [...probes, ...outcomes].filter(({ error = "" }) =>
    /ECONNREFUSED|connection refused/i.test(error),
  );
  return errors.length > 0 ? [`${errors.length} connections were refused: no nginx where the VIP was`] : [];
}

export function reasonsOf(outcomes: readonly Outcome[]): string[] {
  const counts = new Map<string, number>();
  for (const { kind, error } of outcomes) {
    if (error === undefined) continue;
    const reason = `${kind}: ${causeOf(error)}`;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `${count}× ${reason}`);
}
