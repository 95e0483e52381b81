/** Changes, each from before its update until all is whole and everything has been read back. */
import { LabError, waitFor } from "../../lab/exec";
import { reasonsOf, unexpected } from "./causes";
import { refusals, turnedAway, type ChangeRow } from "./changeRow";
import { urnsOf, type Change, type Edit, type Later, type Watch } from "./changes";
import { watchPause } from "./pause";
import {
  countsOf,
  longestGap,
  longestInVain,
  longestOfTwo,
  lookedAt,
  secondsOfTwo,
  slowestFirstByte,
  type Span,
} from "./measure";
import type { LargePushes } from "./large";
import { manifestOf } from "./probed";
import type { Stage } from "./stage";
import { watchAll, watchRestarts } from "./turns";
import { holdersOf } from "./vip";
import type { Ran, TestLab } from "../support/testLab";

/** From when on the update is over, for what was under way at its end. */
const AFTER_MS = 5000;
const STRENGTH_SECONDS = 240;
const HOLDER_MS = 10_000;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How an update went, or several. */
interface Updated {
  readonly seconds: number;
  readonly problems: readonly string[];
}

/** What is done of a lab to update it. */
type Updatable = Pick<TestLab, "stackFile" | "changeConfig" | "up">;

async function timed(work: () => Promise<Ran>): Promise<{ seconds: number; ran: Ran }> {
  const start = Date.now();
  const ran = await work();
  return { seconds: (Date.now() - start) / 1000, ran };
}

/** Changes the configuration and updates. */
async function update(stage: Stage, lab: TestLab, change: Change, holder: string): Promise<Updated> {
  await change.before?.(lab, holder);
  if (change.fails) {
    const failing = change.fails.map(({ edit, says }) => ({ edit: () => edit(lab), says }));
    return failAll(lab, failing, () => missingIn(stage));
  }
  const edit = await change.edit?.(lab, holder);
  if (edit) lab.changeConfig(edit);
  const { anew = [], says } = change;
  const urns = anew.length > 0 ? urnsOf(await lab.state(), anew) : [];
  const gone = anew.filter((name) => !urns.some((urn) => urn.endsWith(`::${name}`)));
  if (gone.length > 0) return { seconds: 0, problems: gone.map((name) => `there is no ${name}`) };
  const preview = says?.before && (await lab.pulumi(["preview"]));
  const { seconds, ran } = await timed(() => lab.up(urns.flatMap((urn) => ["--replace", urn])));
  return {
    seconds,
    problems: [
      ...(preview ? unsaid("a preview", preview, says?.before) : []),
      ...unsaid("the update", ran, says?.meanwhile),
      ...(ran.code === 0 ? [] : [failure(ran)]),
    ],
  };
}

const unsaid = (who: string, { output }: Ran, says: RegExp | undefined): string[] =>
  says === undefined || says.test(output) ? [] : [`${who} does not say ${says.source}`];

/**
 * Updates of which each has to fail and to go back by itself, which is waited for; the next one puts its configuration
 * back, and one that must not fail the last one's.
 */
export async function failAll(
  lab: Updatable,
  failing: readonly { readonly edit: () => Promise<Edit>; readonly says: RegExp }[],
  missing: () => Promise<readonly string[]>,
): Promise<Updated> {
  const before = lab.stackFile();
  const problems: string[] = [];
  let sum = 0;
  for (const { edit, says } of failing) {
    lab.changeConfig(before);
    lab.changeConfig(await edit());
    const { seconds, ran } = await timed(() => lab.up());
    sum += seconds;
    if (ran.code === 0) problems.push(`an update did not fail that has to say ${says.source}`);
    else if (!says.test(ran.output)) problems.push(`an update does not say ${says.source}: ${failure(ran)}`);
    const left = await missing();
    if (left.length > 0) problems.push(`not back by itself after ${says.source}: ${left.join(", ")}`);
  }
  lab.changeConfig(before);
  const back = await lab.up();
  if (back.code !== 0) problems.push(`with the configuration put back: ${failure(back)}`);
  return { seconds: sum, problems };
}

const failure = ({ code, output }: Ran): string =>
  `pulumi up ended with ${code}: ${output
    .split("\n")
    .filter((line) => /error|failed/i.test(line))
    .slice(-4)
    .join(" / ")
    .slice(0, 600)}`;

/** What is missing although it was waited for; nothing where all is whole. */
async function missingIn(stage: Stage): Promise<readonly string[]> {
  let missing: readonly string[] = [];
  const whole = await stage.strength.until(STRENGTH_SECONDS, (now) => (missing = now));
  return whole === undefined ? missing : [];
}

/** The same, and when that was known. */
async function missingUntil(stage: Stage): Promise<{ missing: readonly string[]; until: number }> {
  return { missing: await missingIn(stage), until: Date.now() };
}

/** The one node that has the VIP. */
async function holderOf(stage: Stage): Promise<string> {
  const one = async (): Promise<string | undefined> => {
    const holders = await holdersOf(stage.instance).catch(() => []);
    return holders.length === 1 ? holders[0] : undefined;
  };
  const holder = await waitFor(one, HOLDER_MS, 1000);
  if (holder === undefined) throw new LabError("not one node has the VIP: nothing can be measured");
  return holder;
}

/** What clients saw from before the update until it was over. */
function figures({ probes, probed, load, vip, say }: Stage, change: Change, span: Span) {
  const { from, to } = span;
  const within = probes.filter(({ at }) => at >= from && at <= to);
  const good = within.filter(({ status }) => status === 200);
  const outcomes = load.outcomes.filter((one) => one.end >= from && one.start <= to);
  const failed = outcomes.filter(({ error }) => error !== undefined);
  for (const { kind, client, ok, start, error } of failed.slice(0, 12))
    say(
      `    ${kind} from ${client} ${((start - from) / 1000).toFixed(1)} s: ${ok ? "again" : "failed"}: ${error}`,
    );
  return {
    pushes: countsOf(outcomes, "push", span),
    pulls: countsOf(outcomes, "pull", span),
    probes: { all: within.length, unanswered: within.length - good.length },
    gapMs: longestGap(probes, "/v2/", span),
    manifestsMs: Math.max(0, ...probed.map((one) => longestInVain(probes, manifestOf(one), span))),
    slowestMs: slowestFirstByte(good, [span]),
    secondsOfTwo: secondsOfTwo(vip.samples, span),
    longestOfTwoMs: longestOfTwo(vip.samples, span),
    looks: lookedAt(vip.samples, span),
    reasons: reasonsOf(outcomes),
    problems: [
      ...refusals(within, change.expects),
      ...(change.fronts ? turnedAway(within, outcomes) : []),
      ...unexpected(outcomes, change.expects),
    ],
  };
}

/** A change's row, and what is still to be found out of it. */
interface Measured {
  readonly row: ChangeRow;
  readonly later: readonly Promise<readonly string[]>[];
}

/** An update that is over, and what has looked on meanwhile. */
interface Watched extends Updated {
  readonly span: Span;
  readonly pauseSeconds?: number;
  readonly large: LargePushes;
  /** Ends what looked on, and gives what it has found. */
  readonly ended: () => Promise<readonly string[]>;
}

const watchOf = ({ watch, restarts }: Change): Watch =>
  watchAll(...(watch ? [watch] : []), ...(restarts ? [watchRestarts(restarts)] : []));

async function watched(stage: Stage, lab: TestLab, change: Change, onLater: Later): Promise<Watched> {
  const holder = await holderOf(stage);
  stage.say(`change: ${change.name} (VIP: ${holder})`);
  const large = stage.nextRow();
  await large.push(large.sizes[0]);
  const watching = await watchOf(change)(stage, lab, holder);
  const ended = (): Promise<readonly string[]> => watching(onLater);
  const pause = change.pauses ? watchPause(stage) : undefined;
  const from = Date.now();
  void large.push(large.sizes[1]);
  void large.push(large.sizes[2]);
  const noMore = large.keepPushing();
  try {
    const updated = await update(stage, lab, change, holder);
    noMore();
    await wait(AFTER_MS);
    return { ...updated, span: { from, to: Date.now() }, pauseSeconds: await pause?.(), large, ended };
  } catch (error) {
    noMore();
    await pause?.();
    await ended().catch(() => undefined);
    throw error;
  }
}

async function readAfter(stage: Stage, { large, span }: Watched): Promise<Pick<ChangeRow, "large" | "lost">> {
  const acknowledged = await large.acknowledged(span);
  return { large: acknowledged, lost: await stage.readBack() };
}

async function measured(stage: Stage, lab: TestLab, change: Change): Promise<Measured> {
  const later: Promise<readonly string[]>[] = [];
  // Nobody waits for it yet where the next change fails.
  const onLater: Later = (found) => later.push(found.catch((error: unknown) => [String(error)]));
  const over = await watched(stage, lab, change, onLater);
  const [found, { missing, until }, read] = await Promise.all([
    over.ended(),
    missingUntil(stage),
    readAfter(stage, over),
  ]);
  // What was under way belongs to the row, however it ends.
  await stage.load.settled();
  const span = change.pauses ? { ...over.span, to: until } : over.span;
  const seen = figures(stage, change, span);
  const { name, pushesGoOn, expects } = change;
  const row: ChangeRow = {
    name,
    span,
    ...seen,
    ...read,
    pushesGoOn,
    expects,
    pauseSeconds: over.pauseSeconds,
    seconds: over.seconds,
    problems: [
      ...over.problems,
      ...found,
      ...seen.problems,
      ...(missing.length > 0 ? [`missing: ${missing.join(", ")}`] : []),
    ],
  };
  return { row, later };
}

async function whole({ row, later }: Measured): Promise<ChangeRow> {
  const found = await Promise.all(later);
  return { ...row, problems: [...row.problems, ...found.flat()] };
}

/** Rows in the order of their changes. What is still to be found out of one is waited for once the next one is done. */
export async function* besideNext(changing: Iterable<() => Promise<Measured>>): AsyncGenerator<ChangeRow> {
  let open: Measured | undefined;
  for (const work of changing) {
    const next = await work().catch((error: unknown) => ({ error }));
    if (open) yield await whole(open);
    if ("error" in next) throw next.error;
    open = next.later.length > 0 ? next : undefined;
    if (!open) yield next.row;
  }
  if (open) yield await whole(open);
}

/** Does changes one after the other, and gives back the row of figures of each. */
export function changeRounds(
  stage: Stage,
  lab: TestLab,
  changes: readonly Change[],
): AsyncGenerator<ChangeRow> {
  return besideNext(changes.map((change) => () => measured(stage, lab, change)));
}

/** Does one change, and gives back its row of figures, once all of it is found out. */
export async function changeRound(stage: Stage, lab: TestLab, change: Change): Promise<ChangeRow> {
  return whole(await measured(stage, lab, change));
}
