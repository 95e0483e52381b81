/** CPU seconds of the processes on lab hosts, by program. */
import * as fs from "node:fs";
import { readIf } from "../lab/exec";

const TICKS_PER_SECOND = 100;

/** By program, such as `minio`. @param cgroup of the lab or of one of its hosts, such as `moorage0/client2` */
export type Cpu = Readonly<Record<string, number>>;

/** What the processes there have used so far; of one that ended nothing is known. */
export function cpuOf(cgroup: string): Cpu {
  const seconds: Record<string, number> = {};
  for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const groups = readIf(`/proc/${pid}/cgroup`);
    const stat = readIf(`/proc/${pid}/stat`);
    if (!groups?.includes(`:/${cgroup}/`) || stat === undefined) continue;
    const program = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    // The fields after the name: 11 and 12 are the time in user and in system mode (proc_pid_stat(5)).
    const [user, system] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
      .map(Number);
    seconds[program] = (seconds[program] ?? 0) + ((user ?? 0) + (system ?? 0)) / TICKS_PER_SECOND;
  }
  return seconds;
}

/** What was used between the two. */
export const cpuBetween = (before: Cpu, after: Cpu): Cpu =>
  Object.fromEntries(
    Object.entries(after).map(([program, seconds]) => [program, seconds - (before[program] ?? 0)]),
  );

export const sum = (cpu: Cpu): number => Object.values(cpu).reduce((all, seconds) => all + seconds, 0);

/** The programs that used most, each with its share per unit. */
export const shares = (cpu: Cpu, units: number): string =>
  Object.entries(cpu)
    .map(([program, seconds]) => [program, seconds / units] as const)
    .filter(([, each]) => each >= 0.001)
    .sort(([, one], [, other]) => other - one)
    .slice(0, 6)
    .map(([program, each]) => `${program} ${each.toFixed(3)}`)
    .join(", ");
