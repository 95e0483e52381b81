import { describe, expect, test } from "vitest";
import { faultNames, faults, type Fault } from "../../../lab/faults";
import { brokenBounds, type Row } from "../../chaos/bounds";
import { chosen, fullPlan, nameOf, nodesFor, roles, type Cast } from "../../chaos/plan";
import { refusalProblems, unclear } from "../../chaos/refusal";
import { missingInSwarm, missingOnNodes, partsOf, unhealed } from "../../chaos/strength";
import { cellsOf, page } from "../../chaos/table";

const cast: Cast = {
  nodes: ["n1", "n2", "n3", "n4"],
  managers: ["n1", "n2", "n3"],
  holder: "n2",
  leader: "n1",
};

describe("the plan", () => {
  test("has every fault of the lab, and every role", () => {
    const plan = fullPlan();
    expect([...new Set(plan.map(({ fault }) => fault))].sort()).toEqual([...faultNames].sort());
    for (const fault of ["power", "freeze-host", "cut-off", "full-disk", "lose"])
      expect(plan.filter((step) => step.fault === fault).map(({ role }) => role)).toEqual(
        expect.arrayContaining([...roles]),
      );
    expect(new Set(plan.map((step) => JSON.stringify(step))).size).toBe(plan.length);
    for (const { fault, choice } of plan) {
      const { choices }: Fault = faults[fault];
      if (choice === undefined) expect(choices).toBeUndefined();
      else expect(choices).toContain(choice);
    }
  });

  test("hurts nodes that have no other role where there are such", () => {
    const of = (role: (typeof roles)[number], count = 1): string[] =>
      nodesFor({ fault: "power", role, count }, cast);
    expect(of("holder")).toEqual(["n2"]);
    expect(of("leader")).toEqual(["n1"]);
    expect(of("minio")).toEqual(["n4"]);
    expect(of("registry")).toEqual(["n3"]);
    expect(of("etcd")).toEqual(["n3"]);
    expect(of("minio", 2)).toEqual(["n3", "n4"]);
    expect([...of("minio", 3)].sort()).toEqual(["n1", "n3", "n4"]);
    expect([...of("holder", 4)].sort()).toEqual(cast.nodes);
  });

  test("asks nobody for a refusal where nobody is left", () => {
    const all = fullPlan().filter((step) => step.count === cast.nodes.length);
    expect(all.map(({ refuses }) => refuses)).toEqual(["silence"]);
  });

  test("is cut down by name", () => {
    const plan = fullPlan();
    expect(chosen(plan, "")).toEqual(plan);
    expect(chosen(plan, "kill etcd, power: the VIP").map(nameOf)).toEqual([
      "kill etcd: etcd member",
      "power: the VIP's holder",
    ]);
    expect(chosen(plan, "kill minio").map(nameOf)).toEqual(["kill minio: MinIO node"]);
    expect(chosen(plan, "nothing of the kind")).toEqual([]);
  });
});

const good: Row = {
  step: { fault: "power", role: "holder" },
  nodes: ["n2"],
  pushes: { all: 9, before: 2, after: 1 },
  pulls: { all: 30, before: 2, after: 0 },
  pushed: 3,
  failedOnReturn: 0,
  gapMs: 1234,
  slowestMs: 90,
  slowestAfterMs: 100,
  secondsOfTwo: 1,
  lost: [],
  strengthSeconds: 31.4,
  reasons: ["2× pull: too slow"],
  problems: [],
};

describe("bounds", () => {
  test("are kept, or say how far off they are", () => {
    expect(brokenBounds(good)).toEqual([]);
    const bad = { ...good, gapMs: 2500, slowestMs: Infinity, slowestAfterMs: 2100, secondsOfTwo: 3 };
    expect(brokenBounds({ ...bad, lost: ["x"], pulls: { all: 9, before: 1, after: 1 } })).toEqual([
      "1 acknowledged are lost",
      "1 pulls failed",
      "a gap of 2.5 s",
      "first byte: no answer",
      "first byte on return: 2.1 s",
      "two holders of the VIP for 3 s",
    ]);
    expect(brokenBounds({ ...good, strengthSeconds: undefined, problems: ["missing: x"] })).toEqual([
      "not at full strength",
      "missing: x",
    ]);
  });

  test("allow a gap where the holder stays, and silence where everything is refused", () => {
    expect(brokenBounds({ ...good, step: { fault: "power", role: "minio" }, gapMs: 9000 })).toEqual([]);
    for (const refuses of ["everything", "silence"] as const) {
      const step = { fault: "power", role: "holder", count: 4, refuses } as const;
      const silent = { ...good, step, gapMs: 60_000, slowestMs: Infinity, pushed: 0 };
      const all = { ...silent, pulls: { all: 9, before: 9, after: 9 } };
      expect(brokenBounds(all)).toEqual([]);
      expect(brokenBounds({ ...all, failedOnReturn: 2 })).toEqual(["2 pulls failed when it answered again"]);
    }
  });

  test("want a push to succeed while one node is hurt, and none where pushes are refused", () => {
    expect(brokenBounds({ ...good, pushed: 0 })).toEqual(["no push begun while it lasted succeeded"]);
    const step = { fault: "power", role: "minio", count: 2, refuses: "pushes" } as const;
    expect(brokenBounds({ ...good, step, pushed: 0 })).toEqual([]);
  });

  test("are the last column of the table", () => {
    expect(cellsOf({ ...good, lost: ["x"], command: "`x`" }).slice(-5)).toEqual([
      "1 s",
      "1",
      "31 s, by `x`",
      "2× pull: too slow",
      "1 acknowledged are lost",
    ]);
    const text = page({
      where: "4 nodes",
      rows: [good],
      changes: [],
      left: [{ fault: "drop", role: "etcd" }],
      leftChanges: ["a user's password"],
      acknowledged: { count: 7, bytes: 3 * 1024 ** 2 },
    });
    expect(text).toContain(
      "| power | the VIP's holder | 9, 2, 1 | 30, 2, 0 | 1.23 s | 0.09 s | 0.10 s | 1 s | 0 | 31 s | 2× pull: too slow | kept |",
    );
    expect(text).toContain("7 pushes were acknowledged (3 MiB). Every bound was kept. Not in this run: 1 of");
    expect(text).toContain("Left out: drop (etcd).");
    expect(text).toContain("Left out: a user's password.");
  });
});

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
  expect(missingInSwarm(partsOf(output), cast.nodes, 3)).toEqual([
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

test("a clear refusal is a 503 with Retry-After and an error of the registry's", () => {
  const answer = { status: 503, firstByteMs: 1, digest: "", headers: { "retry-after": "5" }, body: "" };
  expect(unclear({ ...answer, body: '{"errors":[{"code":"UNAVAILABLE"}]}' })).toBeUndefined();
  expect(unclear({ ...answer, body: "<html>" })).toBe("503 with a body that is no JSON");
  expect(unclear({ ...answer, headers: {} })).toBe("503 without Retry-After");
  expect(unclear({ ...answer, headers: { "retry-after": "soon" } })).toBe("503 with Retry-After: soon");
  expect(unclear({ ...answer, status: 0, error: "silent for 9 ms" })).toBe("silent for 9 ms");
});

test("every kind of write has to be refused, and where nothing can be read a pull too", async () => {
  const body = '{"errors":[{"code":"UNAVAILABLE"}]}';
  const refused = { status: 503, firstByteMs: 1, digest: "", headers: { "retry-after": "5" }, body };
  const asked: string[] = [];
  const ask = (path: string, method: string) => {
    asked.push(`${method} ${path}`);
    return Promise.resolve(method === "PATCH" ? { ...refused, status: 502 } : refused);
  };
  const digest = `sha256:${"ab".repeat(32)}`;
  const known = { repository: "a/b", digest };
  const problems = ["a layer is not refused clearly: status 502"];
  expect(await refusalProblems("pushes", known, ask)).toEqual(problems);
  expect(asked).toEqual([
    "POST /v2/a/b/blobs/uploads/",
    "PATCH /v2/a/b/blobs/uploads/0a-1b",
    "PUT /v2/a/b/manifests/refused",
    `DELETE /v2/a/b/manifests/${digest.slice(0, -8)}00000000`,
  ]);
  asked.length = 0;
  expect(await refusalProblems("everything", known, ask)).toEqual(problems);
  expect(asked).toHaveLength(5);
  expect(asked).toContain(`GET /v2/a/b/manifests/${digest}`);
});
