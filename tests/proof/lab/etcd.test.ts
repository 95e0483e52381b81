import * as path from "node:path";
import { beforeAll, expect, test } from "vitest";
import { etcdctl, etcdStore, memberIds } from "../../support/etcd";
import { TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

const managers = ["coreos1", "coreos2", "coreos3"];

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

test("etcd has a member on every manager, which requires a client certificate", async () => {
  expect(Object.keys(await memberIds(lab)).sort()).toEqual(managers);
  expect((await lab.outputs()).etcdEndpoints).toEqual(
    [11, 12, 13].map((last) => `https://10.0.2.${last}:2379`),
  );
  for (const port of [2379, 2380]) {
    const asked = `curl --silent --show-error --insecure --max-time 10 https://10.0.2.11:${port}/version 2>&1; true`;
    expect(await lab.client("client1", asked)).toMatch(/certificate required|bad certificate/);
  }
});

test("a member does not run as root, owns its store alone, and no other user can read its key", async () => {
  for (const node of managers) {
    const user = await lab.mustRoot(node, "docker inspect moorage-etcd --format '{{.Config.User}}'");
    expect(user.trim()).toBe("61000:61000");
    const modes = await lab.mustRoot(
      node,
      `stat -c '%a %u' ${path.posix.dirname(etcdStore)} ${etcdStore} /etc/moorage/etcd/member-key.pem /run/moorage-etcd/tls/member-key.pem`,
    );
    expect(modes.trim().split("\n")).toEqual(["700 0", "700 61000", "600 0", "600 61000"]);
  }
});

test("a member keeps its id and its data when its unit is restarted", async () => {
  const before = await memberIds(lab);
  await etcdctl(lab, "coreos1", "put restarted yes");
  await lab.mustRoot("coreos3", "systemctl restart moorage-etcd.service");
  const hasData = async (): Promise<void> =>
    expect((await etcdctl(lab, "coreos3", "get restarted --print-value-only")).trim()).toBe("yes");
  await until("the restarted member has its data", hasData, { netSeconds: 180 });
  expect(await memberIds(lab)).toEqual(before);
  await etcdctl(lab, "coreos1", "del restarted");
});

test("a setting changes on one member after the other, and no member is replaced", async () => {
  const before = await memberIds(lab);
  const startedOf = async (node: string) =>
    Date.parse(
      (await lab.mustRoot(node, "docker inspect moorage-etcd --format '{{.State.StartedAt}}'")).trim(),
    );
  const quota = (node: string) =>
    lab.mustRoot(node, "docker inspect moorage-etcd --format '{{.Config.Env}}'");
  // It stays: no other test depends on it.
  lab.changeConfig((config) => config.setIn(["config", "moorage:etcd", "quotaMiB"], 1024));
  await lab.mustUp();
  for (const node of managers) expect(await quota(node)).toContain("ETCD_QUOTA_BACKEND_BYTES=1073741824");
  const started = (await Promise.all(managers.map(startedOf))).sort((a, b) => a - b);
  // Each waits until the one before serves again.
  expect((started[1] ?? 0) - (started[0] ?? 0)).toBeGreaterThan(1000);
  expect((started[2] ?? 0) - (started[1] ?? 0)).toBeGreaterThan(1000);
  expect(await memberIds(lab)).toEqual(before);
});
