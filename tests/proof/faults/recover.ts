/** Takes a fault back or repairs it, until the cluster is whole again. */
import { LabError } from "../../../lab/exec";
import { shellIn, type Place } from "../../../lab/faults/place";
import { replaceMachine, takeBack } from "../../support/hurt";
import { runbook } from "../../support/runbook";
import { until } from "../../support/waiting";
import { isTakenBack, type Step } from "./plan";
import type { Stage } from "./stage";

/** By itself; then after a command. */
const ALONE_SECONDS = 360;
const REPAIRED_SECONDS = 240;
/** One scan of every byte. */
const DEEP_SECONDS = 280;

const PAGE = "Files on a data disk have rotted";

export interface Recovery {
  /** From when the fault was taken back, or from the fault if nothing takes it back; undefined if it took too long. */
  readonly seconds?: number;
  /** The command it took. */
  readonly command?: string;
}

export async function recover(
  stage: Stage,
  step: Step,
  places: readonly Place[],
  from: number,
): Promise<Recovery> {
  const start = isTakenBack(step) ? Date.now() : from;
  await takeBack(step, places);
  if (step.fault === "lose") await replaceMachine(places);
  const command = await repair(stage, step, places);
  if (await stage.isWhole(command === undefined ? ALONE_SECONDS : REPAIRED_SECONDS))
    return { seconds: (Date.now() - start) / 1000, command };
  await stage.restore();
  return { command: "pulumi up --refresh" };
}

async function repair(stage: Stage, { remedy }: Step, places: readonly Place[]): Promise<string | undefined> {
  switch (remedy) {
    case "up":
      await stage.lab.mustUp("--refresh");
      return "pulumi up --refresh";
    case "heal":
      return heal(stage, places);
    case undefined:
      return undefined;
    default:
      return remedy satisfies never;
  }
}

/** The commands of the page in docs/runbook.md: for the first storage node, and for the node with the rotten drive. */
export function rotCommands(): { readonly deep: string; readonly empty: string } {
  const [deep, empty] = runbook().find(({ title }) => title === PAGE)?.commands ?? [];
  if (deep?.on !== "the first storage node" || empty?.on !== "NODE")
    throw new LabError(`docs/runbook.md has other commands than expected for "${PAGE}"`);
  const plain = (line: string): string => line.replace(/^sudo /, "");
  return { deep: plain(deep.line), empty: plain(empty.line) };
}

/** The node of the only drive that a scan names; several drives must not be emptied. */
export const rottenIn = (output: string): string | undefined =>
  /^not healed: \d+ objects are not on all drives: minio-(\S+)$/m.exec(output)?.[1];

/** Scans every byte; if that is not enough, empties the hurt drive once, which MinIO fills from the others. */
async function heal({ nodes, say }: Stage, hurt: readonly Place[]): Promise<string> {
  const { deep, empty } = rotCommands();
  const [first] = nodes;
  if (!first) throw new LabError("there is no storage node");
  let command = deep;
  const scan = async (): Promise<void> => {
    const { output } = await shellIn(first, deep, DEEP_SECONDS);
    if (/^healed: /m.test(output)) return;
    const rotten = hurt.find(({ host }) => host.name === rottenIn(output));
    if (rotten && command === deep && (await hasAllDrives(first))) {
      const { code } = await shellIn(rotten, empty, DEEP_SECONDS);
      if (code === 0) command = `${deep}, the drive of ${rotten.host.name} emptied`;
      say(`    the drive of ${rotten.host.name} is emptied: exit code ${code}`);
    }
    throw new Error(output.trim().split("\n").at(-1));
  };
  await until("everything is healed", scan, { netSeconds: 400, minTries: 3, everyMs: 5000 });
  return command;
}

async function hasAllDrives(first: Place): Promise<boolean> {
  const { output } = await shellIn(first, "sh /etc/moorage/healing/heal.sh status");
  const [there, all] = [/^looked=\d+ (\d+)/m, /^all=(\d+)/m].map((pattern) => pattern.exec(output)?.[1]);
  return there !== undefined && there === all;
}
