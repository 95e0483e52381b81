/**
 * `make proof`: everything that takes too long for the gate, group by group; `make proof ONLY=platforms,parity` takes some.
 * A group that passed at this commit is not run again, nor is a fault that was done: a run that was cut off goes on.
 * `SEED=…` chooses the order and times of the faults, `ROWS="freeze minio,cut-off"` takes those with such a name.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { checkout } from "../../lab/instance";
import { cleanUp, command, secondsText, tests, type Part } from "../support/parts";
import { noTests, sum, summaryText } from "../support/summary";
import { currentCommit, groupNames, readResults, record, type FaultRow, type GroupName } from "./results";

/** Rows of the faults, while not all of them are done. */
const rowsFile = path.join(checkout(), ".proof", "faults.jsonl");

const rowsOf = (commit: string): FaultRow[] =>
  (fs.existsSync(rowsFile) ? fs.readFileSync(rowsFile, "utf8").split("\n") : [])
    .filter(Boolean)
    .map((line) => JSON.parse(line) as FaultRow)
    .filter((row) => row.commit === commit);

async function faults(commit: string): Promise<{ part: Part; rows: FaultRow[] }> {
  fs.mkdirSync(path.dirname(rowsFile), { recursive: true });
  const seed = process.env.SEED || rowsOf(commit).at(-1)?.seed || randomBytes(4).toString("hex");
  const program = ["node_modules/.bin/tsx", "tests/proof/faults/main.ts"] as const;
  const only = process.env.ROWS ? ["--only", process.env.ROWS] : [];
  const ran = await command("faults", [
    ...program,
    "--rows",
    rowsFile,
    "--seed",
    seed,
    "--commit",
    commit,
    ...only,
  ]);
  const rows = rowsOf(commit).filter((row) => row.seed === seed);
  const broken = rows.flatMap(({ name, broken }) => broken.map((bound) => `failed: ${name}: ${bound}`));
  const passed = rows.filter((row) => row.broken.length === 0).length;
  return { rows, part: { ...ran, passed, failures: broken.length > 0 ? broken : ran.failures } };
}

function chosen(only: string): GroupName[] {
  const names = only.split(",").filter(Boolean);
  const unknown = names.filter((name) => !groupNames.some((known) => known === name));
  if (unknown.length > 0)
    throw new Error(`ONLY has ${unknown.join(", ")}: give one or more of ${groupNames.join(", ")}`);
  return names.length === 0 ? groupNames : groupNames.filter((name) => names.includes(name));
}

async function run(name: GroupName, commit: string): Promise<Part> {
  const { part, rows } =
    name === "faults" ? await faults(commit) : { part: await tests(name, name), rows: undefined };
  const { seconds, passed, failures } = part;
  const verdict = failures.length === 0 ? "passed" : "failed";
  const date = new Date().toISOString().slice(0, 10);
  record(name, { verdict, commit, date, seconds: Math.round(seconds), passed, failures, rows });
  return part;
}

async function main(): Promise<void> {
  const wanted = chosen(process.env.ONLY ?? "");
  const commit = await currentCommit();
  const before = readResults();
  const parts: Part[] = [];
  for (const name of wanted) {
    const known = before[name];
    const isDone = known?.verdict === "passed" && known.commit === commit && !commit.includes(" ");
    if (isDone) console.log(`${name}: passed at ${commit} already`);
    else parts.push(await run(name, commit));
  }
  const summary = sum([...parts, { ...noTests, failures: await cleanUp() }]);
  console.log([secondsText(parts), summaryText(summary), "written: docs/reliability.md"].join("\n"));
  if (summary.failures.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
