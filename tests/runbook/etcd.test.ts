import * as path from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { faults } from "../../lab/faults";
import { etcdctl, etcdStore, loseData, memberIds } from "../support/etcd";
import { changedIn, expectInPlace } from "../support/output";
import { follow } from "../support/runbook";
import { managers, RunbookLab } from "../support/runbookLab";
import { eventually, type TestLab } from "../support/testLab";

const [survivor = "", ...lost] = managers;

let own: RunbookLab;
let lab: TestLab;

beforeAll(async () => {
  own = await RunbookLab.whole();
  ({ lab } = own);
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await own.mend();
});

/** Every member has what was put before, and no other one is left over. */
async function expectKept(): Promise<void> {
  for (const node of managers) {
    expect((await etcdctl(lab, node, "get kept --print-value-only")).trim(), node).toBe("yes");
  }
  expect((await etcdctl(lab, survivor, "member list")).trim().split("\n")).toHaveLength(managers.length);
  await etcdctl(lab, survivor, "del kept");
  await own.whole();
  expect(await lab.plan()).toEqual([]);
}

test("A member of etcd lost its data", async () => {
  await etcdctl(lab, survivor, "put kept yes");
  await loseData(lab, lost.slice(0, 1));
  await follow(lab, "A member of etcd lost its data");
  await expectKept();
});

test("A member of etcd cannot read its data", async () => {
  const [node = ""] = lost;
  const before = await memberIds(lab);
  await etcdctl(lab, survivor, "put kept yes");
  await faults.corrupt.begin(own.place(node), "etcd");
  await eventually(60, async () => {
    const seen = await lab.mustRoot(node, "systemctl show -p NRestarts --value moorage-etcd.service");
    expect(Number(seen)).toBeGreaterThan(3);
  });
  const output = await lab.mustUp("--refresh");
  expect(output).toContain(`${node}: etcd cannot read its data: `);
  expect(output).toMatch(/coreos2: its etcd data cannot be read \(.*\), and it becomes a new member/);
  expect(changedIn(output)).toEqual(["etcd-cluster"]);
  expectInPlace(output);
  const after = await memberIds(lab);
  expect(after[node]).not.toBe(before[node]);
  expect({ ...after, [node]: "" }).toEqual({ ...before, [node]: "" });
  expect(await lab.mustRoot(node, `ls ${path.posix.dirname(etcdStore)}`)).toMatch(
    /^store\.broken-\d{8}T\d{6}Z$/m,
  );
  await expectKept();
});

test("Two members of etcd lost their data", async () => {
  await etcdctl(lab, survivor, "put kept yes");
  await loseData(lab, lost);
  const { code, output } = await lab.up(["--refresh"]);
  expect(code, output).not.toBe(0);
  expect(output).toMatch(
    /etcd: 2 of 3 members have lost their data \(coreos2, coreos3\), and the quorum with it, so nothing was changed/,
  );
  await follow(lab, "Two members of etcd lost their data", {
    on: { "the manager whose member has its data": survivor },
  });
  await expectKept();
});

test("A member of etcd hangs", async () => {
  const [node = ""] = lost;
  await faults.freeze.begin(own.place(node), "etcd");
  try {
    // Where it led the others, they first elect another one.
    await eventually(30, async () => void (await etcdctl(lab, survivor, "put kept yes")));
    const reds = await own.seen("etcd members: 2 of 3 members serve");
    expect(reds.filter((red) => red.startsWith(`${node} moorage-etcd.service`))).toEqual([]);
    await follow(lab, "A member of etcd hangs", { on: { NODE: node } });
  } finally {
    await faults.freeze.end(own.place(node));
  }
  await eventually(60, async () => void (await etcdctl(lab, node, "endpoint health")));
  await expectKept();
});
