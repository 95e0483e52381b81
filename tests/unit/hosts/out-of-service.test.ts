import { describe, expect, it } from "vitest";
import type { Cluster, NodeFilesInputs, NodeFilesOutputs } from "../../../hosts/src/contract";
import { nodeFiles } from "../../../hosts/src/node-files";
import { dockerInfo } from "../../../hosts/src/swarm/managers";
import { swarmMember } from "../../../hosts/src/swarm/member";
import {
  endAbsence,
  managersNeed,
  memberOf,
  outOfService,
  quorumNeeds,
} from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import type { SwarmNode } from "../../../hosts/src/swarm/types";
import { newUpdate } from "../../support/newUpdate";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { hurry, logged } from "./support/stop";

const absence = "etc/moorage/out-of-service";
const nothing = (): Promise<void> => Promise.resolve();

/** Managers in a Swarm with two services that run on every node, and a worker, whose name is d. */
async function whole(...names: string[]) {
  newUpdate();
  const all = (await engines(...names)) as [Engine, Engine, Engine, Engine];
  const managers = all.filter(({ name }) => name !== "d");
  for (const engine of all) await swarmMember.create(memberInputs(engine, managers));
  const cluster: Cluster = { managers: managers.map(({ connection }) => connection) };
  const swarm = all[0].cluster;
  if (!swarm) throw new Error("no Swarm was made");
  swarm.everywhere = ["front", "store"];
  return { all, cluster, swarm };
}

/** An update that is cut off while the node is drained. */
async function cutOff({ connection }: Engine, cluster: Cluster): Promise<void> {
  const fails = outOfService(connection, cluster, () => Promise.reject(new Error("cut off")));
  await expect(fails).rejects.toThrow("cut off");
}

describe.skipIf(!canSandbox)("a node taken out of service", () => {
  it("is drained before the change and active after it, one node at a time", async () => {
    const { all, cluster, swarm } = await whole("a", "b", "c", "d");
    hurry();
    const order: string[] = [];
    const work = (name: string) => () => {
      order.push(name);
      expect(swarm.moves.at(-1)).toBe(`${name} drain`);
      return nothing();
    };
    await Promise.all(all.map(({ connection, name }) => outOfService(connection, cluster, work(name))));
    expect([...order].sort()).toEqual(["a", "b", "c", "d"]);
    expect(swarm.moves).toEqual(order.flatMap((name) => [`${name} drain`, `${name} active`]));
    for (const { sandbox } of all) expect(sandbox.read(absence)).toBeUndefined();

    // Containers that serve end first, if they can be stopped; a node that its owner paused is paused again.
    swarm.moves.length = 0;
    swarm.endFirst.add("front");
    const worker = all[3];
    Object.assign(worker.member() ?? {}, { availability: "pause" });
    await outOfService(worker.connection, cluster, nothing);
    expect(swarm.moves).toEqual(["d stop front", "d drain", "d pause"]);
    all[2].stops = false;
    await outOfService(all[2].connection, cluster, nothing);
    expect(swarm.moves.slice(3)).toEqual(["c drain", "c active"]);
    expect(logged.join("\n")).toMatch(/c: requests to its registry may be cut off .*cannot stop it/);
  });

  it("is changed once its last task has ended, and not before", async () => {
    const { all, cluster, swarm } = await whole("a", "b", "c");
    const changes: number[] = [];
    let polls = 0;
    hurry(() => {
      polls += 1;
      if (polls === 20) swarm.staying.clear();
    });
    swarm.staying.add("store");
    await outOfService(all[1].connection, cluster, () => Promise.resolve(void changes.push(polls)));
    expect(changes).toEqual([20]);
    expect(swarm.moves).toEqual(["b drain", "b active"]);

    // If one stays, the node is not changed, and no other one is.
    swarm.staying.add("store");
    hurry(undefined, 20);
    await expect(outOfService(all[1].connection, cluster, nothing)).rejects.toThrow(
      /^b: 1 of its tasks still run 120 s after it was drained; see `docker node ps b`$/,
    );
    expect(row.stoppedBy).toBe("b");
    expect(JSON.parse(all[1].sandbox.read(absence) ?? "")).toEqual({
      availability: "active",
      services: ["front", "store"],
    });
    await expect(outOfService(all[2].connection, cluster, nothing)).rejects.toThrow(
      /^c: is left as it is, as b did not come back into service\. Mend that one/,
    );
    expect(swarm.moves.slice(2)).toEqual(["b drain"]);
  });

  it("that an interrupted update left drained is put back by a refresh and the next update", async () => {
    const { all, cluster, swarm } = await whole("a", "b", "c");
    const [, { connection, docker, sandbox }] = all;
    const inputs: NodeFilesInputs = { connection, part: "base", files: {}, units: {}, cluster };
    const { id, outs } = await nodeFiles.create(inputs);
    await cutOff(all[1], cluster);
    newUpdate();
    const found = (await nodeFiles.read(id, outs))?.outs as NodeFilesOutputs;
    expect(nodeFiles.diff(found, inputs)).toMatchObject({ changedKeys: ["outOfService"], replaces: [] });
    expect(logged.slice(-2)).toEqual([
      "warning: b: a change that was cut off has left it drained",
      "b: this update puts it back into service",
    ]);
    // Whoever else is away, and as soon as its Docker has started.
    Object.assign(all[2].member() ?? {}, { down: true });
    docker.down = true;
    hurry(() => (docker.down = false));
    expect(await nodeFiles.update(id, found, inputs)).toEqual(outs);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
    expect(sandbox.read(absence)).toBeUndefined();
    for (const each of all) await endAbsence(each.connection, cluster);
    expect(swarm.moves).toHaveLength(2);
  });

  it("that is the only manager, and restarts locked, gets the key that it had before", async () => {
    const { all, cluster, swarm } = await whole("a");
    const [only] = all;
    await outOfService(only.connection, cluster, () => Promise.resolve(void (only.locked = true)));
    expect(only.locked).toBe(false);
    expect(swarm.moves).toEqual(["a drain", "a active"]);
    expect(logged.join("\n")).not.toMatch(/\bkey\b/);
  });

  it("waits for a manager that is away, unless that is not configured any more", async () => {
    const { all, cluster, swarm } = await whole("a", "b", "c");
    const [, { connection }, c] = all;
    const gone = c.member();
    Object.assign(gone ?? {}, { down: true, labels: { "moorage.node": "c" } });
    const member = memberOf(connection, cluster, await dockerInfo(connection));
    expect(await managersNeed(member)).toMatch(/as c is not there/);
    hurry(() => Object.assign(gone ?? {}, { down: false }));
    await outOfService(connection, cluster, nothing);
    expect(logged.join("\n")).toMatch(/b: waits to be changed: .*as c is not there/);
    Object.assign(gone ?? {}, { down: true });
    await outOfService(connection, { ...cluster, members: ["a", "b"] }, nothing);
    expect([...swarm.members.values()].map(({ hostname }) => hostname)).toEqual(["a", "b"]);
    expect(logged).toContain("c: is down, and not configured any more; taken off the Swarm's list");
  });
});

describe("what the managers' quorum needs", () => {
  const node = (name: string, role: "manager" | "worker", state = "ready"): SwarmNode => ({
    ID: name,
    Version: { Index: 1 },
    Spec: { Role: role, Availability: "active" },
    Description: { Hostname: name },
    Status: { State: state },
    ...(role === "manager" ? { ManagerStatus: { Reachability: "reachable", Addr: "x" } } : {}),
  });
  const three = (...states: string[]) => states.map((state, at) => node("abcde"[at] ?? "", "manager", state));

  it.each([
    ["one of three, all there", three("ready", "ready", "ready"), "a", undefined],
    ["one of three, another away", three("ready", "ready", "down"), "a", /as c is not there/],
    ["the one of three that is away itself", three("ready", "ready", "down"), "c", undefined],
    ["one of five, another away", three("ready", "ready", "ready", "ready", "down"), "a", undefined],
    ["one of five, two away", three("ready", "ready", "ready", "down", "down"), "a", /as d, e is not there/],
    ["a worker, a manager away", [...three("ready", "ready", "down"), node("w", "worker")], "w", undefined],
    ["the only manager", three("ready"), "a", undefined],
  ])("%s", (_what, nodes, id, expected) => {
    const found = quorumNeeds(nodes, id);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(expected);
  });
});
