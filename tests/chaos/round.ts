/** One fault, from before it until all is whole again and everything has been read back. */
import { LabError } from "../../lab/exec";
import { faults, type Fault, type Place } from "../../lab/faults";
import { hostNamed } from "../../lab/instance";
import type { Row } from "./bounds";
import type { Probe } from "./client/probe";
import { askOnce, readBack } from "./clients";
import { reasonsOf } from "./changeRow";
import { mendRot } from "./healing";
import { begin, replaceMachine, takeBack } from "./hurt";
import {
  answeredFrom,
  begunIn,
  countsOf,
  longestGap,
  secondsOfTwo,
  slowestFirstByte,
  type Span,
} from "./measure";
import { HOLD_SECONDS, isTakenBack, nameOf, nodesFor, type Cast, type Step } from "./plan";
import { refusalProblems } from "./refusal";
import type { Stage } from "./stage";
import { leaderOf } from "./strength";
import { holdersOf } from "./vip";

/** How long all may take to be whole by itself, before a command is tried. */
const ALONE_SECONDS = 240;
/** How long it may take with a command, from when that is done. */
const STRENGTH_SECONDS = 240;
/** From when on first bytes have to be fast. */
const GRACE_MS = 3000;
/** By when a registry that refuses has to say so in its own words. */
const REFUSAL_MS = 12_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

async function castOf(stage: Stage): Promise<Cast> {
  const { nodes, managers } = stage.members;
  const names = nodes.map(({ host }) => host.name);
  const [holder] = await holdersOf(stage.instance);
  const leader = await leaderOf(nodes.slice(0, managers));
  if (holder === undefined) throw new LabError("no node has the VIP: nothing can be measured");
  if (leader === undefined) throw new LabError("no manager names a leader: nothing can be measured");
  return { nodes: names, managers: names.slice(0, managers), holder, leader };
}

/** A fault, when the last node had it. */
interface Hurt {
  readonly at: number;
  /** A push that was begun meanwhile, so that there is one; over when it is over. */
  readonly pushing: Promise<void>;
  readonly problems: readonly string[];
}

/** Hurts the nodes for as long as it takes to see what that does. */
async function hold(stage: Stage, step: Step, places: readonly Place[]): Promise<Hurt> {
  await begin(step, places);
  const at = Date.now();
  const problems: string[] = [];
  const [client] = stage.clients;
  const { refuses } = step;
  let pushing = Promise.resolve();
  if (client && refuses === undefined) {
    await pause(at + GRACE_MS + 1 - Date.now());
    pushing = stage.load.pushNow(client);
  } else if (client && refuses !== "silence" && refuses !== undefined) {
    await pause(at + REFUSAL_MS - Date.now());
    const ask = (path: string, method: string) =>
      askOnce(client, { login: stage.login, path, method, timeoutMs: 10_000 });
    problems.push(...(await refusalProblems(refuses, stage.probed, ask)));
  }
  await pause(at + HOLD_SECONDS * 1000 - Date.now());
  return { at, pushing, problems };
}

interface Recovery {
  readonly seconds: number | undefined;
  readonly command?: string;
  readonly problems: readonly string[];
}

/** Takes the fault back, and waits until all is whole; a command helps where the plan says so, or nothing else did. */
async function recover(stage: Stage, step: Step, places: readonly Place[], from: number): Promise<Recovery> {
  const start = isTakenBack(step) ? Date.now() : from;
  const commands: string[] = [];
  const problems: string[] = [];
  const heal = async (): Promise<void> => {
    const { command, problem } = await mendRot(stage.members.nodes, stage.say);
    commands.push(command);
    if (problem !== undefined) problems.push(problem);
  };
  await takeBack(step, places);
  if (step.remedy === "up") {
    if (step.fault === "lose") await replaceMachine(places);
    commands.push("`pulumi refresh`, `pulumi up`");
    await stage.update();
  }
  if (step.remedy === "heal") await heal();
  let missing: readonly string[] = [];
  const onMissing = (now: readonly string[]): void => {
    if (now.join() !== missing.join()) stage.say(`    missing: ${now.join(", ") || "nothing"}`);
    missing = now;
  };
  const isWhole = async (seconds: number): Promise<boolean> =>
    (await stage.strength.until(seconds, onMissing)) !== undefined;
  let whole = await isWhole(commands.length === 0 ? ALONE_SECONDS : STRENGTH_SECONDS);
  if (!whole && commands.length === 0) {
    stage.say("    not whole by itself: a deep scan");
    await heal();
    whole = await isWhole(STRENGTH_SECONDS);
  }
  if (!whole) problems.push(`missing: ${missing.join(", ")}`);
  return {
    seconds: whole ? (Date.now() - start) / 1000 : undefined,
    command: commands.join(", ") || undefined,
    problems,
  };
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

/** Does one step, and gives back its row of figures. */
export async function round(stage: Stage, step: Step): Promise<Row> {
  const cast = await castOf(stage);
  const nodes = nodesFor(step, cast);
  stage.say(`${nameOf(step)}: ${nodes.join(", ")} (VIP: ${cast.holder}, leader: ${cast.leader})`);
  const places = nodes.map((name) => ({ instance: stage.instance, host: hostNamed(stage.instance, name) }));
  const from = Date.now();
  let hurt: Hurt;
  try {
    hurt = await hold(stage, step, places);
  } catch (error) {
    // Whatever was begun is taken back, so that the lab is as it was.
    const { end }: Fault = faults[step.fault];
    if (end) await Promise.all(places.map((place) => end(place)));
    throw error;
  }
  const mending = Date.now();
  const recovery = await recover(stage, step, places, from);
  await hurt.pushing;
  const to = Date.now();
  const [, reader] = stage.clients;
  const lost = reader ? await readBack(reader, stage.login, stage.ledger.entries) : ["nobody reads back"];
  for (const loss of lost.slice(0, 5)) stage.say(`    ${loss}`);
  const failed = stage.load.outcomes.filter(
    (one) => one.end >= from && one.start <= to && one.error !== undefined,
  );
  for (const { kind, client, ok, start, error } of failed.slice(0, 8))
    stage.say(
      `    ${kind} from ${client} ${((start - from) / 1000).toFixed(1)} s: ${ok ? "again" : "failed"}: ${error}`,
    );
  for (const line of silences(stage.probes, from + GRACE_MS, to, from)) stage.say(`    ${line}`);
  return {
    step,
    nodes,
    ...figures(stage, { from, hurt: hurt.at, mending, to }),
    reasons: reasonsOf(failed),
    lost,
    strengthSeconds: recovery.seconds,
    command: recovery.command,
    problems: [...hurt.problems, ...recovery.problems],
  };
}

/** When a fault was begun, when it was done, when it was taken back, and when all was over. */
interface Times {
  readonly from: number;
  readonly hurt: number;
  readonly mending: number;
  readonly to: number;
}

function figures({ probes, load, vip, probed }: Stage, { from, hurt, mending, to }: Times) {
  const span: Span = { from, to };
  const manifest = `/v2/${probed.repository}/manifests/${probed.digest}`;
  const returned = answeredFrom(probes, manifest, { from: mending, to });
  return {
    pushes: countsOf(load.outcomes, "push", span),
    pulls: countsOf(load.outcomes, "pull", span),
    pushed: begunIn(load.outcomes, "push", { from: hurt + GRACE_MS, to: mending }).ok,
    failedOnReturn: begunIn(load.outcomes, "pull", { from: returned, to }).failed,
    gapMs: longestGap(probes, "/v2/", span),
    slowestMs: slowestFirstByte(probes, [{ from: from + GRACE_MS, to: mending }]),
    slowestAfterMs: slowestFirstByte(probes, [{ from: mending, to }]),
    secondsOfTwo: secondsOfTwo(vip.samples, span),
  };
}
