import { describe, expect, test } from "vitest";
import { faultNames, faults, type Fault } from "../../../lab/faults";
import { expected, secondsFor, secondsForChanges } from "../../chaos/estimate";
import { killsEtcd } from "../../chaos/hurt";
import {
  chosen,
  fullPlan,
  holdSeconds,
  isCovered,
  nameOf,
  nodesFor,
  roles,
  rolesHurt,
  wantsPlainLeader,
  type Cast,
  type Step,
} from "../../chaos/plan";

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
    expect(of("minio", 3)).toEqual(["n3", "n4", "n1"]);
    expect([...of("holder", 4)].sort()).toEqual(cast.nodes);
  });

  test("hurts two processes once, and once two hosts that are managers, the VIP's holder last", () => {
    const pairs = fullPlan().filter(({ count }) => count === 2);
    expect(pairs.map(({ fault, choice }) => [fault, choice])).toEqual([
      ["freeze", "minio"],
      ["power", undefined],
    ]);
    const [, hosts] = pairs;
    if (!hosts) throw new Error("no two hosts");
    expect(nodesFor(hosts, cast)).toEqual(["n3", "n1"]);
    expect(nodesFor(hosts, { ...cast, holder: "n4" })).toEqual(["n2", "n3"]);
    expect(nodesFor(hosts, { ...cast, holder: "n1" })).toEqual(["n2", "n3"]);
  });

  test("hurts all roles of a node, but for one program's", () => {
    const hurt = (step: Step, ...nodes: string[]): string[] => rolesHurt(step, nodes, cast);
    const power: Step = { fault: "power", role: "minio" };
    expect(hurt(power, "n2")).toEqual(["holder", "minio", "registry", "etcd"]);
    expect(hurt(power, "n1")).toEqual(["leader", "minio", "registry", "etcd"]);
    expect(hurt(power, "n4")).toEqual(["minio", "registry"]);
    expect(hurt(power, ...cast.nodes)).toEqual(roles);
    expect(hurt({ fault: "corrupt", choice: "minio", role: "leader" }, "n1")).toContain("etcd");
    expect(hurt({ fault: "freeze", choice: "minio", role: "minio" }, "n3")).toEqual(["minio"]);
    expect(hurt({ fault: "wipe", choice: "etcd", role: "etcd" }, "n3")).toEqual(["etcd"]);
  });

  test("is through with a fault once each role has had it", () => {
    const doneFor = (among: Cast): string[] => {
      const done: { step: Step; roles: ReturnType<typeof rolesHurt> }[] = [];
      for (const step of fullPlan()) {
        if (!isCovered(step, done)) done.push({ step, roles: rolesHurt(step, nodesFor(step, among), among) });
      }
      for (const step of fullPlan()) expect(isCovered(step, done), nameOf(step)).toBe(true);
      return done.map(({ step }) => nameOf(step));
    };
    const two = doneFor(cast);
    expect(two.filter((name) => /^(power|corrupt minio):/.test(name))).toEqual([
      "corrupt minio: the VIP's holder",
      "corrupt minio: Swarm's leader",
      "power: the VIP's holder",
      "power: Swarm's leader",
    ]);
    expect(two.filter((name) => /^(kill|freeze) /.test(name))).toHaveLength(17);
    expect(doneFor({ ...cast, leader: "n2" }).filter((name) => name.startsWith("power:"))).toHaveLength(1);
    // The worker has no member of etcd: the leader's node has.
    expect(doneFor({ ...cast, holder: "n4" }).filter((name) => name.startsWith("power:"))).toHaveLength(2);
    const one: Step = { fault: "power", role: "holder" };
    expect(isCovered({ ...one, role: "minio", count: 2 }, [{ step: one, roles }])).toBe(false);
  });

  test("kills Docker on a leader that has not got the VIP, and on the VIP's holder, each in a row of its own", () => {
    const kills = chosen(fullPlan(), "kill docker");
    expect(kills.map(nameOf)).toEqual(["kill docker: Swarm's leader", "kill docker: the VIP's holder"]);
    expect(kills.map(wantsPlainLeader)).toEqual([true, false]);
    const both = { ...cast, leader: "n2" };
    const [leader, holder] = kills as [Step, Step];
    expect(rolesHurt(holder, nodesFor(holder, both), both)).toEqual(["holder"]);
    expect(isCovered(holder, [{ step: leader, roles: rolesHurt(leader, ["n2"], both) }])).toBe(false);
    const others = fullPlan().filter((step) => step.choice !== "docker" || step.fault !== "kill");
    expect(others.filter(wantsPlainLeader)).toEqual([]);
  });

  test("looks shortly at what is not taken back, and long at what has to be refused", () => {
    expect(holdSeconds({ fault: "kill", choice: "etcd", role: "etcd" })).toBe(8);
    expect(holdSeconds({ fault: "lose", role: "etcd" })).toBe(8);
    expect(holdSeconds({ fault: "power", role: "etcd" })).toBe(25);
    expect(holdSeconds({ fault: "power", role: "minio", count: 2, refuses: "pushes" })).toBe(45);
    expect(holdSeconds({ fault: "power", role: "holder", count: 4, refuses: "silence" })).toBe(45);
  });

  test("mends etcd's files by an update, and has etcd open them anew where its disk is read-only", () => {
    for (const fault of ["corrupt", "wipe"] as const)
      expect(fullPlan().find((step) => step.fault === fault && step.choice === "etcd")?.remedy).toBe("up");
    expect(killsEtcd("read-only-disk", ["minio", "etcd"])).toBe(true);
    expect(killsEtcd("read-only-disk", ["minio"])).toBe(false);
    expect(killsEtcd("full-disk", ["etcd"])).toBe(false);
  });

  test("asks nobody for a refusal where nobody is left, or one that has no VIP", () => {
    const all = fullPlan().filter(({ count = 1 }) => count > 2);
    expect(all.map(({ fault, count, refuses }) => [fault, count, refuses])).toEqual([
      ["freeze", 3, "everything"],
      ["power", 3, "silence"],
      ["power", cast.nodes.length, "silence"],
    ]);
    const [, hosts] = all;
    if (!hosts) throw new Error("no three hosts");
    // The one that is left had the VIP, and has to give it up.
    expect(nodesFor(hosts, cast)).toEqual(["n3", "n4", "n1"]);
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

describe("what is left of a run", () => {
  const plan = fullPlan();
  const drop = plan.filter(({ fault }) => fault === "drop");

  test("is two nodes for a fault of all roles, and one where the holder's was done", () => {
    expect(expected(drop, []).map(({ role }) => role)).toEqual(["holder", "leader"]);
    const done = [{ step: drop[0] as Step, roles: ["holder", "minio", "registry"] as const }];
    expect(expected(drop, done).map(({ role }) => role)).toEqual(["leader"]);
    expect(expected(drop, [{ step: drop[0] as Step, roles }])).toEqual([]);
    expect(expected(plan, [])).toHaveLength(12 + 15 + 6 + 4 + 2 + 4 + 2 + 1);
  });

  test("takes as long as what was like it, or as is usual", () => {
    const [holder] = drop as [Step];
    const lose: Step = { fault: "lose", role: "holder", remedy: "up" };
    expect(secondsFor([holder, lose], [])).toBe(25 + 60 + 8 + 240);
    const took = [
      { step: lose, seconds: 308 },
      { step: lose, seconds: 408 },
    ];
    expect(secondsFor([holder, lose], took)).toBe(25 + 60 + 8 + 350);
    expect(secondsForChanges(2, [])).toBe(300);
    expect(secondsForChanges(2, [100, 120])).toBe(220);
  });
});
