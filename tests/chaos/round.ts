/** One fault, from before it until all is whole again and everything has been read back. */
import { LabError, waitFor } from "../../lab/exec";
import type { Place } from "../../lab/faults";
import { NotHere } from "../../lab/faults/cgroups";
import { hostNamed, type Host } from "../../lab/instance";
import { watchBites } from "./bites";
import type { Row } from "./bounds";
import type { Probe } from "./client/probe";
import { askAll, readBack } from "./clients";
import { reasonsOf } from "./changeRow";
import { begin, takeBack } from "./hurt";
import {
  answeredFrom,
  begunIn,
  countIn,
  countsOf,
  longestGap,
  secondsOfTwo,
  slowestFirstByte,
  wasElsewhere,
  type Span,
} from "./measure";
import { holdSeconds, nameOf, nodesFor, rolesHurt, type Cast, type Role, type Step } from "./plan";
import { recover, shortly } from "./recover";
import { awaitRefusal, type Ask, type Refused } from "./refusal";
import type { Stage } from "./stage";
import { leaderOf } from "./strength";
import { holdersOf } from "./vip";

/** From when on first bytes have to be fast. */
const GRACE_MS = 3000;
/** By when pushes and pulls that were begun are in the middle of their layers. */
const UNDER_WAY_MS = 1000;
/** Soon enough for a request that must be refused to be asked again. */
const REFUSAL_MS = 5000;
/** How long it may take until somebody has the VIP, and Swarm a leader. */
const CAST_MS = 30_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

async function castOf(stage: Stage): Promise<Cast> {
  const { nodes, managers } = stage.members;
  const names = nodes.map(({ host }) => host.name);
  const holder = await waitFor(async () => (await holdersOf(stage.instance))[0], CAST_MS, 1000);
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

/** What is asked of the registry while a fault lasts. */
async function askMeanwhile(stage: Stage, { refuses }: Step, client: Host, at: number): Promise<Refused> {
  if (refuses === undefined) {
    // So that there is one.
    await pause(at + GRACE_MS + 1 - Date.now());
    stage.load.pushNow(client);
  }
  if (refuses === undefined || refuses === "silence") return { problems: [] };
  const ask: Ask = (asked) => {
    const whole = asked.map((one) => ({ ...one, login: stage.login, timeoutMs: REFUSAL_MS }));
    return askAll(client, whole);
  };
  return awaitRefusal(refuses, stage.probed, ask, at);
}

/** Hurts the nodes for as long as it takes to see what that does. */
async function hold(
  stage: Stage,
  step: Step,
  places: readonly Place[],
  roles: readonly Role[],
): Promise<Hurt> {
  const [client] = stage.clients;
  if (!client) throw new LabError("the lab has no client");
  const bites = await watchBites(step, places, roles);
  stage.load.hurry();
  await pause(UNDER_WAY_MS);
  const from = Date.now();
  await begin(step, places, roles);
  const at = Date.now();
  const [toothless, refused] = await Promise.all([bites(), askMeanwhile(stage, step, client, at)]);
  await pause(at + holdSeconds(step) * 1000 - Date.now());
  return { from, at, refusedSeconds: refused.seconds, problems: [...toothless, ...refused.problems] };
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

/** Does one step, and gives back its row of figures. @throws NotHere where this machine cannot do it */
export async function round(stage: Stage, step: Step): Promise<Row> {
  const cast = await castOf(stage);
  const nodes = nodesFor(step, cast);
  const roles = rolesHurt(step, nodes, cast);
  stage.say(`${nameOf(step)}: ${nodes.join(", ")} (VIP: ${cast.holder}, leader: ${cast.leader})`);
  const places = nodes.map((name) => ({ instance: stage.instance, host: hostNamed(stage.instance, name) }));
  const start = Date.now();
  const hurt = await hold(stage, step, places, roles).catch(async (error: unknown): Promise<Hurt> => {
    if (!(error instanceof NotHere)) return { from: start, at: Date.now(), problems: [shortly(error)] };
    // Whatever was begun is taken back, so that the lab is as it was.
    await takeBack(step, places).catch(() => undefined);
    throw error;
  });
  const { from } = hurt;
  const mending = Date.now();
  const recovery = await recover(stage, step, places, from);
  const to = Date.now();
  const { lost, problems } = await reread(stage);
  // What was under way belongs to the row, however it ends.
  await stage.load.settled();
  const failed = stage.load.outcomes.filter(
    (one) => one.end >= from && one.start <= to && one.error !== undefined,
  );
  for (const { kind, client, ok, start: begun, error } of failed.slice(0, 8))
    stage.say(
      `    ${kind} from ${client} ${((begun - from) / 1000).toFixed(1)} s: ${ok ? "again" : "failed"}: ${error}`,
    );
  for (const line of silences(stage.probes, from + GRACE_MS, to, from)) stage.say(`    ${line}`);
  return {
    step,
    nodes,
    roles,
    ...figures(stage, nodes, { from, hurt: hurt.at, mending, to }),
    refusedSeconds: hurt.refusedSeconds,
    reasons: reasonsOf(failed),
    lost,
    strengthSeconds: recovery.seconds,
    command: recovery.command,
    problems: [...hurt.problems, ...recovery.problems, ...problems],
  };
}

/** Reads everything back that was ever acknowledged. */
async function reread(stage: Stage): Promise<Pick<Row, "lost" | "problems">> {
  const [, reader] = stage.clients;
  if (!reader) return { lost: [], problems: ["nobody reads back"] };
  try {
    const lost = await readBack(reader, stage.login, stage.ledger.entries);
    for (const loss of lost.slice(0, 5)) stage.say(`    ${loss}`);
    return { lost, problems: [] };
  } catch (error) {
    return { lost: [], problems: [shortly(error)] };
  }
}

/** When a fault was begun, when it was done, when it was taken back, and when all was over. */
interface Times {
  readonly from: number;
  readonly hurt: number;
  readonly mending: number;
  readonly to: number;
}

function figures(
  { probes, load, vip, probed }: Stage,
  nodes: readonly string[],
  { from, hurt, mending, to }: Times,
) {
  const span: Span = { from, to };
  const manifest = `/v2/${probed.repository}/manifests/${probed.digest}`;
  const returned = answeredFrom(probes, manifest, { from: mending, to });
  const meanwhile = begunIn(load.outcomes, "push", { from: hurt + GRACE_MS, to: mending });
  return {
    span,
    pushes: countsOf(load.outcomes, "push", span),
    pulls: countsOf(load.outcomes, "pull", span),
    pushed: meanwhile.ok,
    notPushed: meanwhile.failed,
    failedOnReturn: begunIn(load.outcomes, "pull", { from: returned, to }).failed,
    probes: countIn(probes, span),
    looks: countIn(vip.samples, span),
    elsewhere: wasElsewhere(vip.samples, nodes, { from: hurt, to: mending }),
    gapMs: longestGap(probes, "/v2/", span),
    slowestMs: slowestFirstByte(probes, [{ from: from + GRACE_MS, to: mending }]),
    slowestAfterMs: slowestFirstByte(probes, [{ from: mending, to }]),
    secondsOfTwo: secondsOfTwo(vip.samples, span),
  };
}
