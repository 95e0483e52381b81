/** How many connections and channels were opened, for measurements. */
import { writeFileSync } from "node:fs";

export interface SshStats {
  connections: number;
  commands: number;
  forwards: number;
  /** Connections by node name. */
  byNode: Record<string, number>;
}

export const stats: SshStats = { connections: 0, commands: 0, forwards: 0, byNode: {} };

/** Counts, and writes the counts as one line of JSON to the file named by `MOORAGE_SSH_STATS`. */
export function count(kind: "connections" | "commands" | "forwards", node: string): void {
  stats[kind] += 1;
  if (kind === "connections") stats.byNode[node] = (stats.byNode[node] ?? 0) + 1;
  const file = process.env["MOORAGE_SSH_STATS"];
  if (file) writeFileSync(file, `${JSON.stringify(stats)}\n`);
}
