/** Programs that run beside this process, and tell what they find line by line. */
import { spawn } from "node:child_process";
import * as path from "node:path";
import { LabError } from "../../lab/exec";
import { checkout } from "../../lab/instance";

export interface Program {
  /** Its exit code, once it has ended. */
  readonly over: Promise<number>;
  readonly stop: () => void;
}

/**
 * @param name of its file beside this one
 * @param input what it reads, as JSON
 * @param by a command that becomes it, such as one that enters a network
 */
export function startProgram(
  name: string,
  input: unknown,
  onLine: (line: unknown) => void,
  by: readonly string[],
): Program {
  const script = path.join(checkout(), "tests", "chaos", `${name}.ts`);
  const [command = process.execPath, ...args] = [...by, process.execPath, "--import", "tsx", script];
  const child = spawn(command, args, { cwd: checkout(), stdio: ["pipe", "pipe", "inherit"] });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(JSON.parse(line));
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(input));
  const over = new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new LabError(`cannot run ${command}: ${error.message}`)));
    child.once("close", (code) => resolve(code ?? 137));
  });
  // Where it cannot be run, that is told to whoever waits for its end.
  over.catch(() => undefined);
  return { over, stop: () => void child.kill("SIGKILL") };
}
