/**
 * `make chaos`: every change, and every fault for every role of a node, in a lab of its own, under load; the figures go
 * into `docs/reliability.md` once all are there, and into `.chaos.md` while it runs. `CHAOS="--only power,freeze minio"`
 * takes some of them, `--only change` all changes, which go there alone; `--out FILE` writes elsewhere. With MOORAGE_LAB that lab is used, and kept.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { format, resolveConfig } from "prettier";
import { ToolError } from "../../toolchain";
import { LabError } from "../../lab/exec";
import { checkout, platformNamed } from "../../lab/instance";
import { platformOf } from "../../lab/lab";
import { ownLab } from "../support/labSetup";
import { TestLab } from "../support/testLab";
import { brokenBounds, type Row } from "./bounds";
import { brokenChange, type ChangeRow } from "./changeRow";
import { changes, chosenChanges } from "./changes";
import { changeRound } from "./changing";
import { chosen, fullPlan, nameOf } from "./plan";
import { round } from "./round";
import { Stage } from "./stage";
import { changeText, page, rowText } from "./table";

const reliabilityPage = path.join(checkout(), "docs", "reliability.md");

const start = Date.now();
const say = (line: string): void =>
  console.error(`${((Date.now() - start) / 1000).toFixed(0).padStart(5)} s  ${line}`);

async function standing(): Promise<TestLab> {
  // Machines without a hypervisor: one that is lost is replaced by switching an empty one on.
  const wanted = platformNamed(process.env.MOORAGE_LAB_PLATFORM, "MOORAGE_LAB_PLATFORM") ?? "metal";
  say("hosts");
  const lab = await TestLab.open(wanted);
  if ((await lab.outputs()).registryUrl === undefined) {
    say("pulumi up");
    await lab.mustUp();
  }
  await lab.recordAccess();
  return lab;
}

async function refreshAndUp(lab: TestLab): Promise<void> {
  const { code, output } = await lab.refresh();
  if (code !== 0) throw new LabError(`pulumi refresh failed:\n${output}`);
  await lab.mustUp();
}

/** The whole plan, and what of it is to be done. @throws LabError where that is nothing */
function choose(only = "") {
  const plan = fullPlan();
  const steps = chosen(plan, only);
  const changing = chosenChanges(only);
  if (steps.length + changing.length === 0) {
    const names = [...plan.map(nameOf), ...changes.map(({ name }) => `change: ${name}`)];
    throw new LabError(`no fault and no change has "${only}" in its name: ${names.join("; ")}`);
  }
  return { plan, steps, changing };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" }, out: { type: "string" } } });
  const { plan, steps, changing } = choose(values.only);
  const out = path.resolve(checkout(), values.out ?? ".chaos.md");
  const leave = await ownLab();
  const rows: Row[] = [];
  const changed: ChangeRow[] = [];
  try {
    const lab = await standing();
    const access = await lab.access();
    const stage = await Stage.begin({
      instance: lab.instance,
      access,
      update: () => refreshAndUp(lab),
      say,
      seed: `chaos ${new Date().toISOString()}`,
    });
    const write = async (): Promise<void> => {
      const { entries, bytes } = stage.ledger;
      const where = `${lab.nodes.length} nodes on ${os.cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`;
      const done = new Set(rows.map(({ step }) => step));
      const left = plan.filter((step) => !done.has(step));
      const leftChanges = changes
        .map(({ name }) => name)
        .filter((name) => !changed.some((row) => row.name === name));
      const acknowledged = { count: entries.length, bytes };
      const text = page({ where, rows, changes: changed, left, leftChanges, acknowledged });
      const style = await resolveConfig(reliabilityPage);
      fs.writeFileSync(out, await format(text, { ...style, parser: "markdown" }));
    };
    try {
      const platform = platformOf(lab.instance);
      // First, on a lab that nothing has hurt yet.
      for (const change of changing.filter((one) => (one.platform ?? platform) === platform)) {
        const row = await changeRound(stage, lab, change);
        changed.push(row);
        say(`  ${changeText(row)}`);
        await write();
      }
      for (const step of steps) {
        const row = await round(stage, step);
        rows.push(row);
        say(`  ${rowText(row)}`);
        await write();
      }
    } finally {
      await stage.end();
    }
  } finally {
    await leave();
  }
  if (values.out === undefined && values.only === undefined) fs.renameSync(out, reliabilityPage);
  const broken =
    rows.filter((row) => brokenBounds(row).length > 0).length +
    changed.filter((row) => brokenChange(row).length > 0).length;
  console.log(
    `${rows.length} faults and ${changed.length} changes, ${broken} of them with a bound that was not kept: ${out}`,
  );
  if (broken > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof ToolError ? `moorage: ${error.message}` : error);
  process.exitCode = 1;
});
