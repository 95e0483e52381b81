import { expect } from "vitest";
import { eventually, type TestLab } from "./testLab";

/** Where members have their data on a node. */
export const etcdStore = "/var/lib/moorage/data/etcd/store";

/** Runs `etcdctl` in a node's member. @returns what it printed */
export const etcdctl = (lab: TestLab, node: string, line: string): Promise<string> =>
  lab.mustRoot(node, `docker exec moorage-etcd etcdctl ${line}`);

/** Ids of the members by their names, as the first manager's knows them. */
export async function memberIds(lab: TestLab): Promise<Record<string, string>> {
  const lines = (await etcdctl(lab, "coreos1", "member list")).trim().split("\n");
  const rows = lines.map((line) => line.split(", "));
  return Object.fromEntries(rows.map(([id = "", , name = ""]) => [name, id]));
}

/** Takes what members have, which then wait to be added. */
export async function loseData(lab: TestLab, nodes: readonly string[]): Promise<void> {
  for (const node of nodes) await lab.mustRoot(node, `docker kill moorage-etcd; rm -rf ${etcdStore}`);
  for (const node of nodes) {
    await eventually(30, async () => {
      const said = await lab.mustRoot(node, "journalctl -u moorage-etcd -n 1 -o cat");
      expect(said).toMatch(/no data here: waiting/);
    });
  }
}
