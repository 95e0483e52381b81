import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { faultNames, faults, type Fault } from "../../../lab/faults";
import { changes } from "../../proof/faults/changes";
import { shuffled } from "../../proof/faults/content";
import { timesOf } from "../../proof/faults/faultRow";
import { brokenBounds, countsOf, failedPulls, longestGap } from "../../proof/faults/figures";
import { floodName } from "../../proof/faults/floodRow";
import type { Outcome } from "../../proof/faults/load";
import {
  fullPlan,
  isCovered,
  nameOf,
  nodesFor,
  roles,
  rolesHurt,
  type Cast,
  type Role,
  type Step,
} from "../../proof/faults/plan";
import { rotCommands, rottenIn } from "../../proof/faults/recover";
import { resultOf, RowsFile } from "../../proof/faults/rows";
import { asDocker, outcomeOf, type Copied } from "../../proof/faults/skopeo";

const cast: Cast = {
  nodes: ["n1", "n2", "n3", "n4"],
  managers: ["n1", "n2", "n3"],
  holder: "n2",
  leader: "n1",
};

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("the table of faults", () => {
  const plan = fullPlan();

  test("has every fault of the lab with a choice that it knows, and hosts' faults for every role", () => {
    expect([...new Set(plan.map(({ fault }) => fault))].sort()).toEqual([...faultNames].sort());
    for (const fault of ["power", "freeze-host", "cut-off", "full-disk", "lose"])
      expect(plan.filter((step) => step.fault === fault).map(({ role }) => role)).toEqual(
        expect.arrayContaining([...roles]),
      );
    for (const { fault, choice } of plan) {
      const { choices }: Fault = faults[fault];
      if (choice === undefined) expect(choices).toBeUndefined();
      else expect(choices).toContain(choice);
    }
    const names = [...plan.map(nameOf), ...changes.map(({ name }) => name), floodName];
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.includes(","))).toEqual([]);
  });

  test("excuses pulls only without a read quorum", () => {
    expect(plan.filter(({ noPulls }) => noPulls).map(nameOf)).toEqual([
      "freeze minio ×3: MinIO node",
      "power ×3: MinIO node",
      "power ×4: the VIP's holder",
    ]);
  });

  test.each<[Partial<Step>, string[]]>([
    [{ role: "holder" }, ["n2"]],
    [{ role: "leader" }, ["n1"]],
    [{ role: "minio" }, ["n4"]],
    [{ role: "registry" }, ["n3"]],
    [{ role: "etcd" }, ["n3"]],
    [{ role: "minio", count: 2 }, ["n3", "n4"]],
    [{ role: "minio", count: 2, among: "managers" }, ["n3", "n1"]],
    [{ role: "minio", count: 3 }, ["n3", "n4", "n1"]],
    [{ role: "holder", count: 4 }, ["n2", "n1", "n3", "n4"]],
  ])("%j hurts %j", (step, nodes) => {
    expect(nodesFor({ fault: "power", role: "minio", ...step }, cast)).toEqual(nodes);
  });

  test.each<[string, string, Role[]]>([
    ["power: the VIP's holder", "n2", ["holder", "minio", "registry", "etcd"]],
    ["power: MinIO node", "n4", ["minio", "registry"]],
    ["corrupt minio: Swarm's leader", "n1", ["leader", "minio", "registry", "etcd"]],
    ["freeze minio: MinIO node", "n3", ["minio"]],
    ["wipe etcd: etcd member", "n3", ["etcd"]],
    ["kill docker: Swarm's leader", "n1", ["leader", "minio", "registry", "etcd"]],
  ])("%s on %s hurts %j", (name, node, hurt) => {
    const step = plan.find((one) => nameOf(one) === name);
    expect(step && rolesHurt(step, [node], cast)).toEqual(hurt);
  });

  test("is done once every role had every fault, by rows that cover each other", () => {
    const file = new RowsFile(path.join(folder, "rows"), "c", "s");
    for (const step of shuffled(plan, "s")) {
      if (isCovered(step, file.covering)) continue;
      const nodes = nodesFor(step, cast);
      const about = { nodes, roles: rolesHurt(step, nodes, cast) };
      file.add(nameOf(step), 1, resultOf(about, { figures: {}, broken: [] }));
    }
    for (const step of plan) expect(isCovered(step, file.covering), nameOf(step)).toBe(true);
    expect(file.rows.length).toBeLessThan(plan.length * 0.8);
    expect(isCovered({ fault: "power", role: "minio", count: 2 }, [{ fault: "power", roles }])).toBe(false);
  });

  test("has its order and times from the seed", () => {
    const order = (seed: string): string[] => shuffled(plan, seed).map(nameOf);
    expect(order("a")).toEqual(order("a"));
    expect(order("a")).not.toEqual(order("b"));
    expect([...order("a")].sort()).toEqual(plan.map(nameOf).sort());
    const power: Step = { fault: "power", role: "etcd" };
    expect(timesOf(power, "a")).toEqual(timesOf(power, "a"));
    expect(timesOf(power, "a")).not.toEqual(timesOf(power, "b"));
    expect(timesOf(power, "a").lasts).toBeGreaterThanOrEqual(20_000);
  });
});

test("rows of the same commit and seed are not done again", () => {
  const file = path.join(folder, "rows");
  const kept = { figures: { roles: "holder" }, broken: [] };
  new RowsFile(file, "c", "s").add("power: the VIP's holder", 1.26, kept);
  new RowsFile(file, "other", "s").add("drop: the VIP's holder", 1, kept);
  new RowsFile(file, "c", "other").add("lose: the VIP's holder", 1, { ...kept, broken: ["x"] });
  const again = new RowsFile(file, "c", "s");
  expect(again.rows).toEqual([
    {
      name: "power: the VIP's holder",
      seed: "s",
      commit: "c",
      date: expect.stringMatching(/^\d{4}-/) as string,
      seconds: 1.3,
      ...kept,
    },
  ]);
  expect([again.has("power: the VIP's holder"), again.has("drop: the VIP's holder")]).toEqual([true, false]);
});

describe("the verdict", () => {
  const one = (more: Partial<Outcome>): Outcome => ({
    kind: "pull",
    ok: true,
    retries: 0,
    start: 10,
    end: 20,
    ...more,
  });

  test("breaks on losses and on pulls that failed after retries, and on nothing else", () => {
    const outcomes = [one({ retries: 2 }), one({ kind: "push", ok: false, error: "EOF" })];
    expect(brokenBounds({ lost: [], stale: [], failedPulls: failedPulls(outcomes) })).toEqual([]);
    const failed = failedPulls([...outcomes, one({ ok: false, error: "EOF" })]);
    expect(brokenBounds({ lost: ["a", "b"], stale: ["c"], failedPulls: failed })).toEqual([
      "2 acknowledged are lost, such as a",
      "1 acknowledged are not seen by another edge node, such as c",
      "1 pulls failed after retries, such as EOF",
    ]);
  });

  test("excuses pulls under way without a read quorum", () => {
    const failed = [5, 100, 200].map((start) => one({ ok: false, start, end: start + 50 }));
    expect(failedPulls(failed, { from: 60, to: 199 }).map(({ start }) => start)).toEqual([5, 200]);
  });

  test("counts failures before and after the client's retries", () => {
    const outcomes = [one({}), one({ retries: 1 }), one({ ok: false, retries: 3 }), one({ kind: "push" })];
    expect(countsOf(outcomes, "pull")).toEqual({ all: 3, failedFirst: 2, failed: 1 });
  });

  test("measures the longest gap between successful answers", () => {
    const probe = (end: number, status = 200, path = "/v2/") => ({ path, at: end - 1, end, status });
    const probes = [
      probe(0),
      probe(10),
      probe(20),
      probe(30, 503),
      probe(35, 200, "/x"),
      probe(60),
      probe(90),
    ];
    expect(longestGap(probes, "/v2/", { from: 5, to: 70 })).toBe(40);
    expect(longestGap(probes, "/v2/", { from: 5, to: 200 })).toBe(110);
    expect(longestGap([], "/v2/", { from: 5, to: 70 })).toBe(65);
  });
});

describe("skopeo", () => {
  test.each<[string, number, string, Copied]>([
    [
      "succeeds at the second try",
      0,
      'level=warning msg="Failed, retrying in 1s: EOF"',
      { ok: true, retries: 1, error: 'level=warning msg="Failed, retrying in 1s: EOF"' },
    ],
    ["fails", 1, "x\nlevel=fatal y\nz", { ok: false, retries: 0, error: "level=fatal y" }],
  ])("%s", (_what, code, output, outcome) => expect(outcomeOf(code, output)).toEqual(outcome));

  test("tries a layer again that it gave up, as Docker's client does, and nothing else", async () => {
    const gaveUp = { ok: false, retries: 0, error: "writing blob: connection reset by peer" };
    let tries = 0;
    const after = (copied: Copied, times: number) => () =>
      Promise.resolve(tries++ < times ? copied : { ok: true, retries: 0 });
    expect(await asDocker(after(gaveUp, 2), 1)).toEqual({ ok: true, retries: 2, error: gaveUp.error });
    tries = 0;
    expect(await asDocker(after(gaveUp, 9), 1)).toEqual({ ...gaveUp, retries: 3 });
    tries = 0;
    const refused = { ok: false, retries: 3, error: "503" };
    expect(await asDocker(after(refused, 9), 1)).toEqual(refused);
  });
});

test("rot is healed by the commands of the runbook, and several drives are never emptied", () => {
  expect(rotCommands().deep).toBe("sh /etc/moorage/healing/heal.sh now deep");
  const said = (drives: string): string => `scan\nnot healed: 7 objects are not on all drives: ${drives}\n`;
  expect(rottenIn(said("minio-coreos3"))).toBe("coreos3");
  expect(rottenIn(said("minio-coreos1 minio-coreos3"))).toBeUndefined();
});
