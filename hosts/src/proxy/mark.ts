/** The mark that a proxy is being started, and by which process: from its first look until it listens or fails. */
import * as fs from "node:fs";
import { writeWhole } from "./socket";

/** Longest time until a proxy serves or has said why it does not: it reads the state, on a machine that may be busy. */
export const START_MS = 40_000;

const markFile = (socket: string): string => `${socket}.starting`;

/** Marks this process as the one that starts the proxy; false where another, which is alive, is at it. */
export function takeMark(socket: string): boolean {
  const mark = markFile(socket);
  if (isStale(mark)) fs.rmSync(mark, { force: true });
  // A file of its own, linked to the name: whoever finds a mark finds it whole.
  const draft = `${mark}.${process.pid}`;
  fs.writeFileSync(draft, record(process.pid), { mode: 0o600 });
  try {
    fs.linkSync(draft, mark);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

/** Hands a mark of this process to the proxy it has started. */
export function passMark(socket: string, pid: number): void {
  writeWhole(markFile(socket), record(pid));
}

export function removeMark(socket: string): void {
  fs.rmSync(markFile(socket), { force: true });
}

function isStale(mark: string): boolean {
  try {
    const old = Date.now() - fs.statSync(mark).mtimeMs > START_MS;
    return old || !isAlive(fs.readFileSync(mark, "utf8"));
  } catch {
    return false;
  }
}

const record = (pid: number): string => `${pid} ${startTime(pid)}\n`;

/** A number used again by another process is told by the start time, where the system has `/proc`. */
function isAlive(recorded: string): boolean {
  const [, pid, start] = /^(\d+) (\d*)\n$/.exec(recorded) ?? [];
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
  } catch {
    return false;
  }
  return startTime(Number(pid)) === start;
}

/** In clock ticks since boot; empty where it cannot be known, or where the process has ended and nobody has noticed. */
function startTime(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    return "";
  }
}
