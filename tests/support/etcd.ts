import { expect } from "vitest";
import type { TestLab } from "./testLab";
import { until } from "./waiting";

/** A member's data on its node. */
export const etcdStore = "/var/lib/moorage/data/etcd/store";

/** Runs `etcdctl` in a node's member. @returns its output */
export const etcdctl = (lab: TestLab, node: string, line: string): Promise<string> =>
  lab.mustRoot(node, `docker exec moorage-etcd etcdctl ${line}`);

/** The members' ids by name, as the first manager's member lists them. */
export async function memberIds(lab: TestLab): Promise<Record<string, string>> {
  const lines = (await etcdctl(lab, "coreos1", "member list")).trim().split("\n");
  const rows = lines.map((line) => line.split(", "));
  return Object.fromEntries(rows.map(([id = "", , name = ""]) => [name, id]));
}

/** Kills members and removes their data. They then wait to be added. */
export async function loseData(lab: TestLab, nodes: readonly string[]): Promise<void> {
  for (const node of nodes) await lab.mustRoot(node, `docker kill moorage-etcd; rm -rf ${etcdStore}`);
  for (const node of nodes) {
    const waits = async (): Promise<void> => {
      const said = await lab.mustRoot(node, "journalctl -u moorage-etcd -n 1 -o cat");
      expect(said).toMatch(/no data here: waiting/);
    };
    await until(`etcd on ${node} waits for data`, waits, { netSeconds: 180 });
  }
}
