/**
 * `make test`: every test. Those without a lab come first, as a lab takes much of the machine even at rest; those on labs
 * wait a good part of the time, so two labs are at work side by side. Each of the two runs is a vitest of its own; what both
 * come to is told at the end.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { giveBackAll, runVariable } from "./support/freeLab";
import { summaryVariable } from "./support/reporter";
import { summaryText, together, type Summary } from "./support/summary";

const checkout = path.join(__dirname, "..");
const thisRun = String(process.pid);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-tests-"));

const none: Summary = { seconds: {}, passed: 0, failures: [], reasons: {} };

/** Options of vitest for each. Those without a lab wait for what they have started, too: more of them run than there are cores. */
const runs: Readonly<Record<string, readonly string[]>> = {
  others: ["--project=setup", "--project=quick", "--project=parity", "--poolOptions.forks.maxForks=4"],
  labs: ["--project=platforms", "--project=lab"],
};

/** Runs vitest with these options. @returns what it came to, with a failure where it did not come to its end */
function run(name: string, options: readonly string[]): Promise<Summary> {
  const file = path.join(folder, `${name}.json`);
  const child = spawn(path.join(checkout, "node_modules/.bin/vitest"), ["run", ...options], {
    cwd: checkout,
    env: { ...process.env, [summaryVariable]: file, [runVariable]: thisRun },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return new Promise((resolve) => {
    child.on("error", (error) => console.error(`vitest: ${error.message}`));
    child.on("close", (code) => {
      const found = fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Summary) : none;
      const silent = (code !== 0 || found === none) && found.failures.length === 0;
      resolve(silent ? { ...found, failures: [`failed: ${name}: vitest ended with ${code}`] } : found);
    });
  });
}

async function main(): Promise<void> {
  // Whoever interrupts this one interrupts the run; its end is waited for, and what it leaves is taken away.
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (interrupted = true));
  const summaries: Summary[] = [];
  for (const [name, options] of Object.entries(runs))
    summaries.push(
      interrupted ? { ...none, failures: [`failed: ${name}: interrupted`] } : await run(name, options),
    );
  fs.rmSync(folder, { recursive: true });
  const left = await giveBackAll(thisRun).then(
    () => [],
    (error: unknown) => [`failed: a lab that was left stays: ${String(error)}`],
  );
  const summary = together([...summaries, { ...none, failures: left }]);
  console.log(summaryText(summary));
  if (summary.failures.length > 0) process.exitCode = 1;
}

void main();
