import { describe, expect, it } from "vitest";
import type { Cluster } from "../../../hosts/src/contract";
import { awayForInstallation, awayFrom } from "../../../hosts/src/swarm/leave-for-installation";
import { removeMember } from "../../../hosts/src/swarm/leave";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { row } from "../../../hosts/src/swarm/turn";
import { newUpdate } from "../../support/newUpdate";
import { canSandbox } from "./support/sandbox";
import { engines, global, memberInputs, type Engine } from "./support/sim-swarm";
import { hurry, logged } from "./support/stop";

const goes = { stays: false };
const nothing = (): Promise<void> => Promise.resolve();

/** Managers a, b and c, and a worker d where wanted, with a service that runs on every node. */
async function whole(...names: string[]) {
  newUpdate();
  const all = (await engines(...names)) as [Engine, Engine, Engine, Engine];
  const managers = all.filter(({ name }) => name !== "d");
  for (const engine of all) await swarmMember.create(memberInputs(engine, managers));
  const cluster: Cluster = { managers: managers.map(({ connection }) => connection), members: names };
  const swarm = all[0].cluster;
  if (!swarm) throw new Error("no Swarm was made");
  swarm.everywhere = ["front"];
  return { all, managers, cluster, swarm };
}

const names = (engine: Engine): string[] =>
  [...(engine.cluster?.members.values() ?? [])].map(({ hostname, role }) => `${hostname} ${role}`).sort();

describe.skipIf(!canSandbox)("a node that is reinstalled", () => {
  it("leaves the Swarm before, and joins again with its role and labels", async () => {
    const { all, managers, cluster, swarm } = await whole("a", "b", "c");
    // The founder, whom everybody else followed.
    const [founder, other] = all;
    const state = { ...memberInputs(founder, managers, { installation: "boot-1" }), nodeId: founder.nodeId };
    await awayForInstallation(founder.connection, cluster, goes, () => {
      expect(swarm.moves).toEqual(["a drain"]);
      expect(founder.cluster).toBeUndefined();
      expect(names(other)).toEqual(["b manager", "c manager"]);
      return nothing();
    });
    const inputs = memberInputs(founder, managers, { installation: "boot-2" });
    expect(swarmMember.diff(state, inputs)).toMatchObject({ changes: true, replaces: [] });
    const outs = await swarmMember.update("a", state, inputs);
    expect(outs.nodeId).not.toBe(state.nodeId);
    expect(names(other)).toEqual(["a manager", "b manager", "c manager"]);
    expect(founder.member()?.labels).toEqual({ region: "dc1" });
  });

  it("is awaited until the services run there that it has the image of", async () => {
    const { all, managers, swarm } = await whole("a", "d");
    const [manager, worker] = all;
    const store = { node: "d", runs: false };
    swarm.bound.set("store-d", store);
    const foreign = global("foreign");
    swarm.services.push({ ...foreign, Spec: { ...foreign.Spec, Labels: null } });
    // It has the image of an earlier archive: its own change comes after all members are in.
    swarm.services.push(global("front-before", "sha256:old"));
    const inputs = memberInputs(worker, managers);
    await removeMember({ ...inputs, nodeId: worker.nodeId });
    let polls = 0;
    hurry(() => {
      polls += 1;
      if (polls === 20) store.runs = true;
    });
    await swarmMember.create(inputs);
    expect(polls).toBeGreaterThanOrEqual(20);
    expect(logged.at(-1)).toMatch(/^d: serves again, \d+ s after it joined anew$/);

    // In vain: which services do not run, and why.
    await removeMember({ ...inputs, nodeId: worker.nodeId });
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
    manager.docker.on("GET", /^\/tasks$/, () => ({ json: tasks }));
    hurry(undefined, 20);
    await expect(swarmMember.create(inputs)).rejects.toThrow(
      /^d: is not whole 600 s after its change: 2 of the 3 services .* do not run there: balancer, store-d \(no such disk\)$/,
    );
  });

  it("waits for all other nodes, and a failed installation stops the update", async () => {
    const { all, cluster, swarm } = await whole("a", "b", "c", "d");
    const worker = all[3].member();
    Object.assign(worker ?? {}, { down: true });
    hurry(() => void Object.assign(worker ?? {}, { down: false }));
    const fails = () => Promise.reject(new Error("no disk"));
    // Booted by its owner, it is not touched.
    await expect(awayForInstallation(all[1].connection, cluster, { stays: true }, fails)).rejects.toThrow(
      "no disk",
    );
    expect(logged.join("\n")).toMatch(/b: waits to be changed: d is not ready in the Swarm/);
    expect(swarm.moves).toEqual([]);
    expect(names(all[0])).toHaveLength(4);
    newUpdate();
    await expect(awayForInstallation(all[1].connection, cluster, goes, fails)).rejects.toThrow("no disk");
    const next = awayForInstallation(all[2].connection, cluster, goes, nothing);
    await expect(next).rejects.toThrow(/^c: is left as it is, as b did not come back/);
    expect(swarm.moves).toEqual(["b drain"]);
  });

  it("is refused if it is the only manager, and not asked if it has left in an earlier run", async () => {
    const { all, cluster } = await whole("a");
    const [alone] = all;
    await expect(awayForInstallation(alone.connection, cluster, goes, nothing)).rejects.toThrow(
      /a: must be reinstalled, and is the Swarm's only manager/,
    );
    expect(names(alone)).toEqual(["a manager"]);
    const [out] = (await engines("out")) as [Engine];
    const done = () => Promise.resolve("done");
    expect(await awayForInstallation(out.connection, { managers: [] }, goes, done)).toBe("done");
  });

  it("stays while none of etcd's members serves: its data may be the last", async () => {
    const { all, managers, cluster, swarm } = await whole("a", "b", "c");
    const serve = (answers: (name: string) => boolean) => {
      for (const { name, sandbox } of managers)
        sandbox.tool("docker", `#!/bin/sh\nexit ${answers(name) ? 0 : 1}\n`);
    };
    serve(() => false);
    all[1].sandbox.write("etc/moorage/etcd/member", "echo data=yes\n");
    let polls = 0;
    hurry(() => {
      polls += 1;
      if (polls === 10) {
        expect(logged.join("\n")).toMatch(/b: waits to be changed: none of etcd's members serves/);
        expect(swarm.moves).toEqual([]);
        serve((name) => name !== "a");
      }
    });
    // One that this update gives its data back later is not waited for.
    await expect(awayForInstallation(all[1].connection, cluster, goes, nothing)).rejects.toThrow(
      /b: is reinstalled by the next update, as etcd's member on a/,
    );
    expect(logged.join("\n")).toMatch(/b: waits to be changed: etcd's member on a does not serve/);
    // Nor is one that joins later.
    serve(() => true);
    const more = { ...cluster, members: ["a", "b", "new"] };
    await expect(awayForInstallation(all[1].connection, more, goes, nothing)).rejects.toThrow(
      /b: is reinstalled by the next update, as new is not in the Swarm/,
    );
    expect(swarm.moves).toEqual([]);
    expect(row.stoppedBy).toBeUndefined();
    await awayForInstallation(all[1].connection, cluster, goes, nothing);
    expect(swarm.moves).toEqual(["b drain"]);
  });
});

it("a node is away if it is not listed, or not ready, by its name or its label", () => {
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
  const nodes = [node("a", "ready"), node("host-b", "ready", "b"), node("c", "down"), node("c", "ready")];
  expect(awayFrom(nodes, ["a", "b", "c"], "a")).toBeUndefined();
  expect(awayFrom(nodes, ["a", "d"], "a")).toMatch(/^d is not in the Swarm$/);
  expect(awayFrom([node("c", "down")], ["a", "c"], "a")).toBe("c is not ready in the Swarm");
  expect(awayFrom([], ["a"], "a")).toBeUndefined();
});
