/** One fault, from before it until all is whole again and everything has been read back. */
import { LabError, waitFor } from "../../lab/exec";
import type { Place } from "../../lab/faults";
import { NotHere } from "../../lab/faults/cgroups";
import { hostNamed, type Host } from "../../lab/instance";
import { watchBites } from "./bites";
import { LEAST_PULLS, type Row } from "./bounds";
import { reasonsOf } from "./causes";
import type { Probe } from "./client/probe";
import { askAll } from "./clients";
import { writtenIn } from "./etcd";
import { figures, GRACE_MS, lastingOf } from "./figures";
import { begin, takeBack } from "./hurt";
import type { LargePushes } from "./large";
import type { Outcome } from "./load";
import { countsOf, type Span } from "./measure";
import {
  holdSeconds,
  isTakenBack,
  nameOf,
  nodesFor,
  REFUSAL_SECONDS,
  rolesHurt,
  wantsPlainLeader,
  type Cast,
  type Role,
  type Step,
} from "./plan";
import { passLeadership } from "./leadership";
import { recover, shortly } from "./recover";
import {
  awaitRefusal,
  openUpload,
  wronglyAnswered,
  wronglyPushed,
  type Ask,
  type Known,
  type Refusal,
} from "./refusal";
import type { Stage } from "./stage";
import { leaderOf } from "./strength";
import { holdersOf } from "./vip";

/** By when pushes and pulls that were begun are in the middle of their layers. */
const UNDER_WAY_MS = 1000;
/** So many while a fault lasts, until one is acknowledged: no more than may fail. */
const LARGE_PUSHES = 2;
const LARGE_PAUSE_MS = 2000;
/** Soon enough for a request that must be refused to be asked again. */
const REFUSAL_MS = 5000;
/** How long the load is hurried where a row has too few pulls. */
const PULLS_MS = 60_000;
/** How long it may take until somebody has the VIP, and Swarm a leader. */
const CAST_MS = 30_000;
/** From when on an answer is told of by itself: a quarter of what a row of one node allows. */
const LATE_MS = 500;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

async function castOf(stage: Stage): Promise<Cast> {
  const { nodes, managers } = stage.members;
  const names = nodes.map(({ host }) => host.name);
  const held = async (): Promise<string | undefined> => (await holdersOf(stage.instance).catch(() => []))[0];
  const holder = await waitFor(held, CAST_MS, 1000);
  const leader = await waitFor(() => leaderOf(nodes.slice(0, managers)), CAST_MS, 1000);
  if (holder === undefined) throw new LabError("no node has the VIP: nothing can be measured");
  if (leader === undefined) throw new LabError("no manager names a leader: nothing can be measured");
  return { nodes: names, managers: names.slice(0, managers), holder, leader };
}

/** A fault: when it was begun, and when the last node had it. */
interface Hurt {
  readonly from: number;
  readonly at: number;
  readonly refusedSeconds?: number;
  readonly problems: readonly string[];
}

/** A row that is under way. */
interface Going {
  readonly stage: Stage;
  readonly step: Step;
  readonly places: readonly Place[];
  readonly roles: readonly Role[];
  readonly large: LargePushes;
  readonly client: Host;
}

function asking({ stage, client }: Going): Ask {
  return (asked) =>
    askAll(
      client,
      asked.map((one) => ({ ...one, login: stage.login, timeoutMs: REFUSAL_MS })),
    );
}

/** A layer that cannot be pushed, as a few may not, says nothing of the next: one is to be acknowledged. */
async function pushMeanwhile(
  large: LargePushes,
  repository: string | undefined,
  until: number,
): Promise<void> {
  for (let left = LARGE_PUSHES; left > 0 && Date.now() < until; left--) {
    if (await large.push(large.sizes[2], repository)) return;
    await pause(LARGE_PAUSE_MS);
  }
}

/** What is asked of the registry while a fault lasts. @param known where something is to be refused */
async function askMeanwhile(going: Going, known: Known | undefined, at: number): Promise<Refusal> {
  const { stage, step, places, large, client } = going;
  const { refuses } = step;
  if (refuses === undefined) {
    await pause(at + GRACE_MS + 1 - Date.now());
    stage.load.hurry();
    // To the registry that is hurt: the front takes it to another one where it is gone.
    const hurt = stage.probed.find(({ node }) => places.some(({ host }) => host.name === node));
    void pushMeanwhile(large, hurt?.repository, at + holdSeconds(step) * 1000);
  }
  if (refuses === undefined || refuses === "silence" || !known) return { problems: [] };
  const until = at + holdSeconds(step) * 1000;
  return awaitRefusal(refuses, known, asking(going), { since: at, until }, () => stage.load.pushNow(client));
}

/** What is there to be refused, where something has to be. */
async function knownTo(going: Going): Promise<Known | undefined> {
  const { refuses } = going.step;
  const [probed] = going.stage.probed;
  if (refuses === undefined || refuses === "silence" || !probed) return undefined;
  return { ...probed, upload: await openUpload(probed.repository, asking(going)) };
}

/** Hurts the nodes for as long as it takes to see what that does. */
async function hold(going: Going): Promise<Hurt> {
  const { stage, step, places, roles, large } = going;
  const bites = await watchBites(step, places, roles);
  const known = await knownTo(going);
  await large.push(large.sizes[0]);
  stage.load.hurry();
  void large.push(large.sizes[1]);
  await pause(UNDER_WAY_MS);
  const from = Date.now();
  await begin(step, places, roles);
  const at = Date.now();
  const [toothless, refused] = await Promise.all([bites(), askMeanwhile(going, known, at)]);
  await pause(at + holdSeconds(step) * 1000 - Date.now());
  // Nothing is done to the node now, and without more requests a row of twenty seconds has too few.
  if (!isTakenBack(step)) stage.load.hurry();
  return { from, at, refusedSeconds: refused.seconds, problems: [...toothless, ...refused.problems] };
}

/** Hurries the load until it has pulled often enough to say something: some rows are over in fifteen seconds. */
async function pullEnough({ load }: Stage, from: number): Promise<void> {
  const isEnough = async (): Promise<true | undefined> => {
    if (countsOf(load.outcomes, "pull", { from, to: Date.now() }).all >= LEAST_PULLS) return true;
    load.hurry();
    return undefined;
  };
  await waitFor(isEnough, PULLS_MS, 1000);
}

/** What the prober got in place of answers, by path: how often, from when to when, and the last of it. */
function silences(probes: readonly Probe[], from: number, to: number, zero: number): string[] {
  const bad = probes.filter(({ at, status }) => at > from && at <= to && status !== 200);
  return [...new Set(bad.map(({ path }) => path))].map((path) => {
    const those = bad.filter((probe) => probe.path === path);
    const seconds = those.map(({ at }) => ((at - zero) / 1000).toFixed(1));
    const last = those.at(-1);
    return `${path.slice(0, 30)}: ${those.length} without success, asked ${seconds[0]} to ${seconds.at(-1)} s after the fault: ${last?.error ?? last?.status}`;
  });
}

/** Answers that came late, though within the prober's patience. */
function delays(probes: readonly Probe[], from: number, to: number, zero: number): string[] {
  return probes
    .filter(({ at, status, firstByteMs }) => at > from && at <= to && status === 200 && firstByteMs > LATE_MS)
    .map(({ path, at, firstByteMs }) => {
      const [asked, waited] = [at - zero, firstByteMs].map((ms) => (ms / 1000).toFixed(1));
      return `${path.slice(0, 30)}: first byte after ${waited} s, asked ${asked} s after the fault`;
    });
}

/** Who is what, once Swarm's leader has not got the VIP where the step wants that. */
async function castFor(stage: Stage, step: Step): Promise<Cast> {
  const cast = await castOf(stage);
  if (!wantsPlainLeader(step) || cast.leader !== cast.holder) return cast;
  stage.say(`    ${cast.leader} leads the Swarm and has the VIP: another one is to lead`);
  await passLeadership(stage.members.nodes.slice(0, stage.members.managers), cast.leader);
  const now = await castOf(stage);
  if (now.leader !== now.holder) return now;
  throw new LabError(`${now.leader} has the VIP, and leads the Swarm again`);
}

/** Who is what, and what is done to whom. */
async function prepared(stage: Stage, step: Step): Promise<Going> {
  const cast = await castFor(stage, step);
  const nodes = nodesFor(step, cast);
  const [client] = stage.clients;
  if (!client) throw new LabError("the lab has no client");
  stage.say(`${nameOf(step)}: ${nodes.join(", ")} (VIP: ${cast.holder}, leader: ${cast.leader})`);
  const places = nodes.map((name) => ({ instance: stage.instance, host: hostNamed(stage.instance, name) }));
  const roles = rolesHurt(step, nodes, cast);
  return { stage, step, places, roles, large: stage.nextRow(), client };
}

/** Does one step, and gives back its row of figures. @throws NotHere where this machine cannot do it */
export async function round(stage: Stage, step: Step): Promise<Row> {
  const going = await prepared(stage, step);
  const { places, roles, large } = going;
  const nodes = places.map(({ host }) => host.name);
  const written = roles.includes("etcd") ? stage.etcd.start(nodes) : undefined;
  const start = Date.now();
  const hurt = await hold(going).catch(async (error: unknown): Promise<Hurt> => {
    if (!(error instanceof NotHere)) return { from: start, at: Date.now(), problems: [shortly(error)] };
    // Whatever was begun is taken back, so that the lab is as it was.
    await takeBack(step, places).catch(() => undefined);
    await written?.();
    throw error;
  });
  const { from } = hurt;
  const mending = Date.now();
  const lasting = lastingOf({ hurt: hurt.at, mending });
  const [recovery, writes] = await Promise.all([
    recover(stage, step, places, from),
    written?.(),
    pullEnough(stage, from),
  ]);
  const to = Date.now();
  const acknowledged = await large.acknowledged(lasting);
  const { lost, problems } = await reread(stage, recovery.seconds !== undefined, writes !== undefined);
  // What was under way belongs to the row, however it ends.
  await stage.load.settled();
  const failed = tell(stage, { from, to });
  return {
    step,
    nodes,
    roles,
    ...figures(stage, step, nodes, { from, hurt: hurt.at, mending, to }),
    refusedSeconds: hurt.refusedSeconds,
    large: acknowledged,
    ...(writes ? { etcd: writtenIn(writes, lasting) } : {}),
    reasons: reasonsOf(failed),
    lost,
    strengthSeconds: recovery.seconds,
    command: recovery.command,
    problems: [
      ...hurt.problems,
      ...refusedMeanwhile(stage, step, hurt, mending),
      ...recovery.problems,
      ...problems,
    ],
  };
}

/** Says what failed, and gives it. */
function tell(stage: Stage, { from, to }: Span): readonly Outcome[] {
  const failed = stage.load.outcomes.filter(
    (one) => one.end >= from && one.start <= to && one.error !== undefined,
  );
  for (const { kind, client, ok, start: begun, error } of failed.slice(0, 8))
    stage.say(
      `    ${kind} from ${client} ${((begun - from) / 1000).toFixed(1)} s: ${ok ? "again" : "failed"}: ${error}`,
    );
  for (const told of [silences, delays])
    for (const line of told(stage.probes, from + GRACE_MS, to, from)) stage.say(`    ${line}`);
  return failed;
}

/** What clients were told in place of a refusal, once that had been clear, or had to be. */
function refusedMeanwhile(stage: Stage, { refuses }: Step, hurt: Hurt, mending: number): string[] {
  const { at, refusedSeconds } = hurt;
  if (refuses === undefined) return [];
  if (refuses === "silence") {
    const late: Span = { from: at + REFUSAL_SECONDS * 1000, to: mending };
    return wronglyAnswered(stage.probes, late, [0, 503]);
  }
  if (refusedSeconds === undefined) return [];
  const clear: Span = { from: at + Math.floor(refusedSeconds * 1000), to: mending };
  const pulls = refuses === "everything" ? wronglyAnswered(stage.probes, clear, [503]) : [];
  return [...wronglyPushed(stage.load.outcomes, clear), ...pulls];
}

/** Reads back what was acknowledged, by etcd too where it was asked to keep something. */
async function reread(
  stage: Stage,
  isWhole: boolean,
  withEtcd: boolean,
): Promise<Pick<Row, "lost" | "problems">> {
  // Nobody answers, which says nothing of what is kept, and each of thousands of requests would wait for that.
  const isServed = isWhole || (await holdersOf(stage.instance).catch(() => [])).length > 0;
  try {
    const lost = isServed ? await stage.readBack() : [];
    const ofEtcd = withEtcd ? await stage.etcd.lost() : [];
    for (const loss of ofEtcd.slice(0, 5)) stage.say(`    ${loss}`);
    return {
      lost: [...lost, ...ofEtcd],
      problems: isServed ? [] : ["nothing was read back, as no node has the VIP"],
    };
  } catch (error) {
    return { lost: [], problems: [shortly(error)] };
  }
}
