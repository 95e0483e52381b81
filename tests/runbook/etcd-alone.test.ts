import { beforeAll, describe, expect, test } from "vitest";
import { etcdctl, loseData, memberIds } from "../support/etcd";
import { changedIn, expectInPlace } from "../support/output";
import { managers } from "../support/runbookLab";
import { TestLab } from "../support/testLab";
import { redsOf, verifyJson } from "../support/verify";

const lost = "coreos2";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

describe("a member that was killed and lost its data", () => {
  let before: Record<string, string>;

  beforeAll(async () => {
    before = await memberIds(lab);
    await etcdctl(lab, "coreos1", "put kept yes");
    await loseData(lab, [lost]);
  });

  test("does not come back by itself, and is red with the reason", async () => {
    const { code, report } = await verifyJson(lab);
    expect(code).toBe(1);
    const reds = redsOf(report);
    expect(reds).toEqual([
      expect.stringMatching(
        `^${lost} moorage-etcd.service: its member has no data and waits to be added: .*pulumi up`,
      ),
      expect.stringMatching(/^etcd endpoint health --cluster: .*1 of 3 unhealthy/),
      expect.stringMatching(/^etcd members: 2 of 3 members serve/),
    ]);
  });

  test("keeps the other members' nodes in service, and the message says how to go on", async () => {
    const daemon = "/etc/docker/daemon.json";
    const startOf = () => lab.mustRoot("coreos1", "systemctl show -p ActiveEnterTimestamp docker.service");
    const [started, settings] = [await startOf(), await lab.mustRoot("coreos1", `cat ${daemon}`)];
    await lab.mustRoot("coreos1", `echo >> ${daemon}`);
    expect((await lab.refresh(["--target", "**::coreos1-base"])).code).toBe(0);
    const { code, output } = await lab.up();
    expect(code, output).not.toBe(0);
    expect(output).toMatch(
      /coreos1: is not taken out of service: without its member etcd would have no quorum, as the one on coreos2 has no data\..* by `pulumi up --refresh --target '\*\*:EtcdCluster::\*'`/,
    );
    expect(await startOf()).toBe(started);
    // It was not its turn, so the file is still as it was found.
    expect(await lab.mustRoot("coreos1", `cat ${daemon}`)).toBe(`${settings}\n`);
    expect(await lab.mustRoot("coreos1", "docker node ls --format '{{.Availability}}'")).not.toMatch(
      /drain/i,
    );
  });

  test("is replaced by what the message says, and nothing else is changed", async () => {
    const output = await lab.mustUp("--refresh", "--target", "**:EtcdCluster::*");
    expect(changedIn(output)).toEqual(["etcd-cluster"]);
    expectInPlace(output);
    const after = await memberIds(lab);
    expect(Object.keys(after).sort()).toEqual(managers);
    expect(after[lost]).not.toBe(before[lost]);
    expect({ ...after, [lost]: "" }).toEqual({ ...before, [lost]: "" });
    expect((await etcdctl(lab, lost, "get kept --print-value-only")).trim()).toBe("yes");
    expect(redsOf((await verifyJson(lab)).report)).toEqual([]);
  });

  test("whose place is taken lets the change of the other node go on, which is announced and drained for", async () => {
    expect((await lab.pulumi(["preview"])).output).toContain(
      "coreos1: this update writes /etc/docker/daemon.json; restarts docker.service, the node drained meanwhile",
    );
    expect(await lab.mustUp()).toMatch(/coreos1: drained[^]*coreos1: back in service/);
    expect((await etcdctl(lab, "coreos1", "get kept --print-value-only")).trim()).toBe("yes");
    await etcdctl(lab, "coreos1", "del kept");
    expect(await lab.plan()).toEqual([]);
  });
});
