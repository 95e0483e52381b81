/** Runs the parts of the gate, the proof and the bench, one after the other, each as a process of its own. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { runVariable } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { giveBackAll } from "./freeLab";
import { summaryVariable } from "./reporter";
import { noTests, type Summary } from "./summary";

/** Names this run in all processes that it starts, by which its labs and left processes are found. */
const thisRun = String(process.pid);

/** What a part came to, and how long it took. */
export interface Part extends Summary {
  readonly name: string;
  readonly seconds: number;
}

let interrupted = false;
// Ctrl-C reaches the part as well; its end is waited for.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (interrupted = true));

/** Runs a command in the checkout with its output shown. @returns its exit code */
function runToEnd(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(command, args, {
    cwd: checkout(),
    env: { ...process.env, [runVariable]: thisRun, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const passOn = (): boolean => child.kill("SIGTERM");
  process.on("SIGTERM", passOn);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("SIGTERM", passOn);
      resolve(code ?? 128 + (signal ? os.constants.signals[signal] : 0));
    });
  });
}

/** A command that counts as failed where its exit code is not 0. */
export async function command(
  name: string,
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<Part> {
  const start = Date.now();
  const [program, ...args] = argv;
  console.log(`\n${name}`);
  const code = interrupted ? "interrupted" : await runToEnd(program, args, env);
  const failures =
    code === 0 ? [] : [`failed: ${name}: ${code === "interrupted" ? code : `exit code ${code}`}`];
  return { ...noTests, name, failures, seconds: (Date.now() - start) / 1000 };
}

/** A project of vitest.config.ts. */
export async function tests(
  name: string,
  project: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Part> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-tests-"));
  const file = path.join(folder, "summary.json");
  const isFast = project === "fast";
  // What a passed test prints is not shown; of the others, each test is a line when it ends.
  const shown = isFast ? ["--reporter=dot", "--silent=passed-only"] : ["--reporter=verbose"];
  const inOrder = isFast ? [] : ["--no-file-parallelism"];
  // Their tests go on from each other: after a failure the rest shows nothing.
  const inSteps = ["story", "vm"].includes(project) ? ["--bail=1"] : [];
  const argv = [
    "node_modules/.bin/vitest",
    "run",
    ...shown,
    "--reporter=./tests/support/reporter.ts",
    ...inOrder,
    ...inSteps,
    `--project=${project}`,
  ] as const;
  try {
    const ran = await command(name, argv, { [summaryVariable]: file, ...env });
    if (!fs.existsSync(file)) return ran;
    const summary = JSON.parse(fs.readFileSync(file, "utf8")) as Summary;
    return { ...ran, ...summary, failures: summary.failures.length > 0 ? summary.failures : ran.failures };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** Removes the labs of this run, and processes that it left. @returns a failure where something stays */
export async function cleanUp(): Promise<readonly string[]> {
  try {
    await giveBackAll(thisRun);
    return [];
  } catch (error) {
    return [`failed: a lab stays: ${error instanceof Error ? error.message : String(error)}`];
  }
}

export const secondsText = (parts: readonly Part[]): string =>
  parts.map(({ name, seconds }) => `${name.padEnd(24)} ${seconds.toFixed(0).padStart(5)} s`).join("\n");
