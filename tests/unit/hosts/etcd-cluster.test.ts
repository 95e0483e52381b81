import { readdirSync } from "node:fs";
import { expect, it, vi } from "vitest";
import type { EtcdClusterOutputs } from "../../../hosts/src/contract";
import { HostError } from "../../../hosts/src/errors";
import { EtcdClient } from "../../../hosts/src/etcd/client";
import { etcdClusterBy } from "../../../hosts/src/etcd/cluster";
import { clientOf } from "../../../hosts/src/etcd/look";
import { exec } from "../../../hosts/src/ssh/exec";
import { verifyEtcd } from "../../../hosts/src/verify/etcd";
import { etcdScriptPath } from "@moorage/render";
import { pause } from "../../support/waiting";
import { authority } from "./support/authority";
import { clusterInputs, etcdNodes, type EtcdNode } from "./support/etcd-nodes";
import { logged } from "./support/stop";
import { VirtualClock } from "./support/virtual-clock";

const etcdCluster = etcdClusterBy(new VirtualClock(() => pause(50), 10));

async function keysOf({ sandbox }: EtcdNode): Promise<string[]> {
  const argv = ["docker", "exec", "moorage-etcd", "etcdctl", "get", "--prefix", "", "--keys-only"];
  const { stdout } = await exec(sandbox.server.connection(), argv);
  return stdout.split("\n").filter((key) => key !== "");
}

const green = async (outs: EtcdClusterOutputs): Promise<Record<string, boolean>> =>
  Object.fromEntries((await verifyEtcd(outs)).checks.map((check) => [check.name, check.green]));

/** Its etcdctl removes no keys. */
function refuseDel({ sandbox }: EtcdNode): void {
  sandbox.tool("usual-docker", sandbox.read("bin/docker") ?? "");
  sandbox.tool(
    "docker",
    `#!/bin/sh
case " $* " in *" del "*) echo "Error: etcdserver: request timed out" >&2; exit 1 ;; esac
exec usual-docker "$@"
`,
  );
}

it("a cluster of real members is formed, verified and left alone, and gets a member without data replaced", async () => {
  const pki = authority();
  const nodes = await etcdNodes(3, pki);
  const inputs = clusterInputs(nodes, pki);
  const [one, two, three] = nodes as [EtcdNode, EtcdNode, EtcdNode];
  const { outs } = await etcdCluster.create(inputs);
  expect(Object.keys(outs.memberIds)).toEqual(["coreos1", "coreos2", "coreos3"]);
  expect(nodes.map(({ sandbox }) => sandbox.read("data/initial.env"))).toEqual(Array(3).fill(undefined));
  await clientOf(inputs, "coreos1").put("greeting", "hello");

  // A second run changes nothing.
  const again = await etcdCluster.update("etcd", outs, inputs);
  expect(again.memberIds).toEqual(outs.memberIds);
  const same = await etcdCluster.read("etcd", outs);
  expect(same && etcdCluster.diff(same.outs, inputs).changes).toBe(false);

  expect(await green(outs)).toEqual({
    "endpoint health --cluster": true,
    members: true,
    "put and get by etcdctl": true,
    "put and get over HTTP": true,
  });
  // The keys that verify writes are gone.
  expect(await keysOf(two)).toEqual(["greeting"]);

  two.loseData();
  expect(await green(outs)).toMatchObject({ "endpoint health --cluster": false, members: false });
  const found = await etcdCluster.read("etcd", outs);
  expect(found?.outs).toEqual({ ...outs, fingerprint: "lost: coreos2" });
  const repaired = await etcdCluster.update("etcd", outs, inputs);
  expect(repaired.memberIds.coreos2).not.toBe(outs.memberIds.coreos2);
  expect(repaired.memberIds.coreos1).toBe(outs.memberIds.coreos1);
  expect(logged).toContain(`etcd: removing coreos2 (${outs.memberIds.coreos2}) from the cluster`);
  expect(await clientOf(inputs, "coreos2").get("greeting")).toBe("hello");

  // Verify is red if a key that it wrote stays behind.
  nodes.forEach(refuseDel);
  vi.spyOn(EtcdClient.prototype, "delete").mockRejectedValue(new HostError("coreos1", "etcd is busy"));
  const { checks } = await verifyEtcd(outs);
  vi.restoreAllMocks();
  const [byCtl, byGateway] = checks.filter(({ name }) => name.startsWith("put and get"));
  expect(byCtl?.green).toBe(false);
  expect(byCtl?.detail).toMatch(/^put on coreos1, got on coreos2, and not removed: coreos1: etcdctl del /);
  expect(byCtl?.more?.join("\n")).toContain("request timed out");
  expect(byCtl?.more?.at(-1)).toMatch(
    /^remove it: docker exec moorage-etcd etcdctl del moorage\/verify\/[0-9a-f]{12}$/,
  );
  expect(byGateway?.green).toBe(false);
  expect(byGateway?.detail).toMatch(/, and not removed: coreos1: etcd is busy/);

  // Without a quorum nothing is changed.
  one.kill();
  for (const node of [two, three]) node.loseData();
  await expect(etcdCluster.update("etcd", outs, inputs)).rejects.toThrow(
    "etcd: 2 of 3 members have lost their data (coreos2, coreos3), and the quorum with it, so nothing was changed",
  );
  expect(nodes.map(({ hasData }) => hasData)).toEqual([true, false, false]);
});

it("a cluster is not formed while a node that may have its data cannot be asked", async () => {
  const pki = authority();
  const nodes = await etcdNodes(3, pki);
  const inputs = clusterInputs(nodes, pki, { timeoutSeconds: 1 });
  await nodes[1]?.sandbox.server.stop();
  await expect(etcdCluster.create(inputs)).rejects.toThrow(
    /etcd is not whole after 1 s: whether a member has data must be known of all.*; coreos2: no SSH connection/,
  );
  expect(nodes.map(({ hasData }) => hasData)).toEqual([false, false, false]);

  // Data that are put aside are kept. The member makes itself an empty folder meanwhile.
  const [{ sandbox }] = nodes as [EtcdNode];
  sandbox.write("data/store/member/wal/0.wal", "the data");
  await exec(sandbox.server.connection(), ["sh", etcdScriptPath, "aside", "broken"]);
  const [kept = "", ...more] = readdirSync(sandbox.at("data")).filter((name) => name.startsWith("store."));
  expect(kept).toMatch(/^store\.broken-\d{8}T\d{6}Z$/);
  expect(sandbox.read(`data/${kept}/member/wal/0.wal`)).toBe("the data");
  expect(more).toEqual([]);
});
