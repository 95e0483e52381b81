/**
 * `make chaos`: every change, and every fault for every role of a node, in a lab of its own, under load; the figures go
 * into `docs/reliability.md` once all are there, of one commit, and into `.chaos.md` while it runs, with the rows as `.chaos.json` beside it.
 * `CHAOS="--only power,freeze minio"` takes some of them, `--only change` all changes, which go there alone; `--from "kill etcd"`
 * goes on from there with the rows that were kept before it; `--out FILE` writes elsewhere. With MOORAGE_LAB that lab is used,
 * and kept. Where anything of it was not done, or cannot be done here, that is a failure, but for what `--only` leaves out, or
 * the platform that MOORAGE_LAB_PLATFORM asks for; and where it is not published, but for `--only` and `--out`.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { ToolError } from "../../toolchain";
import { LabError } from "../../lab/exec";
import { checkout, platformNamed } from "../../lab/instance";
import { ownLab } from "../support/labSetup";
import { TestLab } from "../support/testLab";
import { changes, chosenChanges } from "./changes";
import { commitOf, mustBePublishable } from "./commit";
import { changeName, keptIn, nothing, without, type Found } from "./kept";
import { chosen, fullPlan, nameOf } from "./plan";
import { Run, type Files, type Todo } from "./run";
import { Stage } from "./stage";
import { verdictOf } from "./verdict";

const reliabilityPage = path.join(checkout(), "docs", "reliability.md");
/** An update that installs a node anew while others are busy. */
const PULUMI_MS = 900_000;

const start = Date.now();
const say = (line: string): void =>
  console.error(`${((Date.now() - start) / 1000).toFixed(0).padStart(5)} s  ${line}`);

async function standing(): Promise<TestLab> {
  // Where the update itself reboots and reinstalls nodes.
  const wanted = platformNamed(process.env.MOORAGE_LAB_PLATFORM, "MOORAGE_LAB_PLATFORM") ?? "virtualbox";
  say("hosts");
  const lab = await TestLab.open(wanted, PULUMI_MS);
  if ((await lab.outputs()).registryUrl === undefined) {
    say("pulumi up");
    await lab.mustUp();
  }
  await lab.recordAccess();
  return lab;
}

/** The whole plan, and what of it is to be done. @throws LabError where that is nothing */
function choose(only = ""): Todo {
  const plan = fullPlan();
  const steps = chosen(plan, only);
  const changing = chosenChanges(only);
  if (steps.length + changing.length === 0) {
    const names = [...plan.map(nameOf), ...changes.map(changeName)];
    throw new LabError(`no fault and no change has "${only}" in its name: ${names.join("; ")}`);
  }
  return { plan, steps, changing };
}

/** What is left of it from the first that has a text in its name. @throws LabError where none has */
function goingOn({ plan, steps, changing }: Todo, from: string): Todo {
  const names = [...changing.map(changeName), ...steps.map(nameOf)];
  const at = names.findIndex((name) => name.includes(from));
  if (at < 0) throw new LabError(`nothing has "${from}" in its name: ${names.join("; ")}`);
  return { plan, changing: changing.slice(at), steps: steps.slice(Math.max(0, at - changing.length)) };
}

/** The rows of a former run, but for those that are done again. */
const keptBefore = (file: string, { steps, changing }: Todo): Found =>
  without(keptIn(file), [...changing.map(changeName), ...steps.map(nameOf)]);

async function doIn(lab: TestLab, todo: Todo, files: Files, before: Found, commit: string): Promise<Run> {
  const stage = await Stage.begin({
    instance: lab.instance,
    access: await lab.access(),
    update: () => lab.mustUp("--refresh"),
    say,
    seed: `chaos ${new Date().toISOString()}`,
  });
  const run = new Run(stage, lab, todo, files, before, commit);
  try {
    await run.go();
  } finally {
    await stage.end();
    await run.write();
  }
  return run;
}

/** Publishes the page where all is there, and says how the run has ended. */
function conclude({ found }: Run, wanted: Todo, out: string, isElsewhere: boolean): void {
  const all = { steps: fullPlan(), changing: changes.map(({ name }) => name) };
  const platform = (process.env.MOORAGE_LAB_PLATFORM ?? "") !== "";
  const asked = { steps: wanted.steps, changing: wanted.changing.map(({ name }) => name), platform };
  const { wrong, unpublished } = verdictOf(found, asked, all, isElsewhere);
  if (unpublished === undefined) fs.renameSync(out, reliabilityPage);
  const where = unpublished === undefined ? reliabilityPage : `${out}, as ${unpublished}`;
  console.log(`${found.rows.length} faults and ${found.changes.length} changes: ${where}`);
  for (const line of wrong.length > 0 ? wrong : ["every bound was kept"]) console.log(line);
  if (wrong.length > 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { only: text, from: text, out: text } });
  const wanted = choose(values.only);
  const todo = values.from === undefined ? wanted : goingOn(wanted, values.from);
  const out = path.resolve(checkout(), values.out ?? ".chaos.md");
  const isElsewhere = values.out !== undefined || values.only !== undefined;
  const files = { page: out, rows: `${out.replace(/\.md$/, "")}.json`, style: reliabilityPage };
  const before = values.from === undefined ? nothing : keptBefore(files.rows, todo);
  const commit = await commitOf();
  say(commit);
  if (!isElsewhere) mustBePublishable(commit);
  const leave = await ownLab();
  try {
    const run = await doIn(await standing(), todo, files, before, commit);
    // Before the lab is taken away, which may fail.
    conclude(run, wanted, out, isElsewhere);
  } finally {
    await leave();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof ToolError ? `moorage: ${error.message}` : error);
  process.exitCode = 1;
});
