/** Rows that tests write with `measured` (tests/support/waiting.ts), over several runs of a project of vitest. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { LabError } from "../lab/exec";
import { command, tests, type Part } from "../tests/support/parts";
import { measuresVariable } from "../tests/support/waiting";
import { markdownTable, median } from "./table";

interface Measure {
  readonly name: string;
  readonly seconds: number;
}

/** Does `work` with a file that is gone afterwards. */
async function withFile<T>(work: (file: string) => Promise<T>): Promise<T> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-bench-"));
  try {
    return await work(path.join(folder, "figures"));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function mustPass({ failures }: Part): void {
  if (failures.length > 0) throw new LabError(failures.join("\n"));
}

/** Runs a program of bench/ that takes rounds and a file for its Markdown. @throws LabError if it fails */
export const benchProgram = (program: string, rounds: number): Promise<string> =>
  withFile(async (file) => {
    mustPass(await command(program, ["node_modules/.bin/tsx", `bench/${program}.ts`, String(rounds), file]));
    return fs.readFileSync(file, "utf8");
  });

/** Runs the project so often. @returns Markdown @throws LabError if a test fails */
export const benchProject = (project: string, rounds: number): Promise<string> =>
  withFile(async (file) => {
    for (let round = 1; round <= rounds; round += 1)
      mustPass(await tests(`${project}, round ${round}`, project, { [measuresVariable]: file }));
    const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
    return measuresTable(lines.map((line) => JSON.parse(line) as Measure));
  });

export function measuresTable(measures: readonly Measure[]): string {
  const byName = new Map<string, number[]>();
  for (const { name, seconds } of measures) byName.set(name, [...(byName.get(name) ?? []), seconds]);
  const rows = [...byName].map(([name, all]) => [
    name,
    String(all.length),
    `${median(all).toFixed(1)} s`,
    `${Math.max(...all).toFixed(1)} s`,
  ]);
  return markdownTable(["", "rounds", "median", "worst"], rows);
}
