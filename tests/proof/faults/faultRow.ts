/** One fault under load: from before it until the cluster is whole again and everything is read back. */
import { LabError, waitFor } from "../../../lab/exec";
import type { Place } from "../../../lab/faults";
import { hostNamed } from "../../../lab/instance";
import { leaderOf } from "../../support/cluster";
import { begin, takeBack } from "../../support/hurt";
import { holdersOf } from "../../support/vip";
import { pause } from "../../support/waiting";
import { watchBites } from "./bites";
import { numbersOf } from "./content";
import { isTakenBack, nameOf, nodesFor, rolesHurt, type Cast, type Step } from "./plan";
import { recover } from "./recover";
import { resultOf, type Result } from "./rows";
import type { Stage } from "./stage";
import { Traffic } from "./traffic";

const CAST_MS = 30_000;
/** A layer that is under way as the fault begins, and one that begins while it lasts. */
const LARGE = { underWay: 24 * 1024 ** 2, meanwhile: 4 * 1024 ** 2 };

/** Milliseconds of a row that the seed decides: until the fault begins, and for which it lasts. */
export function timesOf(step: Step, seed: string): { readonly until: number; readonly lasts: number } {
  const next = numbersOf(`${seed}/${nameOf(step)}`);
  const least = isTakenBack(step) ? 20_000 : 6000;
  return { until: 500 + next() * 2500, lasts: least * (1 + next() / 2) };
}

export async function castOf({ nodes, managers, instance }: Stage): Promise<Cast> {
  const held = async (): Promise<string | undefined> => (await holdersOf(instance).catch(() => []))[0];
  const holder = await waitFor(held, CAST_MS, 1000);
  const leader = await waitFor(() => leaderOf(managers), CAST_MS, 1000);
  if (holder === undefined) throw new LabError("no node has the VIP");
  if (leader === undefined) throw new LabError("no manager names a leader");
  const names = (places: readonly Place[]): string[] => places.map(({ host }) => host.name);
  return { nodes: names(nodes), managers: names(managers), holder, leader };
}

/** @throws LabError if the row proves nothing: the fault does not bite, or too few pulls were made */
export async function faultRow(stage: Stage, step: Step): Promise<Result> {
  const cast = await castOf(stage);
  const nodes = nodesFor(step, cast);
  const roles = rolesHurt(step, nodes, cast);
  const { instance } = stage;
  const places = nodes.map((name): Place => ({ instance, host: hostNamed(instance, name) }));
  stage.say(`${nameOf(step)}: ${nodes.join(", ")} (VIP: ${cast.holder}, leader: ${cast.leader})`);
  const traffic = await Traffic.begin(stage);
  try {
    const restartsEtcd = step.fault === "read-only-disk" && roles.includes("etcd");
    const from = await hurt(stage, traffic, step, places, restartsEtcd);
    const { seconds, command } = await recover(stage, step, places, from);
    stage.hurt = [];
    const to = Date.now();
    await traffic.enough(step.noPulls ? to : from);
    const result = await traffic.finish({ from, to }, step.noPulls !== true);
    return resultOf({ nodes, roles, seconds, command }, result);
  } catch (error) {
    await takeBack(step, places).catch(() => undefined);
    throw error;
  } finally {
    stage.hurt = [];
    await traffic.end();
  }
}

/** Does the fault for as long as the seed says. @returns when it began */
async function hurt(
  stage: Stage,
  traffic: Traffic,
  step: Step,
  places: readonly Place[],
  restartsEtcd: boolean,
): Promise<number> {
  const times = timesOf(step, stage.seed);
  const bites = await watchBites(step, places, restartsEtcd);
  traffic.pushLarge(LARGE.underWay);
  traffic.load.hurry();
  await pause(times.until);
  stage.hurt = places.map(({ host }) => host.name);
  const from = Date.now();
  await begin(step, places, restartsEtcd);
  const end = Date.now() + times.lasts;
  traffic.load.hurry();
  traffic.pushLarge(LARGE.meanwhile);
  const toothless = await bites();
  if (toothless.length > 0) throw new LabError(toothless.join("; "));
  await pause(Math.max(0, end - Date.now()));
  // A fault that is not taken back needs more requests: it may be over in seconds.
  if (!isTakenBack(step)) traffic.load.hurry();
  return from;
}
