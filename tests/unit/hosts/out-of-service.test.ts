import { describe, expect, it, vi } from "vitest";
import type { Cluster, NodeFilesInputs, NodeFilesOutputs } from "../../../hosts/src/contract";
import { disruptionLock } from "../../../hosts/src/locks";
import { nodeFiles } from "../../../hosts/src/node-files";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { endAbsence, outOfService, quorumNeeds } from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import type { SwarmNode } from "../../../hosts/src/swarm/types";
import { sleep } from "../../../hosts/src/time";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs } from "./support/sim-swarm";
import type { Engine } from "./support/sim-swarm";
import { logged } from "./support/stop";

const absence = "etc/moorage/out-of-service";

/** Three managers and a worker, all in, with two services that run on every node. */
async function whole() {
  row.stoppedBy = undefined;
  const all = await engines("a", "b", "c", "d");
  const managers = all.slice(0, 3);
  for (const engine of all) await swarmMember.create(memberInputs(engine, managers));
  const cluster: Cluster = { managers: managers.map(({ connection }) => connection) };
  const swarm = all[0]?.cluster;
  if (!swarm) throw new Error("no Swarm was made");
  swarm.everywhere = ["front", "store"];
  return { all: all as [Engine, Engine, Engine, Engine], cluster, swarm };
}

describe.skipIf(!canSandbox)("a node taken out of service", () => {
  it("is drained before the change and takes tasks again after it, one node at a time", async () => {
    const { all, cluster, swarm } = await whole();
    const order: string[] = [];
    await Promise.all(
      all.map((engine) =>
        outOfService(engine.connection, cluster, () => {
          order.push(engine.name);
          expect(swarm.moves.at(-1)).toBe(`${engine.name} drain`);
          return Promise.resolve();
        }),
      ),
    );
    const expected = order.flatMap((name) => [`${name} drain`, `${name} active`]);
    expect(order).toHaveLength(4);
    expect(swarm.moves).toEqual(expected);
    for (const { sandbox } of all) expect(sandbox.read(absence)).toBeUndefined();
  }, 60_000);

  it("ends first what serves by its other tasks, and is drained though that cannot be ended", async () => {
    const { all, cluster, swarm } = await whole();
    swarm.endFirst.add("front");
    await outOfService(all[1].connection, cluster, () => Promise.resolve());
    expect(swarm.moves).toEqual(["b stop front", "b drain", "b active"]);
    swarm.moves.length = 0;
    all[2].stops = false;
    await outOfService(all[2].connection, cluster, () => Promise.resolve());
    expect(swarm.moves).toEqual(["c drain", "c active"]);
    expect(logged.join("\n")).toMatch(
      /c: requests to its registry may be cut off as it is drained: .*cannot stop it/,
    );
  }, 20_000);

  it("is changed once the last of its tasks is gone, and not before", async () => {
    const { all, cluster, swarm } = await whole();
    swarm.staying.add("store");
    let changed = false;
    const done = outOfService(all[1].connection, cluster, () => {
      changed = true;
      return Promise.resolve();
    });
    await expect.poll(() => swarm.moves, { timeout: 10_000 }).toEqual(["b drain"]);
    await sleep(1500);
    expect(changed).toBe(false);
    swarm.staying.clear();
    await done;
    expect(changed).toBe(true);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 20_000);

  it("on which a task stays is not changed, and stops the row", async () => {
    const { all, cluster, swarm } = await whole();
    swarm.staying.add("store");
    let changed = false;
    const fails = outOfService(all[1].connection, cluster, () => {
      changed = true;
      return Promise.resolve();
    });
    const refused = expect(fails).rejects.toThrow(
      /^b: 1 of its tasks still run 120 s after it was drained; see `docker node ps b`$/,
    );
    await expect.poll(() => swarm.moves, { timeout: 10_000 }).toEqual(["b drain"]);
    const later = performance.now() + 121_000;
    // Its time may begin a moment after the drain.
    await sleep(500);
    vi.spyOn(performance, "now").mockReturnValue(later);
    await refused;
    vi.restoreAllMocks();
    expect(changed).toBe(false);
    expect(row.stoppedBy).toBe("b");
    expect(JSON.parse(all[1].sandbox.read(absence) ?? "")).toMatchObject({ availability: "active" });
    // The next run finds it so, and goes on once the task is gone.
    row.stoppedBy = undefined;
    swarm.staying.clear();
    await endAbsence(all[1].connection, cluster);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 20_000);

  it("that was paused by its owner is paused again", async () => {
    const { all, cluster, swarm } = await whole();
    const member = all[3].member();
    if (member) member.availability = "pause";
    await outOfService(all[3].connection, cluster, () => Promise.resolve());
    expect(swarm.moves).toEqual(["d drain", "d pause"]);
  }, 60_000);

  it("that restarts locked gets its key from another manager", async () => {
    const { all, cluster, swarm } = await whole();
    await outOfService(all[1].connection, cluster, () => {
      all[1].locked = true;
      return Promise.resolve();
    });
    expect(all[1].locked).toBe(false);
    all[2].locked = true;
    await outOfService(all[2].connection, cluster, () => Promise.resolve());
    expect(swarm.moves).toEqual(["b drain", "b active", "c drain", "c active"]);
  }, 20_000);

  it("that is the only manager, and restarts locked, gets the key that it had itself before", async () => {
    row.stoppedBy = undefined;
    const [only] = (await engines("a")) as [Engine];
    const cluster: Cluster = { managers: [only.connection] };
    await swarmMember.create(memberInputs(only, [only]));
    await outOfService(only.connection, cluster, () => {
      only.locked = true;
      return Promise.resolve();
    });
    expect(only.locked).toBe(false);
    expect(only.cluster?.moves).toEqual(["a drain", "a active"]);
    expect(logged.join("\n")).not.toMatch(/\bkey\b/);
    // Cut off by then, nobody has it but the state.
    only.locked = true;
    const locked = outOfService(only.connection, cluster, () => Promise.resolve());
    await expect(locked).rejects.toThrow(
      /^a: is locked \(swarm\.autolock\), and no manager serves .*is no Swarm manager now.*To do: `pulumi up --refresh --target '\*\*:SwarmMember::\*'`, which unlocks/s,
    );
    expect(only.locked).toBe(true);
  }, 20_000);

  it("whose change fails stops the row: those after it are left as they are", async () => {
    const { all, cluster, swarm } = await whole();
    const fails = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("no paint")));
    await expect(fails).rejects.toThrow("no paint");
    let touched = false;
    const next = outOfService(all[2].connection, cluster, () => {
      touched = true;
      return Promise.resolve();
    });
    await expect(next).rejects.toThrow(
      /^c: is left as it is, as b did not come back into service\. Mend that one/,
    );
    expect(touched).toBe(false);
    expect(swarm.moves).toEqual(["b drain"]);
    expect(JSON.parse(all[1].sandbox.read(absence) ?? "")).toEqual({
      availability: "active",
      services: ["front", "store"],
    });
  }, 60_000);

  it("in a run that was cut off is put back as it was before that run", async () => {
    const { all, cluster, swarm } = await whole();
    await outOfService(all[1].connection, cluster, () => Promise.reject(new Error("cut off"))).catch(
      () => undefined,
    );
    row.stoppedBy = undefined;
    await outOfService(all[1].connection, cluster, () => Promise.resolve());
    expect(swarm.moves).toEqual(["b drain", "b active", "b drain", "b active"]);
    expect(all[1].sandbox.read(absence)).toBeUndefined();
  }, 60_000);

  it("that an interrupted run has left out of it is back before its turn, as others wait for it in theirs", async () => {
    const { all, cluster, swarm } = await whole();
    const [a, b] = all;
    for (const { connection } of [a, b]) {
      const cut = outOfService(connection, cluster, () => Promise.reject(new Error("cut off")));
      await expect(cut).rejects.toThrow("cut off");
      row.stoppedBy = undefined;
    }
    const another = await disruptionLock.acquire();
    // Nothing is left to change on one, and the other is to be changed again.
    await endAbsence(a.connection, cluster);
    expect(swarm.moves).toEqual(["a drain", "b drain", "a active"]);
    const done = outOfService(b.connection, cluster, () => Promise.resolve());
    await expect.poll(() => swarm.moves.at(-1), { timeout: 10_000 }).toBe("b active");
    // What it had before is put back by its turn.
    expect(b.sandbox.read(absence)).toBeDefined();
    another();
    await done;
    expect(swarm.moves.slice(-2)).toEqual(["b drain", "b active"]);
    expect(b.sandbox.read(absence)).toBeUndefined();
  }, 20_000);

  it("is put back also where its Docker has not started yet", async () => {
    const { all, cluster, swarm } = await whole();
    const { connection, docker } = all[1];
    const cut = outOfService(connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    row.stoppedBy = undefined;
    docker.down = true;
    setTimeout(() => (docker.down = false), 1500);
    await endAbsence(connection, cluster);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
    expect(all[1].sandbox.read(absence)).toBeUndefined();
  }, 20_000);

  it("that does not come back stops the row, also where nothing is left to change on it", async () => {
    const { all, cluster } = await whole();
    const cut = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    row.stoppedBy = undefined;
    all[1].locked = true;
    const fails = endAbsence(all[1].connection, { managers: [] });
    await expect(fails).rejects.toThrow("b: is locked (swarm.autolock)");
    expect(row.stoppedBy).toBe("b");
  }, 20_000);

  it("that an interrupted run has left out of it is put back by the next one, and no other is touched", async () => {
    const { all, cluster, swarm } = await whole();
    const cut = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    row.stoppedBy = undefined;
    for (const { connection } of all) await endAbsence(connection, cluster);
    expect(swarm.moves.at(-1)).toBe("b active");
    expect(swarm.moves.filter((move) => !move.startsWith("b "))).toEqual([]);
    expect(all[1].sandbox.read(absence)).toBeUndefined();
  }, 60_000);

  it("is seen by a refresh where the change was taken back, and put back by the update after it", async () => {
    const { all, cluster, swarm } = await whole();
    const { connection } = all[1];
    const inputs: NodeFilesInputs = { connection, part: "base", files: {}, units: {}, cluster };
    const { id, outs } = await nodeFiles.create(inputs);
    const cut = outOfService(connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    row.stoppedBy = undefined;
    const found = (await nodeFiles.read(id, outs))?.outs as NodeFilesOutputs;
    expect(nodeFiles.diff(found, inputs)).toMatchObject({ changedKeys: ["outOfService"], replaces: [] });
    expect(logged.slice(-2)).toEqual([
      "warning: b: a change that was cut off has left it drained",
      "b: this update puts it back into service",
    ]);
    // Of a part that never takes its node out it is no business.
    const other = { ...outs, part: "etcd", cluster: undefined };
    expect((await nodeFiles.read(id, other))?.outs).not.toHaveProperty("outOfService");
    expect(await nodeFiles.update(id, found, inputs)).toEqual(outs);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
    expect((await nodeFiles.read(id, found))?.outs).toEqual(outs);
  }, 60_000);

  it("is put back whoever else is away", async () => {
    const { all, cluster, swarm } = await whole();
    const cut = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    row.stoppedBy = undefined;
    const away = all[2].member();
    if (away) away.down = true;
    await endAbsence(all[1].connection, cluster);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 20_000);

  it("comes back without services that were replaced or removed meanwhile", async () => {
    const { all, cluster, swarm } = await whole();
    await outOfService(all[3].connection, cluster, () => {
      expect(JSON.parse(all[3].sandbox.read(absence) ?? "")).toMatchObject({ services: ["front", "store"] });
      swarm.everywhere = ["front", "another-store"];
      return Promise.resolve();
    });
    expect(swarm.moves).toEqual(["d drain", "d active"]);
    expect(all[3].sandbox.read(absence)).toBeUndefined();
  }, 20_000);

  it("waits while another manager is away, and says for what", async () => {
    const { all, cluster } = await whole();
    const away = all[2].member();
    if (away) away.down = true;
    const done = outOfService(all[1].connection, cluster, () => Promise.resolve());
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/b: waits to be changed: .*as c is not there/);
    if (away) away.down = false;
    await done;
  }, 60_000);

  it("does not wait for a manager that is down and not configured any more, which is taken off the list", async () => {
    const { all, cluster, swarm } = await whole();
    const gone = all[2].member();
    if (!gone) throw new Error("it is no member");
    Object.assign(gone, { down: true, labels: { "moorage.node": "c" } });
    const configured = { ...cluster, members: ["a", "b", "d"] };
    await outOfService(all[1].connection, configured, () => Promise.resolve());
    expect([...swarm.members.values()].map(({ hostname }) => hostname)).toEqual(["a", "b", "d"]);
    expect(logged).toContain("c: is down, and not configured any more; taken off the Swarm's list");
  }, 20_000);

  it("that is in no Swarm is changed at once", async () => {
    row.stoppedBy = undefined;
    const [alone] = await engines("alone");
    let changed = false;
    await outOfService((alone as Engine).connection, { managers: [] }, () => {
      changed = true;
      return Promise.resolve();
    });
    expect(changed).toBe(true);
  }, 60_000);
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
    [
      "a worker, with a manager away",
      [...three("ready", "ready", "down"), node("w", "worker")],
      "w",
      undefined,
    ],
    ["the only manager", three("ready"), "a", undefined],
  ])("%s", (_what, nodes, id, expected) => {
    const found = quorumNeeds(nodes, id);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(expected);
  });
});
