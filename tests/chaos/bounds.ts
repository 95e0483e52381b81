/** What has to hold in every row of figures. */
import type { FaultName } from "../../lab/faults";
import type { Written } from "./etcd";
import type { Large } from "./large";
import { seldomLooked, type Counts, type Looked, type PushFailure, type Span } from "./measure";
import type { Role, Step } from "./plan";
import { brokenPushes } from "./pushes";

export interface Row {
  readonly step: Step;
  readonly nodes: readonly string[];
  /** All that these nodes were, as far as the fault hurt it. */
  readonly roles: readonly Role[];
  /** From the fault until all was whole. */
  readonly span: Span;
  readonly pushes: Counts;
  readonly pulls: Counts;
  /** Pushes begun from 3 s after the fault was done, before it was taken back or mended, that succeeded. */
  readonly pushed: number;
  /** All of the row that did not. */
  readonly failures: readonly PushFailure[];
  /** New layers that MinIO keeps in files of their own. */
  readonly large: Large;
  /** Writes to etcd in the same time as `pushed`, where a member of it is hurt. */
  readonly etcd?: Written;
  /** Pulls that failed though they were begun when the registry had answered again. */
  readonly failedOnReturn: number;
  /** From the fault until all that has to be refused was; undefined where nothing has to be. */
  readonly refusedSeconds?: number;
  /** How often the prober asked, and how often for a manifest that a hurt node's registry has, while the fault lasted. */
  readonly probes: number;
  readonly hurtProbes: number;
  /** Seconds in which it was looked who has the VIP. */
  readonly looks: Looked;
  /** Whether another node had the VIP, and none that was hurt, while the fault lasted. */
  readonly elsewhere: boolean;
  /** Milliseconds without an answer to `GET /v2/`. */
  readonly gapMs: number;
  /**
   * The slowest first byte of `GET /v2/` and a manifest while the fault lasted, from 3 s after it was done, or after it
   * was begun where it hurts from then on.
   */
  readonly slowestMs: number;
  /** The same, from when it was taken back until all was whole. */
  readonly slowestAfterMs: number;
  /** On end, by the clock's, in which more than one node had the VIP. */
  readonly secondsOfTwo: number;
  /** The same as finer looks tell, which is never less than it was. */
  readonly longestOfTwoMs: number;
  /** Acknowledged by the registry, or by etcd, and not there afterwards, or other than it was. */
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
/** A bound is kept as well where nobody asks for anything. */
export const LEAST_PULLS = 6;
const LEAST_PROBES_PER_SECOND = 2;
const LEAST_HURT_PROBES = 2;
/** While etcd has no leader it takes none. */
const MOST_FAILED_WRITES = 2;

/** Faults by which others have the VIP as soon as its holder is silent. */
const silencing: readonly FaultName[] = ["power", "freeze-host", "lose", "drop", "drop-out", "cut-off"];

type Hurting = Pick<Row, "step" | "roles">;

const isHolderAlone = ({ step, roles }: Hurting): boolean =>
  (step.count ?? 1) === 1 && roles.includes("holder");

/** Programs without which a node is no front. */
const ofFront: readonly (string | undefined)[] = ["keepalived", "nginx"];

/** Whether the fault takes the VIP's holder away, for everybody and at once. */
const takesHolder = (row: Hurting): boolean =>
  isHolderAlone(row) &&
  (silencing.includes(row.step.fault) || ofFront.includes(row.step.choice) || killsDocker(row.step));

/** Docker that is frozen leaves its containers alone; one that is started again ends them. */
const killsDocker = ({ fault, choice }: Step): boolean => fault === "kill" && choice === "docker";

/**
 * Whether the VIP has to leave the node. One that hears nothing goes on saying that it lives, until its own check has it
 * give the VIP away, which takes some three seconds.
 */
const losesVip = (row: Hurting): boolean =>
  takesHolder(row) || (isHolderAlone(row) && row.step.fault === "drop-in");

const refusesPulls = ({ refuses }: Step): boolean => refuses === "everything" || refuses === "silence";

const seconds = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : "no answer");

/** What was measured too seldom to say anything. */
function tooLittle({ step, span, pulls, probes, hurtProbes, looks }: Row): string[] {
  const length = (span.to - span.from) / 1000;
  const times = (count: number): string => `${count} times in ${length.toFixed(0)} s`;
  const isHurtSeldom = (step.count ?? 1) === 1 && hurtProbes < LEAST_HURT_PROBES;
  return [
    ...(pulls.all < LEAST_PULLS ? [`only ${pulls.all} pulls`] : []),
    ...(probes < LEAST_PROBES_PER_SECOND * length ? [`the prober asked only ${times(probes)}`] : []),
    ...(isHurtSeldom ? [`the prober asked for the hurt registry's manifest only ${hurtProbes} times`] : []),
    ...seldomLooked(looks),
  ];
}

/** What has to work while one node alone is hurt. */
function brokenForOne({ pushed, large, etcd, slowestMs, slowestAfterMs }: Row): string[] {
  const broken: string[] = [];
  if (pushed === 0) broken.push("no push begun while it lasted succeeded");
  else if (large.meanwhile === 0) broken.push("no large layer begun while it lasted was acknowledged");
  if (slowestMs >= FIRST_BYTE_MS) broken.push(`first byte: ${seconds(slowestMs)}`);
  if (slowestAfterMs >= FIRST_BYTE_MS) broken.push(`first byte on return: ${seconds(slowestAfterMs)}`);
  if (etcd?.ok === 0) broken.push("etcd took no write while it lasted");
  if (etcd && etcd.failed > MOST_FAILED_WRITES) broken.push(`etcd did not take ${etcd.failed} writes`);
  return broken;
}

/** The bounds that a row does not keep. */
export function brokenBounds(row: Row): string[] {
  const { step, pulls, gapMs, lost, command } = row;
  const broken: string[] = [];
  if (lost.length > 0) broken.push(`${lost.length} acknowledged are lost`);
  if (!refusesPulls(step) && pulls.after > 0) broken.push(`${pulls.after} pulls failed`);
  if (refusesPulls(step) && row.failedOnReturn > 0)
    broken.push(`${row.failedOnReturn} pulls failed when it answered again`);
  if (takesHolder(row) && gapMs >= GAP_MS) broken.push(`a gap of ${seconds(gapMs)}`);
  if (losesVip(row) && !row.elsewhere) broken.push("the VIP did not leave");
  if ((step.count ?? 1) === 1) broken.push(...brokenForOne(row));
  broken.push(...brokenPushes(step, row.failures));
  if (row.large.count === 0) broken.push("no new large layer was acknowledged");
  if (row.secondsOfTwo > TWO_SECONDS)
    broken.push(`two holders of the VIP in ${row.secondsOfTwo} seconds on end`);
  if (row.strengthSeconds === undefined) broken.push("not at full strength");
  if (command !== undefined && step.remedy === undefined) broken.push(`not by itself, but by ${command}`);
  return [...broken, ...tooLittle(row), ...row.problems];
}

/** How requests went while nothing was hurt or changed, up to the beginning of a row. */
export interface Between {
  /** The row's name. */
  readonly before: string;
  readonly pushes: Counts;
  readonly pulls: Counts;
  readonly reasons: readonly string[];
}

export const brokenBetween = (between: readonly Between[]): string[] =>
  between.flatMap(({ before, pushes, pulls }) => [
    ...(pushes.after > 0 ? [`${pushes.after} pushes failed before "${before}"`] : []),
    ...(pulls.after > 0 ? [`${pulls.after} pulls failed before "${before}"`] : []),
  ]);
