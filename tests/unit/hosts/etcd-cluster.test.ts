import { readdirSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import type { EtcdClusterOutputs } from "../../../hosts/src/contract";
import { HostError } from "../../../hosts/src/errors";
import { EtcdClient } from "../../../hosts/src/etcd/client";
import { etcdCluster } from "../../../hosts/src/etcd/cluster";
import { clientOf } from "../../../hosts/src/etcd/look";
import { exec } from "../../../hosts/src/ssh/exec";
import { verifyEtcd } from "../../../hosts/src/verify/etcd";
import { sleep } from "../../../hosts/src/time";
import { etcdScriptPath } from "@moorage/render";
import { authority } from "./support/authority";
import { clusterInputs, etcdNodes, type EtcdNode } from "./support/etcd-nodes";
import { logged } from "./support/stop";

const LIMIT = 120_000;

/** Three members in a cluster, with one key written. */
async function cluster() {
  const pki = authority();
  const nodes = await etcdNodes(3, pki);
  const inputs = clusterInputs(nodes, pki);
  const { outs } = await etcdCluster.create(inputs);
  const [one, two, three] = nodes;
  if (!one || !two || !three) throw new Error("three nodes are wanted");
  await clientOf(inputs, "coreos1").put("greeting", "hello");
  return { pki, nodes, one, two, three, inputs, outs };
}

/** etcd refuses changes of its members for a moment after one. */
async function eventually(work: () => Promise<unknown>): Promise<unknown> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === 20) throw error;
      await sleep(500);
    }
  }
}

async function keysOf({ sandbox }: EtcdNode): Promise<string[]> {
  const argv = ["docker", "exec", "moorage-etcd", "etcdctl", "get", "--prefix", "", "--keys-only"];
  const { stdout } = await exec(sandbox.server.connection(), argv);
  return stdout.split("\n").filter((key) => key !== "");
}

async function verified(outs: EtcdClusterOutputs): Promise<Record<string, boolean>> {
  const { checks } = await verifyEtcd(outs);
  return Object.fromEntries(checks.map(({ name, green }) => [name, green]));
}

const put = (and: string): unknown =>
  expect.stringMatching(new RegExp(`^put on coreos1, got on coreos2${and}$`));

/** Its etcdctl removes nothing any more. */
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

describe("a cluster of real members", () => {
  it("is formed once, and left alone afterwards", { timeout: LIMIT }, async () => {
    const { nodes, inputs, outs } = await cluster();
    expect(Object.keys(outs.memberIds)).toEqual(["coreos1", "coreos2", "coreos3"]);
    expect(new Set(Object.values(outs.memberIds)).size).toBe(3);
    expect(await clientOf(inputs, "coreos3").get("greeting")).toBe("hello");
    expect(nodes.map(({ sandbox }) => sandbox.read("data/initial.env"))).toEqual(Array(3).fill(undefined));
    const again = await etcdCluster.update("etcd", outs, inputs);
    expect(again.memberIds).toEqual(outs.memberIds);
    expect(nodes.flatMap(({ restarts }) => restarts)).toEqual([]);
    const found = await etcdCluster.read("etcd", outs);
    expect(found && etcdCluster.diff(found.outs, inputs).changes).toBe(false);
  });

  it("gets a member that lost its data replaced, seen by a refresh", { timeout: LIMIT }, async () => {
    const { two, inputs, outs } = await cluster();
    expect(await verified(outs)).toEqual({
      "endpoint health --cluster": true,
      members: true,
      "put and get by etcdctl": true,
      "put and get over HTTP": true,
    });
    expect(await keysOf(two)).toEqual(["greeting"]);
    two.loseData();
    expect(await verified(outs)).toMatchObject({ "endpoint health --cluster": false, members: false });
    const found = await etcdCluster.read("etcd", outs);
    expect(found?.outs).toEqual({ ...outs, fingerprint: "lost: coreos2" });
    expect(found && etcdCluster.diff(found.outs, inputs).changedKeys).toEqual(["fingerprint"]);
    const mended = await etcdCluster.update("etcd", outs, inputs);
    expect(mended.memberIds.coreos2).not.toBe(outs.memberIds.coreos2);
    expect(mended.memberIds.coreos1).toBe(outs.memberIds.coreos1);
    expect(await clientOf(inputs, "coreos2").get("greeting")).toBe("hello");
    expect(logged).toContain(`etcd: removing coreos2 (${outs.memberIds.coreos2}) from the cluster`);
    expect(await clientOf(inputs, "coreos1").members()).toHaveLength(3);
  });

  it(
    "is verified by a key that is removed again, which is red where it is not",
    { timeout: LIMIT },
    async () => {
      const { nodes, outs } = await cluster();
      const checks = async () =>
        (await verifyEtcd(outs)).checks.filter(({ name }) => name.startsWith("put and get"));
      expect(await checks()).toEqual([
        { name: "put and get by etcdctl", green: true, detail: put(", removed, in \\d+ ms") },
        { name: "put and get over HTTP", green: true, detail: put(", removed, in \\d+ ms") },
      ]);
      nodes.forEach(refuseDel);
      vi.spyOn(EtcdClient.prototype, "delete").mockRejectedValue(new HostError("coreos1", "etcd is busy"));
      const [byCtl, byGateway] = await checks();
      expect(byCtl).toMatchObject({
        green: false,
        detail: put(", and not removed: coreos1: etcdctl del .*"),
      });
      expect(byCtl?.more?.join("\n")).toContain("request timed out");
      expect(byCtl?.more?.at(-1)).toMatch(
        /^remove it: docker exec moorage-etcd etcdctl del moorage\/verify\/[0-9a-f]{12}$/,
      );
      expect(byGateway).toMatchObject({
        green: false,
        detail: put(", and not removed: coreos1: etcd is busy.*"),
      });
      vi.restoreAllMocks();
    },
  );

  it("gets a member that cannot read its data replaced, its data kept", { timeout: LIMIT }, async () => {
    const { two, inputs, outs } = await cluster();
    await two.breakData();
    const broken = /^warning: coreos2: etcd cannot read its data: discovery failed: walpb: crc mismatch$/;
    await eventually(async () => {
      const found = await etcdCluster.read("etcd", outs);
      expect(found?.outs).toEqual({ ...outs, fingerprint: "lost: coreos2" });
    });
    expect(logged.join("\n")).toMatch(new RegExp(broken.source, "m"));
    const mended = await etcdCluster.update("etcd", outs, inputs);
    expect(mended.memberIds.coreos2).not.toBe(outs.memberIds.coreos2);
    expect(await clientOf(inputs, "coreos2").get("greeting")).toBe("hello");
    expect(await clientOf(inputs, "coreos1").members()).toHaveLength(3);
    const kept = readdirSync(two.sandbox.at("data")).filter((name) => name.startsWith("store."));
    expect(kept).toEqual([expect.stringMatching(/^store\.broken-\d{8}T\d{6}Z$/)]);
  });

  it("leaves a member whose owner has stopped its unit as it is", { timeout: LIMIT }, async () => {
    const { two, outs } = await cluster();
    await two.breakData();
    await eventually(async () =>
      expect((await etcdCluster.read("etcd", outs))?.outs).toMatchObject({ fingerprint: "lost: coreos2" }),
    );
    await exec(two.sandbox.server.connection(), ["systemctl", "stop", "moorage-etcd.service"]);
    expect((await etcdCluster.read("etcd", outs))?.outs).toEqual(outs);
  });

  it(
    "gets a failed member replaced by configuration alone, with another manager",
    { timeout: LIMIT },
    async () => {
      const pki = authority();
      const nodes = await etcdNodes(4, pki);
      const [one, two, three, four] = nodes as [EtcdNode, EtcdNode, EtcdNode, EtcdNode];
      const { outs } = await etcdCluster.create(clusterInputs([one, two, three], pki));
      await clientOf(outs, "coreos1").put("greeting", "hello");
      // The machine is gone, with all that was on it.
      two.loseData();
      await two.sandbox.server.stop();
      const inputs = clusterInputs([one, three, four], pki);
      expect(etcdCluster.diff(outs, inputs).changedKeys).toContain("members");
      const after = await etcdCluster.update("etcd", outs, inputs);
      const { coreos1, coreos3 } = outs.memberIds;
      expect(after.memberIds).toEqual({ coreos1, coreos3, coreos4: expect.any(String) as unknown });
      expect(await clientOf(inputs, "coreos4").get("greeting")).toBe("hello");
      expect(await clientOf(inputs, "coreos1").members()).toHaveLength(3);
      expect(await verified(after)).toMatchObject({ "endpoint health --cluster": true, members: true });
    },
  );

  it(
    "gets a member replaced whose node was installed anew, without a refresh",
    { timeout: LIMIT },
    async () => {
      const { two, inputs, outs } = await cluster();
      const installed = (boot: string) => ({ installations: { coreos1: "1", coreos2: boot, coreos3: "3" } });
      const state = { ...outs, ...installed("2") };
      two.loseData();
      expect(etcdCluster.diff(state, { ...inputs, ...installed("2") }).changes).toBe(false);
      const renewed = { ...inputs, ...installed("another") };
      expect(etcdCluster.diff(state, renewed).changedKeys).toEqual(["installations"]);
      const after = await etcdCluster.update("etcd", state, renewed);
      expect(after.memberIds.coreos2).not.toBe(outs.memberIds.coreos2);
      expect(await clientOf(inputs, "coreos2").get("greeting")).toBe("hello");
    },
  );

  it("goes on with a replacement that was interrupted", { timeout: LIMIT }, async () => {
    const { three, inputs, outs } = await cluster();
    three.loseData();
    const client = clientOf(inputs, "coreos1");
    await eventually(() => client.remove(outs.memberIds.coreos3 ?? ""));
    await eventually(() => client.add(three.peerUrl));
    const mended = await etcdCluster.update("etcd", outs, inputs);
    expect(Object.keys(mended.memberIds)).toEqual(["coreos1", "coreos2", "coreos3"]);
    expect(await client.members()).toHaveLength(3);
  });

  it("restarts members with other settings one after the other", { timeout: LIMIT }, async () => {
    const { nodes, inputs, outs } = await cluster();
    for (const node of nodes) node.place({ quotaMiB: 32 });
    await etcdCluster.update("etcd", outs, { ...inputs, fingerprint: "2" });
    const turns = nodes.map(({ restarts, servesSince }) => ({ restarts, servesSince }));
    expect(turns.map(({ restarts }) => restarts.length)).toEqual([1, 1, 1]);
    turns.sort((one, other) => (one.restarts[0] ?? 0) - (other.restarts[0] ?? 0));
    for (const [at, { servesSince }] of turns.slice(0, -1).entries()) {
      expect(turns[at + 1]?.restarts[0]).toBeGreaterThanOrEqual(servesSince);
    }
    for (const { name } of nodes) {
      expect(await clientOf(inputs, name).metrics()).toMatch(
        /^etcd_server_quota_backend_bytes 3\.3554432e\+07$/m,
      );
    }
  });

  it("gives members other ports, asked at the former ones until then", { timeout: LIMIT }, async () => {
    const { pki, nodes, outs } = await cluster();
    await Promise.all(nodes.map((node) => node.moveTo()));
    const inputs = clusterInputs(nodes, pki, { fingerprint: "2" });
    const moved = await etcdCluster.update("etcd", outs, inputs);
    expect(moved.memberIds).toEqual(outs.memberIds);
    expect(nodes.map(({ restarts }) => restarts.length)).toEqual([1, 1, 1]);
    expect(await clientOf(inputs, "coreos3").get("greeting")).toBe("hello");
    const listed = await clientOf(inputs, "coreos1").members();
    const peers = listed.flatMap(({ peerUrls }) => peerUrls).sort();
    expect(peers).toEqual(nodes.map(({ peerUrl }) => peerUrl).sort());
  });

  it("puts data aside that the cluster does not know", { timeout: LIMIT }, async () => {
    const { one, inputs, outs } = await cluster();
    await eventually(() => clientOf(inputs, "coreos2").remove(outs.memberIds.coreos1 ?? ""));
    const mended = await etcdCluster.update("etcd", outs, inputs);
    expect(mended.memberIds.coreos1).not.toBe(outs.memberIds.coreos1);
    expect(one.sandbox.read("data/store.before/member/snap/db")).toBeDefined();
    expect(await clientOf(inputs, "coreos1").get("greeting")).toBe("hello");
  });

  it(
    "changes nothing with two lost, says what to do, and grows again from the one",
    { timeout: LIMIT },
    async () => {
      const { one, two, three, inputs, outs } = await cluster();
      for (const node of [two, three]) node.loseData();
      await expect(etcdCluster.update("etcd", outs, inputs)).rejects.toThrow(
        "etcd: 2 of 3 members have lost their data (coreos2, coreos3), and the quorum with it, so nothing was changed",
      );
      expect([two, three].map(({ hasData }) => hasData)).toEqual([false, false]);
      await exec(one.sandbox.server.connection(), ["sh", etcdScriptPath, "alone"]);
      const mended = await etcdCluster.update("etcd", outs, inputs);
      expect(Object.keys(mended.memberIds)).toEqual(["coreos1", "coreos2", "coreos3"]);
      for (const name of ["coreos1", "coreos2", "coreos3"]) {
        expect(await clientOf(inputs, name).get("greeting")).toBe("hello");
      }
    },
  );

  it(
    "is not formed while it is not known of all nodes that they have no data",
    { timeout: LIMIT },
    async () => {
      const pki = authority();
      const nodes = await etcdNodes(3, pki);
      const inputs = clusterInputs(nodes, pki, { timeoutSeconds: 2 });
      await nodes[1]?.sandbox.server.stop();
      await expect(etcdCluster.create(inputs)).rejects.toThrow(
        /etcd is not whole after 2 s: whether a member has data must be known of all.*; coreos2: no SSH connection/,
      );
      expect(nodes.map(({ hasData }) => hasData)).toEqual([false, false, false]);
    },
  );
});
