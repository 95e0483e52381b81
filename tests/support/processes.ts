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

/** All whose environment has a variable with this value, as whatever was started by somebody who had it so. */
export function startedWith(variable: string, value: string): Recorded[] {
  return listOf("/proc")
    .filter((name) => /^\d+$/.test(name) && has(name, `${variable}=${value}`))
    .flatMap((name) => {
      const start = startTime(Number(name));
      return start === undefined ? [] : [{ pid: Number(name), start }];
    });
}

function has(pid: string, assignment: string): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(assignment);
  } catch {
    // It has ended, or is the kernel's own.
    return false;
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
