import { afterEach, describe, expect, it, vi } from "vitest";
import type { Cluster } from "../../../hosts/src/contract";
import { awayForInstallation, awayFrom } from "../../../hosts/src/swarm/leave-for-installation";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { removeMember } from "../../../hosts/src/swarm/leave";
import { sleep } from "../../../hosts/src/time";
import { row } from "../../../hosts/src/swarm/turn";
import { canSandbox } from "./support/sandbox";
import { engines, global, memberInputs, type Engine } from "./support/sim-swarm";
import { logged } from "./support/stop";

const goes = { stays: false };
const nothing = (): Promise<void> => Promise.resolve();

/** Managers a, b and c and a worker d, all in, with a service that runs on every node. */
async function whole() {
  row.stoppedBy = undefined;
  const all = (await engines("a", "b", "c", "d")) as [Engine, Engine, Engine, Engine];
  const managers = all.slice(0, 3);
  for (const engine of all) await swarmMember.create(memberInputs(engine, managers));
  const cluster: Cluster = {
    managers: managers.map(({ connection }) => connection),
    members: all.map(({ name }) => name),
  };
  const swarm = all[0].cluster;
  if (!swarm) throw new Error("no Swarm was made");
  swarm.everywhere = ["front"];
  return { all, managers, cluster, swarm };
}

const names = (engine: Engine): string[] =>
  [...(engine.cluster?.members.values() ?? [])].map(({ hostname, role }) => `${hostname} ${role}`).sort();

afterEach(() => void vi.restoreAllMocks());

describe.skipIf(!canSandbox)("a node that is reinstalled", () => {
  it("is drained, demoted and off the list before, and joins anew with its role and labels", async () => {
    const { all, managers, cluster, swarm } = await whole();
    // The founder, whom everybody else followed.
    const [founder, other] = all;
    const state = { ...memberInputs(founder, managers, { installation: "boot-1" }), nodeId: founder.nodeId };
    await awayForInstallation(founder.connection, cluster, goes, () => {
      expect(swarm.moves).toEqual(["a drain"]);
      expect(founder.cluster).toBeUndefined();
      expect(names(other)).toEqual(["b manager", "c manager", "d worker"]);
      return nothing();
    });
    const inputs = memberInputs(founder, managers, { installation: "boot-2" });
    expect(swarmMember.diff(state, inputs)).toMatchObject({ changes: true, replaces: [] });
    const outs = await swarmMember.update("a", state, inputs);
    expect(outs.nodeId).not.toBe(state.nodeId);
    expect(founder.cluster).toBe(swarm);
    expect(names(other)).toEqual(["a manager", "b manager", "c manager", "d worker"]);
    expect(founder.member()?.labels).toEqual({ region: "dc1" });
    expect(logged.join("\n")).toMatch(/a: serves again, \d+ s after it joined anew/);
  }, 60_000);

  it("is waited for also where a refresh has forgotten its membership meanwhile", async () => {
    const { all, managers, swarm } = await whole();
    const [, , , worker] = all;
    const store = { node: "d", runs: false };
    swarm.bound.set("store-d", store);
    await removeMember({ ...memberInputs(worker, managers), nodeId: worker.nodeId });
    const done = swarmMember.create(memberInputs(worker, managers));
    expect(await Promise.race([done, sleep(4000)])).toBeUndefined();
    expect(worker.cluster).toBe(swarm);
    store.runs = true;
    expect((await done).outs.nodeId).toBe(worker.nodeId);
    expect(logged.at(-1)).toMatch(/^d: serves again, \d+ s after it joined anew$/);
  }, 60_000);

  it("is waited for with those of the stack's services alone that it has the image of", async () => {
    const { all, managers, swarm } = await whole();
    const [, , , worker] = all;
    swarm.bound.set("store-d", { node: "d", runs: true });
    const foreign = global("foreign");
    swarm.services.push({ ...foreign, Spec: { ...foreign.Spec, Labels: null } });
    // Still of the former archive's image: its own change comes after all members are in.
    swarm.services.push(global("front-before", "sha256:old"));
    await removeMember({ ...memberInputs(worker, managers), nodeId: worker.nodeId });
    await swarmMember.create(memberInputs(worker, managers));
    expect(logged.at(-1)).toMatch(/^d: serves again, \d+ s after it joined anew$/);
  }, 20_000);

  it("says which services do not run there, and why, where it is waited for in vain", async () => {
    const { all, managers, swarm } = await whole();
    const [, , , worker] = all;
    swarm.bound.set("store-d", { node: "d", runs: false });
    swarm.services.push(global("balancer", "sha256:new"));
    worker.docker.on("GET", /^\/images\/sha256:new\/json$/, () => ({ json: {} }));
    const task = (ServiceID: string, State: string, second: number, Err?: string) => {
      const Timestamp = `2026-01-01T00:00:0${second}Z`;
      return { ID: `${ServiceID}-${second}`, ServiceID, Status: { State, Timestamp, Err } };
    };
    const tasks = [
      task("store-d", "rejected", 2, "no such disk"),
      task("store-d", "rejected", 1, "another"),
      task("balancer", "pending", 1),
      task("front", "running", 1),
    ];
    for (const { docker } of managers) docker.on("GET", /^\/tasks$/, () => ({ json: tasks }));
    await removeMember({ ...memberInputs(worker, managers), nodeId: worker.nodeId });
    const asked = () => managers.flatMap(({ docker }) => docker.calls("GET", /^\/tasks$/)).length;
    const before = asked();
    const refused = expect(swarmMember.create(memberInputs(worker, managers))).rejects.toThrow(
      /^d: is not whole 600 s after its change: 2 of the 3 services .* do not run there: balancer, store-d \(no such disk\)$/,
    );
    await expect.poll(asked, { timeout: 15_000 }).toBeGreaterThan(before);
    const later = performance.now() + 601_000;
    vi.spyOn(performance, "now").mockReturnValue(later);
    await refused;
  }, 30_000);

  it("is not waited for when it is new, as its services are yet to come", async () => {
    const [founder, added] = (await engines("founder", "added")) as [Engine, Engine];
    await swarmMember.create(memberInputs(founder, [founder]));
    founder.cluster?.bound.set("store-founder", { node: "founder", runs: false });
    // One for all nodes may have to be changed in this update before it runs there.
    founder.cluster?.services.push(global("front"));
    await swarmMember.create(memberInputs(added, [founder]));
    expect(added.cluster).toBe(founder.cluster);
  }, 20_000);

  it("does not wait for ever for MinIO, which may miss what comes later: a warning names that", async () => {
    const { all, managers, swarm } = await whole();
    const [founder, , lost] = all;
    swarm.bound.set("store-d", { node: "d", runs: false });
    founder.containers.add("store-a");
    founder.mcEnds = 124;
    const gone = lost.member();
    if (gone) gone.down = true;
    const store = { storageNodes: [founder.connection], services: { a: "store-a" } };
    const inputs = memberInputs(founder, managers, { installation: "boot-2", store });
    const state = { ...inputs, installation: "boot-1", nodeId: founder.nodeId };
    const done = swarmMember.update("a", state, inputs);
    await expect
      .poll(() => founder.docker.calls("POST", /\/exec$/).length, { timeout: 15_000 })
      .toBeGreaterThan(0);
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 660_000);
    await done;
    expect(logged.find((line) => line.startsWith("warning"))).toMatch(
      /^warning: a: serves, but MinIO does not say .*: c is not ready in the Swarm, store-d does not run on d$/,
    );
  }, 20_000);

  it("waits for every other node to be there, and says for which", async () => {
    const { all, cluster, swarm } = await whole();
    const worker = all[3].member();
    if (worker) worker.down = true;
    const done = awayForInstallation(all[1].connection, cluster, goes, nothing);
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/b: waits to be changed: d is not ready in the Swarm/);
    expect(swarm.moves).toEqual([]);
    if (worker) worker.down = false;
    await done;
    expect(swarm.moves).toEqual(["b drain"]);
  }, 60_000);

  it("whose installation fails stops the row: the next one stays a member", async () => {
    const { all, cluster, swarm } = await whole();
    const fails = awayForInstallation(all[1].connection, cluster, goes, () =>
      Promise.reject(new Error("no disk")),
    );
    await expect(fails).rejects.toThrow("no disk");
    const next = awayForInstallation(all[2].connection, cluster, goes, nothing);
    await expect(next).rejects.toThrow(/^c: is left as it is, as b did not come back/);
    expect(swarm.moves).toEqual(["b drain"]);
  }, 60_000);

  it("that only its owner can boot is looked at, and not touched", async () => {
    const { all, cluster, swarm } = await whole();
    const tells = awayForInstallation(all[1].connection, cluster, { stays: true }, () =>
      Promise.reject(new Error("boot it")),
    );
    await expect(tells).rejects.toThrow("boot it");
    expect(swarm.moves).toEqual([]);
    expect(names(all[0])).toHaveLength(4);
  }, 60_000);

  it("and is the only manager is refused at once, as all services would go with it", async () => {
    row.stoppedBy = undefined;
    const [alone] = (await engines("alone")) as [Engine];
    await swarmMember.create(memberInputs(alone, [alone]));
    const cluster = { managers: [alone.connection], members: ["alone"] };
    await expect(awayForInstallation(alone.connection, cluster, goes, nothing)).rejects.toThrow(
      /alone: must be reinstalled, and is the Swarm's only manager/,
    );
    expect(names(alone)).toEqual(["alone manager"]);
  }, 60_000);

  it("is put off while a member of etcd is without its data, which this update gives back later", async () => {
    const { all, managers, cluster, swarm } = await whole();
    for (const { sandbox } of managers) sandbox.tool("docker", "#!/bin/sh\nexit 0\n");
    all[0].sandbox.tool("docker", "#!/bin/sh\nexit 1\n");
    // Whoever is asked as the clock jumps is silent; where all are, one with data stays.
    all[1].sandbox.write("etc/moorage/etcd/member", "echo data=yes\n");
    const done = awayForInstallation(all[1].connection, cluster, goes, nothing);
    const refused = expect(done).rejects.toThrow(
      /b: is reinstalled by the next update, as etcd's member on a/,
    );
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/b: waits to be changed: etcd's member on a does not serve/);
    const later = performance.now() + 61_000;
    vi.spyOn(performance, "now").mockReturnValue(later);
    await refused;
    expect(swarm.moves).toEqual([]);
    expect(row.stoppedBy).toBeUndefined();
  }, 60_000);

  it("is put off where another one is not in the Swarm, and joins it later in this update", async () => {
    const { all, cluster, swarm } = await whole();
    const done = awayForInstallation(
      all[1].connection,
      { ...cluster, members: ["a", "b", "new"] },
      goes,
      nothing,
    );
    const refused = expect(done).rejects.toThrow(
      /b: is reinstalled by the next update, as new is not in the Swarm/,
    );
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/b: waits to be changed: new is not in the Swarm/);
    const later = performance.now() + 61_000;
    vi.spyOn(performance, "now").mockReturnValue(later);
    await refused;
    expect(swarm.moves).toEqual([]);
  }, 60_000);

  it("stays while none of etcd's members serves: the data that lie there may be the last", async () => {
    const { all, managers, cluster, swarm } = await whole();
    for (const { sandbox } of managers) sandbox.tool("docker", "#!/bin/sh\nexit 1\n");
    all[1].sandbox.write("etc/moorage/etcd/member", "echo data=yes\n");
    const done = awayForInstallation(all[1].connection, cluster, goes, nothing).catch(String);
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/b: waits to be changed: none of etcd's members serves/);
    expect(swarm.moves).toEqual([]);
    // Once they do it goes.
    for (const { sandbox } of managers) sandbox.tool("docker", "#!/bin/sh\nexit 0\n");
    await done;
    expect(swarm.moves).toContain("b drain");
  }, 60_000);

  it("and left in an earlier run is not asked for anything", async () => {
    row.stoppedBy = undefined;
    const [out] = (await engines("out")) as [Engine];
    await expect(
      awayForInstallation(out.connection, { managers: [] }, goes, () => Promise.resolve("done")),
    ).resolves.toBe("done");
  }, 60_000);
});

describe("who is away", () => {
  const node = (hostname: string, State: string, label?: string) => ({
    ID: hostname,
    Version: { Index: 1 },
    Spec: {
      Role: "worker" as const,
      Availability: "active" as const,
      Labels: label === undefined ? null : { "moorage.node": label },
    },
    Description: { Hostname: hostname },
    Status: { State },
  });

  it("is whoever is not listed, or not ready, under its name or its label", () => {
    const nodes = [node("a", "ready"), node("host-b", "ready", "b"), node("c", "down"), node("c", "ready")];
    expect(awayFrom(nodes, ["a", "b", "c"], "a")).toBeUndefined();
    expect(awayFrom(nodes, ["a", "d"], "a")).toMatch(/^d is not in the Swarm$/);
    expect(awayFrom([node("c", "down")], ["a", "c"], "a")).toBe("c is not ready in the Swarm");
    expect(awayFrom([], ["a"], "a")).toBeUndefined();
  });
});
