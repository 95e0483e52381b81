import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, expect, test } from "vitest";
import { headOf, headsIn, unlike } from "../../chaos/drives";
import {
  missingHealth,
  missingInSwarm,
  missingOnNodes,
  missingVip,
  objectsIn,
  partsOf,
  unhealed,
  type Said,
} from "../../chaos/strength";

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

test("so is a part, of another version or length too", () => {
  const [first, second] = ["registry/a/1-1/part.1 500", "registry/a/2-2/part.1 500"];
  const meta = "registry/a/xl.meta 364";
  expect([
    ...unhealed([
      [meta, second],
      [meta, second],
      [meta, second],
      [meta, first],
    ]),
  ]).toEqual([second]);
  const short = [meta, second.replace("500", "499")];
  expect([...unhealed([[meta, second], [meta, second], [meta, second], short])]).toEqual([second]);
});

test("notes about an object are missing or there, of whatever length", () => {
  const notes = "registry/a/xl.meta";
  expect([...unhealed([[`${notes} 364`], [`${notes} 364`], [`${notes} 399`], [`${notes} 364`]])]).toEqual([]);
  expect([...unhealed([[`${notes} 364`], [`${notes} 364`], [`${notes} 399`], []])]).toEqual([notes]);
});

test("objects are what has notes about it, but for uploads, which end", () => {
  expect(
    objectsIn([
      "registry/docker/registry/v2/blobs/sha256/ab/abcd/data/xl.meta 364",
      "registry/docker/registry/v2/blobs/sha256/ab/abcd/data/6e81/part.1 1500096",
      "registry/docker/registry/v2/repositories/a/_uploads/0a/startedat/xl.meta 400",
      ".minio.sys/config/iam/format.json/xl.meta 427",
    ]),
  ).toEqual([
    "registry/docker/registry/v2/blobs/sha256/ab/abcd/data/xl.meta",
    ".minio.sys/config/iam/format.json/xl.meta",
  ]);
});

test("an object is of one version where the beginning of its notes is the same on all drives", () => {
  const of = (a: string, b: string) =>
    new Map([
      ["a", a],
      ["b", b],
    ]);
  expect(unlike([of("1", "2"), of("1", "2"), of("1", "2")])).toEqual([]);
  expect(unlike([of("1", "2"), of("1", "3"), of("1", "2")])).toEqual(["b"]);
  // One that ended meanwhile is none.
  expect(unlike([of("1", "2"), of("1", "")])).toEqual([]);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  try {
    const file = path.join(folder, "xl.meta");
    fs.writeFileSync(file, Buffer.concat([Buffer.alloc(64, 1), Buffer.alloc(99, 2)]));
    expect(headOf(file)).toBe("01".repeat(64));
    expect(headOf(path.join(folder, "gone"))).toBe("");
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("whoever waits has a turn while objects are looked at, however many there are", async () => {
  let turns = 0;
  const waiting = setInterval(() => turns++, 0);
  try {
    const objects = Array.from({ length: 20_000 }, (_, index) => `${index}/xl.meta`);
    expect((await headsIn("/no/such/folder", objects)).size).toBe(objects.length);
    expect(turns).toBeGreaterThan(5);
  } finally {
    clearInterval(waiting);
  }
});

test("full strength is a healthy front on every node, and nothing that says it is ill or not ready", () => {
  const front = "nginx.abc.def Up 3 minutes (healthy)";
  const nodes: Said[] = [
    { containers: `${front}\nregistry-n1.1.x Up 2 minutes` },
    { containers: `nginx.abc.def Up 3 seconds (health: starting)\nregistry-n2.1.x Up 1 second (unhealthy)` },
    {},
  ];
  expect(missingHealth(nodes, ["n1", "n2", "n3"])).toEqual([
    "n2: nginx is not healthy",
    "n2: registry-n2.1.x Up 1 second (unhealthy)",
    "n3: nginx is not healthy",
  ]);
});

test("full strength is one node with the VIP", () => {
  expect(missingVip(["n1"])).toEqual([]);
  expect(missingVip(["n1", "n2"])).toEqual(["the VIP is on n1 and n2"]);
  expect(missingVip([])).toEqual(["the VIP is on no node"]);
  expect(missingVip(undefined)).toEqual(["nobody sees who has the VIP"]);
});
