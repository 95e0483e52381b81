/**
 * `tsx tests/run.ts COMMAND ARGUMENT…`: a command of the Makefile that makes a lab of its own. Its lab, and what it started, is
 * taken away however it ends, interrupted too. Ends as the command did.
 */
import { spawn } from "node:child_process";
import * as os from "node:os";
import { runVariable } from "../lab/exec";
import { giveBackAll } from "./support/freeLab";

const thisRun = String(process.pid);

function runToItsEnd(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, [runVariable]: thisRun } });
  // Ctrl-C reaches the command as well.
  process.on("SIGINT", () => undefined).on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? 128 + (signal ? os.constants.signals[signal] : 0)));
  });
}

async function main([command = "", ...args]: readonly string[]): Promise<void> {
  try {
    process.exitCode = await runToItsEnd(command, args);
  } finally {
    await giveBackAll(thisRun);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
