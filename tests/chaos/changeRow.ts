/** The figures of a change, and what has to hold in them. */
import type { Expected } from "./causes";
import type { Probe } from "./client/probe";
import type { Large } from "./large";
import type { Outcome } from "./load";
import { seldomLooked, type Counts, type Looked, type Span } from "./measure";

export interface ChangeRow {
  readonly name: string;
  /** From before the update until it was over for what was under way then; where it takes a pause, until all was whole. */
  readonly span: Span;
  readonly pushes: Counts;
  readonly pulls: Counts;
  /** Requests on new connections, and those of them that got nothing or an error. */
  readonly probes: { readonly all: number; readonly unanswered: number };
  /** Milliseconds without an answer to `GET /v2/`. */
  readonly gapMs: number;
  /** For which a registry's manifest was asked for in vain on end. */
  readonly manifestsMs: number;
  /** Slowest first byte of those that were answered. */
  readonly slowestMs: number;
  /** On end, by the clock's, in which more than one node had the VIP. */
  readonly secondsOfTwo: number;
  /** The same as finer looks tell, which is never less than it was. */
  readonly longestOfTwoMs: number;
  /** Seconds in which it was looked who has the VIP. */
  readonly looks: Looked;
  /** New layers that MinIO keeps in files of their own. */
  readonly large: Large;
  readonly lost: readonly string[];
  /** Of the update. */
  readonly seconds: number;
  /** Without a push that was accepted, where the change has to have a pause. */
  readonly pauseSeconds?: number;
  /** Whether no push may fail for good, whatever the reason. */
  readonly pushesGoOn?: boolean;
  /** For what pushes may fail for good. */
  readonly expects?: readonly Expected[];
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
  if (pauseSeconds === undefined && row.manifestsMs >= GAP_MS)
    broken.push(`a manifest was asked for in vain for ${(row.manifestsMs / 1000).toFixed(1)} s`);
  if (row.secondsOfTwo > TWO_SECONDS)
    broken.push(`two holders of the VIP in ${row.secondsOfTwo} seconds on end`);
  if (row.large.count === 0) broken.push("no new large layer was acknowledged");
  else if (row.large.meanwhile === 0 && pauseSeconds === undefined)
    broken.push("no large layer begun meanwhile was acknowledged");
  return [...broken, ...seldomLooked(row.looks), ...row.problems];
}

/** Nobody may be told meanwhile that their password is wrong, or their right is gone, nor that something failed inside. */
export function refusals(probes: readonly Probe[], expected: readonly Expected[] = []): string[] {
  const refused = probes.filter(({ status }) => status === 401 || status === 403).length;
  const failed = expected.some(({ cause }) => cause === "inside")
    ? 0
    : probes.filter(({ status }) => status === 500).length;
  return [
    ...(refused > 0 ? [`${refused} requests were refused`] : []),
    ...(failed > 0 ? [`${failed} requests were answered with 500`] : []),
  ];
}

/** A connection refused: nginx had stopped before the VIP had left it. */
export function turnedAway(probes: readonly Probe[], outcomes: readonly Outcome[]): string[] {
  const errors = [...probes, ...outcomes].filter(({ error = "" }) =>
    /ECONNREFUSED|connection refused/i.test(error),
  );
  return errors.length > 0 ? [`${errors.length} connections were refused: no nginx where the VIP was`] : [];
}
