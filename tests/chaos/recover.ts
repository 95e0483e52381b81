/** What follows a fault: it is taken back, or mended, until all is whole again. */
import type { Place } from "../../lab/faults";
import { mendRot } from "./healing";
import { replaceMachine, takeBack } from "./hurt";
import { isTakenBack, type Step } from "./plan";
import type { Stage } from "./stage";

/** How long all may take to be whole by itself, before a command is tried. */
const ALONE_SECONDS = 360;
/** How long it may take with a command, from when that is done. */
const STRENGTH_SECONDS = 240;

export interface Recovery {
  readonly seconds: number | undefined;
  readonly command?: string;
  readonly problems: readonly string[];
}

/** What an error says, of all that a command may have printed. */
export function shortly(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split("\n").filter(Boolean);
  const told = lines.slice(1).filter((line) => /error|failed/i.test(line));
  const short = [lines[0] ?? "", ...told.slice(-3)].map((line) => line.trim());
  return short.join(" / ").slice(0, 600);
}

/** Takes the fault back, and waits until all is whole; a command helps where the plan says so, or nothing else did. */
export async function recover(
  stage: Stage,
  step: Step,
  places: readonly Place[],
  from: number,
): Promise<Recovery> {
  const start = isTakenBack(step) ? Date.now() : from;
  const commands: string[] = [];
  const problems: string[] = [];
  /** What fails is told, and what comes after it is done all the same. */
  const attempt = (work: () => Promise<unknown>): Promise<unknown> =>
    work().catch((error: unknown) => problems.push(shortly(error)));
  const heal = async (): Promise<void> => {
    const { command, problem } = await mendRot(stage.members.nodes, stage.say);
    commands.push(command);
    if (problem !== undefined) problems.push(problem);
  };
  await attempt(() => takeBack(step, places));
  if (step.fault === "lose") await attempt(() => replaceMachine(places));
  if (step.remedy === "up") {
    commands.push("`pulumi up --refresh`");
    await attempt(() => stage.update());
  }
  if (step.remedy === "heal") await attempt(heal);
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
    await attempt(heal);
    whole = await isWhole(STRENGTH_SECONDS);
  }
  if (!whole) problems.push(`missing: ${missing.join(", ")}`);
  return {
    seconds: whole ? (Date.now() - start) / 1000 : undefined,
    command: commands.join(", ") || undefined,
    problems,
  };
}

/** Brings a stack that a row has left broken to what the next one needs. @returns whether it is whole */
export async function restore(stage: Stage): Promise<boolean> {
  stage.say("    not whole: pulumi up --refresh, before anything else is hurt");
  await stage.update().catch((error: unknown) => stage.say(`    ${shortly(error)}`));
  return (await stage.strength.until(STRENGTH_SECONDS, () => undefined)) !== undefined;
}
