import type { TestLab } from "./testLab";

/** Runs `etcdctl` in a node's member. @returns what it printed */
export const etcdctl = (lab: TestLab, node: string, line: string): Promise<string> =>
  lab.mustRoot(node, `docker exec moorage-etcd etcdctl ${line}`);

/** Ids of the members by their names, as the first manager's knows them. */
export async function memberIds(lab: TestLab): Promise<Record<string, string>> {
  const lines = (await etcdctl(lab, "coreos1", "member list")).trim().split("\n");
  const rows = lines.map((line) => line.split(", "));
  return Object.fromEntries(rows.map(([id = "", , name = ""]) => [name, id]));
}
