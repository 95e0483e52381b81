import * as fs from "node:fs";
import { startTime, type Recorded } from "../../lab/exec";

/** All that a process has started, and what that has started, as it is now. */
export function descendantsOf(pid: number): Recorded[] {
  return childrenOf(pid).flatMap((child) => {
    const start = startTime(child);
    const below = descendantsOf(child);
    return start === undefined ? below : [{ pid: child, start }, ...below];
  });
}

function childrenOf(pid: number): number[] {
  return listOf(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      return fs
        .readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")
        .split(" ")
        .filter(Boolean)
        .map(Number);
    } catch {
      // The thread has ended in between; its children are another one's.
      return [];
    }
  });
}

function listOf(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

/** Ends those that still run, at once. */
export function endAll(processes: readonly Recorded[]): void {
  for (const { pid, start } of processes) {
    if (startTime(pid) !== start) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended between the look and the signal.
    }
  }
}
