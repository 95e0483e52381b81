/** How many connections and channels this process has opened, for measurements. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";

export interface SshStats {
  /** What the process runs, with its folder, such as `bin/docker-proxy-server.js`. */
  readonly program: string;
  connections: number;
  commands: number;
  forwards: number;
  /** Connections by node name. */
  byNode: Record<string, number>;
}

export const stats: SshStats = {
  program: (process.argv[1] ?? "").split(sep).slice(-2).join("/"),
  connections: 0,
  commands: 0,
  forwards: 0,
  byNode: {},
};

/** Counts, and writes the counts into a file of this process in the folder named by `MOORAGE_SSH_STATS`. */
export function count(kind: "connections" | "commands" | "forwards", node: string): void {
  stats[kind] += 1;
  if (kind === "connections") stats.byNode[node] = (stats.byNode[node] ?? 0) + 1;
  const folder = process.env["MOORAGE_SSH_STATS"];
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${process.pid}.json`), `${JSON.stringify(stats)}\n`);
}
