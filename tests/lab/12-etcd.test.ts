import { beforeAll, describe, expect, test } from "vitest";
import { eventually, TestLab } from "../support/testLab";
import { redsOf, verifyJson } from "../support/verify";

const managers = ["coreos1", "coreos2", "coreos3"];
const lost = "coreos2";
const data = "/var/lib/moorage/data/etcd";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

const etcdctl = (node: string, line: string): Promise<string> =>
  lab.mustRoot(node, `docker exec moorage-etcd etcdctl ${line}`);

/** What an update says that it has done to which resource. */
const doneIn = (output: string): string[] => {
  const rows = output.matchAll(/:\w+ +([\w-]+ (?:created|updated|replaced|deleted))\b/g);
  return [...new Set([...rows].map(([, done = ""]) => done))];
};

/** Ids of the members by their names. */
async function memberIds(): Promise<Record<string, string>> {
  const lines = (await etcdctl("coreos1", "member list")).trim().split("\n");
  const rows = lines.map((line) => line.split(", "));
  return Object.fromEntries(rows.map(([id = "", , name = ""]) => [name, id]));
}

describe("etcd", () => {
  test("has a member on every manager, which serves those alone who show a certificate", async () => {
    expect(Object.keys(await memberIds()).sort()).toEqual(managers);
    expect((await lab.outputs()).etcdEndpoints).toEqual(
      [11, 12, 13].map((last) => `https://10.0.2.${last}:2379`),
    );
    for (const port of [2379, 2380]) {
      const asked = `curl --silent --show-error --insecure --max-time 10 https://10.0.2.11:${port}/version 2>&1; true`;
      expect(await lab.client("client1", asked)).toMatch(/certificate required|bad certificate/);
    }
  });

  test("does not run as root, and keeps its key to itself", async () => {
    for (const node of managers) {
      const user = await lab.mustRoot(node, "docker inspect moorage-etcd --format '{{.Config.User}}'");
      expect(user.trim()).toBe("61000:61000");
      const modes = await lab.mustRoot(
        node,
        `stat -c '%a %u' ${data} /etc/moorage/etcd/member-key.pem /run/moorage-etcd/tls/member-key.pem`,
      );
      expect(modes.trim().split("\n")).toEqual(["700 61000", "600 0", "600 61000"]);
    }
  });

  test("is the same member with the same data after its unit was restarted", async () => {
    const before = await memberIds();
    await etcdctl("coreos1", "put restarted yes");
    await lab.mustRoot("coreos3", "systemctl restart moorage-etcd.service");
    await eventually(30, async () => {
      expect((await etcdctl("coreos3", "get restarted --print-value-only")).trim()).toBe("yes");
    });
    expect(await memberIds()).toEqual(before);
    await etcdctl("coreos1", "del restarted");
  });

  test("gets its settings changed one member after the other, and none is replaced", async () => {
    const before = await memberIds();
    const startedOf = async (node: string) =>
      Date.parse(
        (await lab.mustRoot(node, "docker inspect moorage-etcd --format '{{.State.StartedAt}}'")).trim(),
      );
    const quota = (node: string) =>
      lab.mustRoot(node, "docker inspect moorage-etcd --format '{{.Config.Env}}'");
    // It stays: to take it back would restart each once more, and nothing builds on what was.
    lab.changeConfig((config) => config.setIn(["config", "moorage:etcd", "quotaMiB"], 1024));
    await lab.mustUp();
    for (const node of managers) expect(await quota(node)).toContain("ETCD_QUOTA_BACKEND_BYTES=1073741824");
    const started = (await Promise.all(managers.map(startedOf))).sort((a, b) => a - b);
    // Each waited for the one before it to serve again, which takes longer than an instant.
    expect((started[1] ?? 0) - (started[0] ?? 0)).toBeGreaterThan(1000);
    expect((started[2] ?? 0) - (started[1] ?? 0)).toBeGreaterThan(1000);
    expect(await memberIds()).toEqual(before);
    expect(await lab.plan()).toEqual([]);
  });
});

describe("a member that was killed and lost its data", () => {
  let before: Record<string, string>;

  beforeAll(async () => {
    before = await memberIds();
    await etcdctl("coreos1", "put kept yes");
    await lab.mustRoot(lost, `docker kill moorage-etcd; rm -rf ${data}/store`);
    await eventually(30, async () => {
      expect(await lab.mustRoot(lost, "journalctl -u moorage-etcd -n 1 -o cat")).toMatch(
        /no data here: waiting/,
      );
    });
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
    expect(doneIn(output)).toEqual(["etcd-cluster updated"]);
    const after = await memberIds();
    expect(Object.keys(after).sort()).toEqual(managers);
    expect(after[lost]).not.toBe(before[lost]);
    expect({ ...after, [lost]: "" }).toEqual({ ...before, [lost]: "" });
    expect((await etcdctl(lost, "get kept --print-value-only")).trim()).toBe("yes");
    expect(redsOf((await verifyJson(lab)).report)).toEqual([]);
  });

  test("whose place is taken lets the change of the other node go on, which is announced and drained for", async () => {
    expect((await lab.pulumi(["preview"])).output).toContain(
      "coreos1: this update writes /etc/docker/daemon.json; restarts docker.service, the node drained meanwhile",
    );
    expect(await lab.mustUp()).toMatch(/coreos1: drained[^]*coreos1: back in service/);
    expect((await etcdctl("coreos1", "get kept --print-value-only")).trim()).toBe("yes");
    await etcdctl("coreos1", "del kept");
    expect(await lab.plan()).toEqual([]);
  });
});
