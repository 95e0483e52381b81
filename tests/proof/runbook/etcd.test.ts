import * as path from "node:path";
import { expect, test } from "vitest";
import { faults } from "../../../lab/faults";
import { etcdctl, etcdStore, loseData, memberIds } from "../../support/etcd";
import { changedIn, expectInPlace } from "../../support/output";
import { managers, RunbookLab } from "../../support/runbookLab";
import { redsOf, verifyJson } from "../../support/verify";
import { until } from "../../support/waiting";

const [survivor = "", ...lost] = managers;
const [node = ""] = lost;

const own = RunbookLab.forFile();

const put = () => etcdctl(own.lab, survivor, "put kept yes");

/** Every member has what was put, and there is no member too many. */
async function expectKept(): Promise<void> {
  for (const name of managers) {
    expect((await etcdctl(own.lab, name, "get kept --print-value-only")).trim(), name).toBe("yes");
  }
  expect((await etcdctl(own.lab, survivor, "member list")).trim().split("\n")).toHaveLength(managers.length);
  await etcdctl(own.lab, survivor, "del kept");
  await own.wholeAndUnchanged();
}

/** The member on `node` is a new one, and the others are the same. */
async function expectReplaced(before: Readonly<Record<string, string>>): Promise<void> {
  const after = await memberIds(own.lab);
  expect(after[node]).not.toBe(before[node]);
  expect({ ...after, [node]: "" }).toEqual({ ...before, [node]: "" });
}

test("A member of etcd lost its data", async () => {
  await put();
  await loseData(own.lab, [node]);
  await own.follow("A member of etcd lost its data");
  await expectKept();
});

test("A member of etcd lost its data: until it is replaced, no change takes another member's node out of service", async () => {
  const { lab } = own;
  const before = await memberIds(lab);
  await put();
  await loseData(lab, [node]);
  const { code, report } = await verifyJson(lab);
  expect(code).toBe(1);
  expect(redsOf(report)).toEqual([
    expect.stringMatching(
      `^${node} moorage-etcd.service: its member has no data and waits to be added: .*pulumi up`,
    ),
    expect.stringMatching(/^etcd endpoint health --cluster: .*1 of 3 unhealthy/),
    expect.stringMatching(/^etcd members: 2 of 3 members serve/),
  ]);

  const daemon = "/etc/docker/daemon.json";
  const startOf = () => lab.mustRoot("coreos1", "systemctl show -p ActiveEnterTimestamp docker.service");
  const [started, settings] = [await startOf(), await lab.mustRoot("coreos1", `cat ${daemon}`)];
  await lab.mustRoot("coreos1", `echo >> ${daemon}`);
  expect((await lab.refresh(["--target", "**::coreos1-base"])).code).toBe(0);
  const refused = await lab.up();
  expect(refused.code, refused.output).not.toBe(0);
  expect(refused.output).toMatch(
    /coreos1: is not taken out of service: without its member etcd would have no quorum, as the one on coreos2 has no data\..* by `pulumi up --refresh --target '\*\*:EtcdCluster::\*'`/,
  );
  expect(await startOf()).toBe(started);
  expect(await lab.mustRoot("coreos1", `cat ${daemon}`)).toBe(`${settings}\n`);
  expect(await lab.mustRoot("coreos1", "docker node ls --format '{{.Availability}}'")).not.toMatch(/drain/i);

  const output = await lab.mustUp("--refresh", "--target", "**:EtcdCluster::*");
  expect(changedIn(output)).toEqual(["etcd-cluster"]);
  expectInPlace(output);
  await expectReplaced(before);
  expect((await lab.pulumi(["preview"])).output).toContain(
    "coreos1: this update writes /etc/docker/daemon.json; restarts docker.service, the node drained meanwhile",
  );
  expect(await lab.mustUp()).toMatch(/coreos1: drained[^]*coreos1: back in service/);
  await expectKept();
});

test("A member of etcd cannot read its data", async () => {
  const { lab } = own;
  const before = await memberIds(lab);
  await put();
  await faults.corrupt.begin(own.place(node), "etcd");
  const startsAgain = async (): Promise<void> => {
    const seen = await lab.mustRoot(node, "systemctl show -p NRestarts --value moorage-etcd.service");
    expect(Number(seen)).toBeGreaterThan(3);
  };
  await until("the member starts again and again", startsAgain, { netSeconds: 300 });
  const output = await lab.mustUp("--refresh");
  expect(output).toContain(`${node}: etcd cannot read its data: `);
  expect(output).toMatch(/coreos2: its etcd data cannot be read \(.*\), and it becomes a new member/);
  expect(changedIn(output)).toEqual(["etcd-cluster"]);
  expectInPlace(output);
  await expectReplaced(before);
  expect(await lab.mustRoot(node, `ls ${path.posix.dirname(etcdStore)}`)).toMatch(
    /^store\.broken-\d{8}T\d{6}Z$/m,
  );
  await expectKept();
});

test("Two members of etcd lost their data", async () => {
  await put();
  await loseData(own.lab, lost);
  const { code, output } = await own.lab.up(["--refresh"]);
  expect(code, output).not.toBe(0);
  expect(output).toMatch(
    /etcd: 2 of 3 members have lost their data \(coreos2, coreos3\), and the quorum with it, so nothing was changed/,
  );
  await own.follow("Two members of etcd lost their data", {
    on: { "the manager whose member has its data": survivor },
  });
  await expectKept();
});

test("A member of etcd hangs", async () => {
  await faults.freeze.begin(own.place(node), "etcd");
  try {
    // If it was the leader, the others elect another one first.
    await until("etcd accepts a write", put, { netSeconds: 150 });
    const reds = await own.seen("etcd members: 2 of 3 members serve");
    expect(reds.filter((red) => red.startsWith(`${node} moorage-etcd.service`))).toEqual([]);
    await own.follow("A member of etcd hangs", { on: { NODE: node } });
  } finally {
    await faults.freeze.end(own.place(node));
  }
  const isHealthy = () => etcdctl(own.lab, node, "endpoint health");
  await until("the restarted member is healthy", isHealthy, { netSeconds: 300 });
  await expectKept();
});
