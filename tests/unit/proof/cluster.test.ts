import { describe, expect, test } from "vitest";
import { missingInSwarm, missingOnNodes, unhealed } from "../../support/cluster";
import { unclear } from "../../support/refusal";

describe("a cluster is whole", () => {
  const healthy = (count: number): string => Array(count).fill("https://x is healthy: ok").join("\n");
  const whole = { nodes: "n1 Ready Active Leader", services: "nginx 1/1", etcd: healthy(1) };

  test.each([
    ["with all nodes, replicas and members of etcd", whole, []],
    ["not without an answer", {}, ["node n1: unknown", "services: ", "etcd 0/1"]],
    ["not with a missing replica", { ...whole, services: "minio-n1 0/1" }, ["minio-n1 0/1"]],
    [
      "not with another node",
      { ...whole, nodes: `${whole.nodes}\nold Down Active -` },
      ["node too many: old Down Active -"],
    ],
    [
      "not with another member of etcd",
      { ...whole, etcd: `${healthy(1)}\nhttps://y is unhealthy: gone` },
      ["etcd has 2 members in place of 1"],
    ],
  ])("%s", (_what, said, missing) => expect(missingInSwarm(said, ["n1"], 1)).toEqual(missing));

  test("with active units, and a healing that has checked the drives since", () => {
    const node = { units: "moorage-keepalived active", healing: "healed=90\nlooked=120 4\nall=4" };
    expect(missingOnNodes([node], ["n1"], 100)).toEqual([]);
    expect(missingOnNodes([node], ["n1"], 130)).toEqual(["healing: has not looked yet"]);
    const ill = { units: "moorage-keepalived failed", healing: "wanted=5 x\nlooked=120 3\nall=4" };
    expect(missingOnNodes([ill], ["n1"], 100)).toEqual([
      "n1: moorage-keepalived failed",
      "healing: wanted=5 x",
      "healing: 3 drives",
      "healing: never done",
    ]);
  });

  test.each<[string, string[][], string[]]>([
    ["on every drive", [["a 5"], ["a 5"], ["a 5"]], []],
    ["missing on a drive", [["a 5"], ["a 5"], []], ["a 5"]],
    ["deleted while a drive was away", [["a 5"], [], []], []],
    ["of another length", [["a/part.1 5"], ["a/part.1 5"], ["a/part.1 4"]], ["a/part.1 5"]],
    ["noted in another length", [["a/xl.meta 5"], ["a/xl.meta 5"], ["a/xl.meta 4"]], []],
  ])("a file is healed: %s", (_what, drives, files) => expect([...unhealed(drives)]).toEqual(files));
});

test("a refusal is clear: 503, Retry-After, and an error of the registry", () => {
  const body = '{"errors":[{"code":"UNAVAILABLE"}]}';
  const answer = { status: 503, digest: "", headers: { "retry-after": "5" }, body };
  expect(unclear(answer)).toBeUndefined();
  expect(unclear({ ...answer, body: "<html>" })).toBe("503 with a body that is no JSON");
  expect(unclear({ ...answer, headers: {} })).toBe("503 without Retry-After");
  expect(unclear({ ...answer, status: 0, error: "silent for 9 ms" })).toBe("silent for 9 ms");
});
