/**
 * `make test`: every test but those that have a command of their own. Those on a lab that they share come one after the other;
 * beside them run those with labs of their own, and then those that have none. Each of these is a run of vitest; what they come
 * to is told at the end.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { runVariable } from "../lab/exec";
import { giveBackAll, labsBeside } from "./support/freeLab";
import { summaryVariable } from "./support/reporter";
import { summaryText, together, type Summary } from "./support/summary";

const checkout = path.join(__dirname, "..");
const thisRun = String(process.pid);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-tests-"));

const none: Summary = { seconds: {}, passed: 0, failures: [], reasons: {} };

interface Run {
  readonly name: string;
  /** Options of vitest. */
  readonly options: readonly string[];
  /** As `nice` has it. */
  readonly niceness: number;
}

/**
 * Each row side by side with the others, its runs one after the other. A lab takes half a core or more at rest: where more is
 * at work on two cores than two of these, hosts take each other for gone. So all is one row where a lab runs already.
 */
const rows: readonly (readonly Run[])[] = [
  [{ name: "lab", options: ["--project=lab"], niceness: 0 }],
  [
    { name: "platforms", options: ["--project=platforms"], niceness: 5 },
    {
      name: "others",
      options: ["--project=setup", "--project=quick", "--project=parity", "--poolOptions.forks.maxForks=3"],
      niceness: 10,
    },
  ],
];

/** Writes whole lines, so that those of several runs do not end up in each other. */
function lineByLine(write: (lines: string) => void): { add(text: string): void; end(): void } {
  let rest = "";
  return {
    add(text) {
      const end = text.lastIndexOf("\n") + 1;
      if (end > 0) write(rest + text.slice(0, end));
      rest = end > 0 ? text.slice(end) : rest + text;
    },
    end: () => rest && write(`${rest}\n`),
  };
}

/** Runs vitest with these options. @returns what it came to, with a failure where it did not come to its end */
function run({ name, options, niceness }: Run): Promise<Summary> {
  const file = path.join(folder, `${name}.json`);
  const child = spawn(path.join(checkout, "node_modules/.bin/vitest"), ["run", ...options], {
    cwd: checkout,
    env: { ...process.env, [summaryVariable]: file, [runVariable]: thisRun },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.pid !== undefined) os.setPriority(child.pid, niceness);
  const out = lineByLine((lines) => process.stdout.write(lines));
  const errors = lineByLine((lines) => process.stderr.write(lines));
  child.stdout.setEncoding("utf8").on("data", out.add);
  child.stderr.setEncoding("utf8").on("data", errors.add);
  return new Promise((resolve) => {
    child.on("error", (error) => errors.add(`vitest: ${error.message}\n`));
    child.on("close", (code) => {
      out.end();
      errors.end();
      const found = fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Summary) : none;
      const silent = (code !== 0 || found === none) && found.failures.length === 0;
      resolve(silent ? { ...found, failures: [`failed: ${name}: vitest ended with ${code}`] } : found);
    });
  });
}

async function main(): Promise<void> {
  const started = Date.now();
  // Whoever interrupts this one interrupts what runs; its end is waited for, and what it leaves is taken away.
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (interrupted = true));
  const inTurn = async (row: readonly Run[]): Promise<Summary[]> => {
    const summaries: Summary[] = [];
    for (const one of row) {
      const failures = [`failed: ${one.name}: interrupted`];
      summaries.push(interrupted ? { ...none, failures } : await run(one));
    }
    return summaries;
  };
  const labs = labsBeside();
  if (labs > 0) {
    const which = labs === 1 ? "a lab runs" : `${labs} labs run`;
    console.log(`${which} on this machine already: tests run one after the other, which takes longer`);
  }
  const summaries = (await Promise.all((labs > 0 ? [rows.flat()] : rows).map(inTurn))).flat();
  fs.rmSync(folder, { recursive: true });
  const left = await giveBackAll(thisRun).then(
    () => [],
    (error: unknown) => [`failed: a lab that was left stays: ${String(error)}`],
  );
  const summary = together([...summaries, { ...none, failures: left }]);
  console.log(summaryText(summary, (Date.now() - started) / 1000));
  if (summary.failures.length > 0) process.exitCode = 1;
}

void main();
