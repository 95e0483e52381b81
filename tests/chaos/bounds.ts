/** What has to hold in every row of figures. */
import type { Counts } from "./measure";
import type { Step } from "./plan";

export interface Row {
  readonly step: Step;
  readonly nodes: readonly string[];
  readonly pushes: Counts;
  readonly pulls: Counts;
  /** Pushes begun from 3 s after the fault on, before it was taken back, that succeeded. */
  readonly pushed: number;
  /** Pulls that failed though they were begun when the registry had answered again. */
  readonly failedOnReturn: number;
  /** Milliseconds without an answer to `GET /v2/`. */
  readonly gapMs: number;
  /** The slowest first byte of `GET /v2/` and a manifest, from 3 s after the fault, while it lasted. */
  readonly slowestMs: number;
  /** The same, from when it was taken back until all was whole. */
  readonly slowestAfterMs: number;
  readonly secondsOfTwo: number;
  /** Acknowledged, and not there afterwards, or other than it was. */
  readonly lost: readonly string[];
  /** From when it was taken back, or from the fault where nothing takes it back; undefined where it did not come. */
  readonly strengthSeconds: number | undefined;
  /** The command it took, where it did not come by itself. */
  readonly command?: string;
  /** Why pushes and pulls did not succeed at the first try, and how often. */
  readonly reasons: readonly string[];
  /** What else was found wrong. */
  readonly problems: readonly string[];
}

const GAP_MS = 2000;
const FIRST_BYTE_MS = 2000;
const TWO_SECONDS = 2;

/** Whether the fault takes the VIP's holder away. */
const takesHolder = ({ fault, role, choice, count = 1 }: Step): boolean =>
  role === "holder" &&
  count === 1 &&
  (["power", "freeze-host", "lose"].includes(fault) || choice === "keepalived" || choice === "nginx");

const refusesPulls = ({ refuses }: Step): boolean => refuses === "everything" || refuses === "silence";

const seconds = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : "no answer");

/** The bounds that a row does not keep. */
export function brokenBounds(row: Row): string[] {
  const { step, pulls, gapMs, slowestMs, slowestAfterMs, lost } = row;
  const broken: string[] = [];
  if (lost.length > 0) broken.push(`${lost.length} acknowledged are lost`);
  if (!refusesPulls(step) && pulls.after > 0) broken.push(`${pulls.after} pulls failed`);
  if (refusesPulls(step) && row.failedOnReturn > 0)
    broken.push(`${row.failedOnReturn} pulls failed when it answered again`);
  if (takesHolder(step) && gapMs >= GAP_MS) broken.push(`a gap of ${seconds(gapMs)}`);
  if ((step.count ?? 1) === 1) {
    // MinIO takes nothing while one of its drives is full.
    if (row.pushed === 0 && step.fault !== "full-disk")
      broken.push("no push begun while it lasted succeeded");
    if (slowestMs >= FIRST_BYTE_MS) broken.push(`first byte: ${seconds(slowestMs)}`);
    if (slowestAfterMs >= FIRST_BYTE_MS) broken.push(`first byte on return: ${seconds(slowestAfterMs)}`);
  }
  if (row.secondsOfTwo > TWO_SECONDS) broken.push(`two holders of the VIP for ${row.secondsOfTwo} s`);
  if (row.strengthSeconds === undefined) broken.push("not at full strength");
  return [...broken, ...row.problems];
}
