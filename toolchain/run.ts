import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** Something the user can do something about: told as it is, without a stack trace. */
export class ToolError extends Error {}

/** Takes one finished line of progress. */
export type Log = (line: string) => void;

/** What a finished command left behind. */
export interface Finished {
  /** 137 where a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output and standard error, as they came. */
  readonly output: string;
  /** True when the time limit ended it. */
  readonly timedOut: boolean;
}

/** How a command is run. */
export interface RunOptions {
  /** The whole environment of the command. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What it reads from standard input. @default nothing */
  readonly input?: string;
  /** Milliseconds after which the command is ended. @default none */
  readonly timeoutMs?: number;
  /** What ends it then. @default SIGKILL */
  readonly killSignal?: NodeJS.Signals;
}

/** Runs a command without a shell, and gives back its exit code and output, whatever they are. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const { env, cwd, input = "", timeoutMs: timeout, killSignal = "SIGKILL" } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { env, cwd, timeout, killSignal });
    const said = { stdout: "", stderr: "", output: "" };
    for (const side of ["stdout", "stderr"] as const) {
      child[side].setEncoding("utf8").on("data", (text: string) => {
        said[side] += text;
        said.output += text;
      });
    }
    child.on("error", (error) => reject(new ToolError(`cannot run ${command}: ${error.message}`)));
    // Nothing but the time limit kills it from here.
    child.on("close", (code) => resolve({ code: code ?? 137, ...said, timedOut: child.killed }));
    // A command that reads nothing may be gone before it was given its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** The last lines a command said, in one line. */
export function lastWords(output: string, lines = 3): string {
  return output.trim().split("\n").slice(-lines).join(" | ");
}

/** A value as one word of a shell. */
export function shellQuote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** Every executable file of that name in the folders of a PATH, in order. */
export function onPath(name: string, searchPath: string): string[] {
  const found = searchPath
    .split(":")
    .filter((folder) => folder !== "")
    .map((folder) => path.join(folder, name))
    .filter(isExecutable);
  return [...new Set(found)];
}

/** Whether a path is a file that may be run. */
export function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Seconds since a moment, for a line of progress: `0.4 s`, `12 s`. */
export function secondsSince(start: number): string {
  const seconds = (Date.now() - start) / 1000;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

/** Compares versions such as `1.26.8` or `v3.259.0` number by number; what follows a `-` or `+` does not count. */
export function compareVersions(a: string, b: string): number {
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbersOf(version: string): number[] {
  const plain = version.replace(/^[^0-9]*/, "").split(/[-+ ]/)[0] ?? "";
  return plain.split(".").map((part) => Number.parseInt(part, 10) || 0);
}
