import { describe, expect, test } from "vitest";
import { missingInSwarm, missingOnNodes, partsOf, unhealed } from "../../chaos/strength";

test("full strength is every node ready, every replica, and every member of etcd", () => {
  const output = [
    "-- nodes",
    "n1 Ready Active Leader",
    "n2 Ready Active Unreachable",
    "n3 Down Active Reachable",
    "n4 Ready Active -",
    "-- services",
    "nginx 4/4",
    "minio-n3 0/1",
    "-- etcd",
    "https://10.0.2.11:2379 is healthy: successfully committed proposal: took = 9ms",
    "https://10.0.2.13:2379 is unhealthy: failed to commit proposal: context deadline exceeded",
  ].join("\n");
  expect(missingInSwarm(partsOf(output), ["n1", "n2", "n3", "n4"], 3)).toEqual([
    "node n2: Ready Active Unreachable",
    "node n3: Down Active Reachable",
    "minio-n3 0/1",
    "etcd 1/3",
  ]);
  expect(missingInSwarm({}, ["n1"], 3)).toEqual(["node n1: unknown", "services: ", "etcd 0/3"]);
});

describe("full strength has nothing left over", () => {
  const healthy = (count: number): string => Array(count).fill("https://x is healthy: ok").join("\n");
  const said = { nodes: "n1 Ready Active Leader", services: "nginx 1/1", etcd: healthy(1) };

  test("no entry of a node that was lost, and none of another one", () => {
    expect(missingInSwarm(said, ["n1"], 1)).toEqual([]);
    const more = { ...said, nodes: `n1 Down Active -\n${said.nodes}\nold Down Active -` };
    expect(missingInSwarm(more, ["n1"], 1)).toEqual([
      "node n1: Down Active - and Ready Active Leader",
      "node too many: old Down Active -",
    ]);
  });

  test("no member of etcd that is none of ours, healthy or not", () => {
    const unhealthy = `${healthy(1)}\nhttps://y is unhealthy: gone`;
    expect(missingInSwarm({ ...said, etcd: unhealthy }, ["n1"], 1)).toEqual([
      "etcd has 2 members in place of 1",
    ]);
    expect(missingInSwarm({ ...said, etcd: healthy(2) }, ["n1"], 1)).toEqual([
      "etcd 2/1",
      "etcd has 2 members in place of 1",
    ]);
  });
});

test("full strength is every unit active on its node, and nothing to be healed", () => {
  const units = "moorage-keepalived active\nmoorage-vip-guard active";
  const healing = "healed=90\nlooked=120 4\nall=4";
  const nodes = [
    { units: `${units}\nmoorage-healing active`, healing },
    { units, healing: "" },
  ];
  expect(missingOnNodes(nodes, ["n1", "n2"], 100)).toEqual([]);
  const failed = { units: units.replace("guard active", "guard failed"), healing: "" };
  expect(missingOnNodes([failed, { units: "" }], ["n1", "n2"], 100)).toEqual([
    "n1: moorage-vip-guard failed",
    "n2 does not say what runs there",
    "0 nodes heal",
  ]);
  expect(missingOnNodes(nodes, ["n1", "n2"], 130)).toEqual(["healing: has not looked yet"]);
});

test("an object that some drives have and others have not is unhealed; one that only one has is left over", () => {
  const drives = [["a", "b", "old"], ["a", "b"], ["a", "b"], ["a"]];
  expect([...unhealed(drives)]).toEqual(["b"]);
});
