/**
 * `tsx tests/proof/faults/main.ts --rows FILE [--only TEXT[,TEXT]] [--seed S] [--commit C]`: every fault for every role of a
 * node, and changes, under load. Each finished row is a line of FILE. A run with the same commit and seed goes on with the
 * missing rows. The seed decides order and times. It takes a lab of its own, or uses and keeps the one of MOORAGE_LAB.
 * Exit code 1: a bound does not hold, or a row could not be done.
 */
import * as path from "node:path";
import { parseArgs } from "node:util";
import { LabError } from "../../../lab/exec";
import { platformNamed, type Platform } from "../../../lab/instance";
import { ToolError } from "../../../toolchain";
import { ownLab } from "../../support/labSetup";
import { TestLab } from "../../support/testLab";
import { currentCommit } from "../results";
import { changeRow, changes } from "./changes";
import { shuffled } from "./content";
import { faultRow } from "./faultRow";
import { floodName, floodRow } from "./floodRow";
import { fullPlan, isCovered, nameOf } from "./plan";
import { rowText, RowsFile, type Result } from "./rows";
import { Stage } from "./stage";

/** An update that reinstalls a node while the machine is busy. */
const PULUMI_MS = 900_000;

const start = Date.now();
const say = (line: string): void =>
  console.error(`${((Date.now() - start) / 1000).toFixed(0).padStart(5)} s  ${line}`);

/** By default the one where an update itself reboots and reinstalls nodes. */
const wantedPlatform = (): Platform =>
  platformNamed(process.env.MOORAGE_LAB_PLATFORM, "MOORAGE_LAB_PLATFORM") ?? "virtualbox";

interface Planned {
  readonly name: string;
  readonly run: (stage: Stage) => Promise<Result>;
  /** Whether earlier rows prove it too. */
  readonly isCovered: (file: RowsFile) => boolean;
}

/** All rows with one of the texts in their name, in the order of the seed. @throws LabError if there is none */
function planned(only: string, seed: string): Planned[] {
  const steps = fullPlan().map((step): Planned => ({
    name: nameOf(step),
    run: (stage) => faultRow(stage, step),
    isCovered: ({ covering }) => isCovered(step, covering),
  }));
  const possible = changes.filter(({ platform = wantedPlatform() }) => platform === wantedPlatform());
  const changing = possible.map((change): Planned => ({
    name: change.name,
    run: (stage) => changeRow(stage, change),
    isCovered: () => false,
  }));
  const flood: Planned = { name: floodName, run: floodRow, isCovered: () => false };
  const all = [...steps, ...changing, flood];
  const texts = only.split(",").map((text) => text.trim());
  const chosen = all.filter(({ name }) => texts.some((text) => name.includes(text)));
  if (chosen.length > 0) return shuffled(chosen, seed);
  throw new LabError(`no row has "${only}" in its name: ${all.map(({ name }) => name).join("; ")}`);
}

async function standing(): Promise<TestLab> {
  say("hosts");
  const lab = await TestLab.open(wantedPlatform(), PULUMI_MS);
  if ((await lab.outputs()).registryUrl === undefined) {
    say("pulumi up");
    await lab.mustUp();
  }
  await lab.recordAccess();
  return lab;
}

/** An error's first line, and the last lines of a command's output that name errors. */
function shortly(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split("\n").filter(Boolean);
  const named = lines.slice(1).filter((line) => /error|failed/i.test(line));
  return [lines[0] ?? "", ...named.slice(-3)]
    .map((line) => line.trim())
    .join(" / ")
    .slice(0, 600);
}

/** Does the rows one after the other. @returns which rows could not be done, and why */
async function doRows(stage: Stage, rows: readonly Planned[], file: RowsFile): Promise<string[]> {
  const undone: string[] = [];
  const finish = async (name: string, work: () => Promise<Result>): Promise<void> => {
    const begun = Date.now();
    const result = await work();
    console.log(rowText(file.add(name, (Date.now() - begun) / 1000, result)));
  };
  for (const { name, run, isCovered: covered } of rows) {
    if (covered(file)) continue;
    try {
      await finish(name, () => run(stage));
    } catch (error) {
      say(`${name}: not done: ${shortly(error)}`);
      undone.push(`${name}: not done: ${shortly(error)}`);
      if (!(await stage.isWhole(120))) await stage.restore();
    }
  }
  await finish(`all read back, ${new Date().toISOString()}`, async () => {
    const lost = await stage.readBack();
    const broken = lost.length > 0 ? [`${lost.length} acknowledged are lost, such as ${lost[0]}`] : [];
    return { figures: { images: stage.ledger.entries.length }, broken };
  });
  return undone;
}

async function inLab(rows: readonly Planned[], file: RowsFile, seed: string): Promise<string[]> {
  const leave = await ownLab();
  try {
    const stage = await Stage.begin(await standing(), seed, say);
    try {
      return await doRows(stage, rows, file);
    } finally {
      stage.end();
    }
  } finally {
    await leave();
  }
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { rows: text, only: text, seed: text, commit: text } });
  if (values.rows === undefined) throw new LabError("--rows FILE is missing");
  const seed = values.seed ?? start.toString(36);
  const commit = values.commit ?? (await currentCommit());
  console.log(`seed ${seed}, commit ${commit}`);
  const file = new RowsFile(path.resolve(values.rows), commit, seed);
  const rows = planned(values.only ?? "", seed);
  const left = rows.filter(({ name, isCovered: covered }) => !file.has(name) && !covered(file));
  const undone = left.length > 0 ? await inLab(left, file, seed) : [];
  const broken = file.rows.flatMap(({ name, broken: bounds }) => bounds.map((bound) => `${name}: ${bound}`));
  for (const line of [...broken, ...undone]) console.log(line);
  console.log(`${file.rows.length} rows, ${broken.length} broken bounds, ${undone.length} not done`);
  if (broken.length + undone.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof ToolError ? `moorage: ${error.message}` : error);
  process.exitCode = 1;
});
