/** One fault, from before it until all is whole again and everything has been read back. */
import { LabError } from "../../lab/exec";
import { faults, type Fault, type Place } from "../../lab/faults";
import { hostNamed } from "../../lab/instance";
import { isOn } from "../../lab/hosts";
import type { Row } from "./bounds";
import type { Probe } from "./client/probe";
import { askOnce, readBack } from "./clients";
import { begin, HEAL, heal, replaceMachine, takeBack } from "./hurt";
import { countsOf, longestGap, secondsOfTwo, slowestFirstByte, type Span } from "./measure";
import { HOLD_SECONDS, isTakenBack, nameOf, nodesFor, type Cast, type Step } from "./plan";
import { refusalProblems } from "./refusal";
import type { Stage } from "./stage";
import { leaderOf } from "./strength";
import { holdersOf } from "./vip";

/** How long all may take to be whole by itself, before a command is tried. */
const ALONE_SECONDS = 150;
/** How long it may take with a command, from when that is done. */
const STRENGTH_SECONDS = 180;
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

/** Hurts the nodes for as long as it takes to see what that does. */
async function hold(stage: Stage, step: Step, places: readonly Place[], from: number): Promise<string[]> {
  await begin(step, places);
  const problems: string[] = [];
  if (step.refuses) {
    await pause(from + REFUSAL_MS - Date.now());
    const [client] = stage.clients;
    if (client) {
      const ask = (path: string, method: string) =>
        askOnce(client, { login: stage.login, path, method, timeoutMs: 10_000 });
      problems.push(...(await refusalProblems(step.refuses, stage.probed, ask)));
    }
  }
  await pause(from + HOLD_SECONDS * 1000 - Date.now());
  return problems;
}

interface Recovery {
  readonly seconds: number | undefined;
  readonly command?: string;
  readonly problems: readonly string[];
}

/** Takes the fault back, and waits until all is whole; a command helps where the plan says so, or nothing else did. */
async function recover(stage: Stage, step: Step, places: readonly Place[], from: number): Promise<Recovery> {
  const start = isTakenBack(step) ? Date.now() : from;
  await takeBack(step, places);
  let command: string | undefined;
  if (step.remedy === "up") {
    if (step.fault === "lose") await replaceMachine(places);
    command = "`pulumi refresh`, `pulumi up`";
    await stage.update();
  }
  if (step.remedy === "heal") {
    command = HEAL;
    await healAnywhere(stage);
  }
  let missing: readonly string[] = [];
  const onMissing = (now: readonly string[]): void => {
    if (now.join() !== missing.join()) stage.say(`    missing: ${now.join(", ") || "nothing"}`);
    missing = now;
  };
  const patience = command === undefined ? ALONE_SECONDS : STRENGTH_SECONDS;
  const whole = await stage.strength.until(patience, onMissing);
  if (whole === undefined && command === undefined) {
    stage.say("    not whole by itself: mc admin heal");
    command = HEAL;
    await healAnywhere(stage);
    if ((await stage.strength.until(STRENGTH_SECONDS, onMissing)) === undefined)
      return { seconds: undefined, command, problems: [`missing: ${missing.join(", ")}`] };
  } else if (whole === undefined) {
    return { seconds: undefined, command, problems: [`missing: ${missing.join(", ")}`] };
  }
  return { seconds: (Date.now() - start) / 1000, command, problems: [] };
}

async function healAnywhere(stage: Stage): Promise<void> {
  const errors: string[] = [];
  for (const place of stage.members.nodes.filter(({ host }) => isOn(host))) {
    try {
      return await heal(place);
    } catch (error) {
      errors.push(String(error));
    }
  }
  stage.say(`    ${errors.join("; ")}`);
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
  let problems: string[];
  try {
    problems = await hold(stage, step, places, from);
  } catch (error) {
    // Whatever was begun is taken back, so that the lab is as it was.
    const { end }: Fault = faults[step.fault];
    if (end) await Promise.all(places.map((place) => end(place)));
    throw error;
  }
  const mending = Date.now();
  const recovery = await recover(stage, step, places, from);
  const to = Date.now();
  const [, reader] = stage.clients;
  const lost = reader ? await readBack(reader, stage.login, stage.ledger.entries) : ["nobody reads back"];
  for (const loss of lost.slice(0, 5)) stage.say(`    ${loss}`);
  const span: Span = { from, to };
  const { probes, load, vip } = stage;
  const failed = load.outcomes.filter((one) => one.end >= from && one.start <= to && one.error !== undefined);
  for (const { kind, client, ok, start, error } of failed.slice(0, 8))
    stage.say(
      `    ${kind} from ${client} ${((start - from) / 1000).toFixed(1)} s: ${ok ? "again" : "failed"}: ${error}`,
    );
  for (const line of silences(probes, from + GRACE_MS, to, from)) stage.say(`    ${line}`);
  return {
    step,
    nodes,
    pushes: countsOf(load.outcomes, "push", span),
    pulls: countsOf(load.outcomes, "pull", span),
    gapMs: longestGap(probes, "/v2/", span),
    slowestMs: slowestFirstByte(probes, [{ from: from + GRACE_MS, to: mending }]),
    slowestAfterMs: slowestFirstByte(probes, [{ from: mending, to }]),
    secondsOfTwo: secondsOfTwo(vip.samples, span),
    lost,
    strengthSeconds: recovery.seconds,
    command: recovery.command,
    problems: [...problems, ...recovery.problems],
  };
}
