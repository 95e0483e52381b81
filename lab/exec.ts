import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { lastWords, run as runTool, ToolError, type Finished } from "../toolchain";

export type { Finished } from "../toolchain";

/** A mistake or a condition the user can do something about: one line, no stack trace. */
export class LabError extends ToolError {}

/** How a command is run. */
export interface RunOptions {
  readonly input?: string;
  /** Beside this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Milliseconds after which the command is told to end. @default none */
  readonly timeoutMs?: number;
}

/** Runs a command and gives back its exit code and output, whatever the code is. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const env = { ...process.env, LC_ALL: "C", ...options.env };
  return runTool(command, args, { ...options, env, killSignal: "SIGTERM" });
}

/** Runs a command that must succeed, and gives back its standard output. */
export async function must(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const done = await run(command, args, options);
  if (done.code !== 0) {
    const said = lastWords(done.stderr.trim() || done.stdout);
    throw new LabError(`${[command, ...args].join(" ").slice(0, 160)}: exit code ${done.code}: ${said}`);
  }
  return done.stdout;
}

/** Writes a file as a whole or not at all. */
export function writeAtomic(file: string, content: string | Buffer, mode = 0o644): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.${randomBytes(3).toString("hex")}`;
  fs.writeFileSync(temporary, content, { mode });
  fs.chmodSync(temporary, mode);
  fs.renameSync(temporary, file);
}

/** The text of a file, or undefined where there is none. */
export function readIf(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Waits until `probe` gives something, asking every `everyMs`; undefined when the time is over. */
export async function waitFor<T>(
  probe: () => Promise<T | undefined>,
  timeoutMs: number,
  everyMs = 200,
): Promise<T | undefined> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const got = await probe();
    if (got !== undefined) return got;
    if (Date.now() > end) return undefined;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** A process by number and start time, so that a number used again is never taken for it. */
export interface Recorded {
  readonly pid: number;
  readonly start: string;
}

/** The start time of a process in clock ticks since boot; undefined when there is no such process. */
export function startTime(pid: number): string | undefined {
  const stat = readIf(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
}

/** When a process started, in milliseconds since 1970; undefined when there is no such process. */
export function startedAt(pid: number): number | undefined {
  const ticks = startTime(pid);
  const booted = /^btime (\d+)$/m.exec(readIf("/proc/stat") ?? "")?.[1];
  // Linux counts in hundredths of a second wherever programs see it.
  return ticks === undefined || booted === undefined ? undefined : Number(booted) * 1000 + Number(ticks) * 10;
}

/** Reads a record "PID START" and says whether that very process is alive. */
export function aliveRecord(file: string): Recorded | undefined {
  const [pid, start] = (readIf(file) ?? "").trim().split(" ");
  if (pid === undefined || start === undefined || !/^\d+$/.test(pid)) return undefined;
  return startTime(Number(pid)) === start ? { pid: Number(pid), start } : undefined;
}

/** Records the process that asks for it, with what else its readers want to know. */
export function recordOwn(file: string, ...more: readonly string[]): void {
  writeAtomic(file, `${[process.pid, startTime(process.pid), ...more].join(" ")}\n`);
}

/** Kills a recorded process, and only that one. */
export function killRecord(file: string, signal: NodeJS.Signals = "SIGTERM"): void {
  const alive = aliveRecord(file);
  if (alive === undefined) return;
  try {
    process.kill(alive.pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

/**
 * `$1` record, the command follows. The process records itself before it becomes the command, so that it is known
 * also where whoever started it was killed meanwhile.
 */
const recordingScript = `
record=$1; shift
start() { shift 19; printf %s "$1"; }
read -r stat < /proc/$$/stat
printf '%s %s\\n' $$ "$(start \${stat##*) })" > "$record.$$" && mv -f "$record.$$" "$record" && exec "$@"
`;

/** Names the run of tests that a process belongs to, and what it starts. */
export const runVariable = "MOORAGE_TEST_RUN";

/** Starts a process that outlives this one, and its run of tests; its output is in a file, and it is recorded. */
export function startDetached(
  command: string,
  args: readonly string[],
  log: string,
  record: string,
): Recorded {
  const out = fs.openSync(log, "a");
  const child = spawn("sh", ["-c", recordingScript, "sh", record, command, ...args], {
    detached: true,
    stdio: ["ignore", out, out],
    cwd: "/",
    // It is its lab's, which may be one that stays.
    env: { ...process.env, [runVariable]: undefined },
  });
  child.on("error", () => undefined);
  child.unref();
  fs.closeSync(out);
  const start = child.pid === undefined ? undefined : startTime(child.pid);
  if (child.pid === undefined || start === undefined)
    throw new LabError(`cannot start ${command}; see ${log}`);
  writeAtomic(record, `${child.pid} ${start}\n`);
  return { pid: child.pid, start };
}
