import { beforeEach, describe, expect, it } from "vitest";
import type { SwarmMemberInputs } from "../../../hosts/src/contract";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { canSandbox } from "./support/sandbox";
import { Cluster, engines, memberInputs } from "./support/sim-swarm";
import type { Engine } from "./support/sim-swarm";
import { hurry, logged } from "./support/stop";

type Outs = Awaited<ReturnType<typeof swarmMember.create>>["outs"];

/** Three managers and a worker, in no Swarm yet. */
async function four() {
  const all = (await engines("a", "b", "c", "d")) as [Engine, Engine, Engine, Engine];
  return { all, managers: all.slice(0, 3) };
}

/** They join one after the other. */
async function joined(changes: Partial<SwarmMemberInputs>) {
  const { all, managers } = await four();
  const outs: Outs[] = [];
  for (const engine of all)
    outs.push((await swarmMember.create(memberInputs(engine, managers, changes))).outs);
  return { all, managers, outs: outs as [Outs, Outs, Outs, Outs] };
}

/** The state and the host of a member, as its creation leaves them. */
function isMember(engine: Engine, cluster: Cluster, inputs: SwarmMemberInputs): Outs {
  const nodeId = engine.enter(cluster, inputs.role).json;
  Object.assign(engine.member() ?? {}, { labels: inputs.labels });
  engine.sandbox.write(
    "etc/moorage/swarm",
    JSON.stringify({ joining: false, cluster: cluster.id, node: nodeId }),
  );
  return { ...inputs, nodeId };
}

/** They are in. */
async function whole() {
  const { all, managers } = await four();
  const cluster = new Cluster("ours");
  const outs = all.map((engine) => isMember(engine, cluster, memberInputs(engine, managers)));
  return { all, managers, outs: outs as [Outs, Outs, Outs, Outs] };
}

/** As on a machine that was installed anew. */
function forgets(engine: Engine, member: object = { down: true }): void {
  Object.assign(engine.member() ?? {}, member);
  engine.cluster = undefined;
  engine.nodeId = "";
}

beforeEach(() => hurry());

const roles = (engine: Engine) =>
  [...(engine.cluster?.members.values() ?? [])].map(({ hostname, role }) => `${hostname} ${role}`).sort();

describe.skipIf(!canSandbox)("a Swarm's members", () => {
  it("found one Swarm, join it with role and labels, and leave a mark on their hosts", async () => {
    const { all, outs } = await joined({ dataPathAddr: "10.30.0.1" });
    expect(roles(all[0])).toEqual(["a manager", "b manager", "c manager", "d worker"]);
    expect(all[3].member()?.labels).toEqual({ region: "dc1" });
    const mark = { joining: false, cluster: all[0].cluster?.id, node: all[3].nodeId };
    expect(JSON.parse(all[3].sandbox.read("etc/moorage/swarm") ?? "")).toEqual(mark);
    expect(outs[3].nodeId).toBe(all[3].nodeId);
    // Tokens pass by the API alone.
    const asked = all.flatMap(({ docker }) => docker.calls("POST", /^\/swarm\/(init|join)$/));
    for (const { body } of asked)
      expect(JSON.parse(body)).toMatchObject({ AdvertiseAddr: "10.0.2.11", DataPathAddr: "10.30.0.1" });
    expect(asked.map(({ body }) => /SWMTKN-1-\w+/.exec(body)?.[0])).toEqual([
      undefined,
      "SWMTKN-1-manager",
      "SWMTKN-1-manager",
      "SWMTKN-1-worker",
    ]);
    for (const { sandbox } of all) expect(sandbox.server.commands.join("\n")).not.toMatch(/docker|SWMTKN/);
    expect(logged.join("\n") + JSON.stringify(outs)).not.toContain("SWMTKN");
  });

  it("that are managers restart locked with autolock, and are unlocked by an update with the key that the state has", async () => {
    const { all, managers, outs } = await joined({ autolock: true });
    const [founder, , third] = all;
    const locks = (on: boolean) => ({ EncryptionConfig: { AutoLockManagers: on } });
    expect(founder.cluster?.spec).toEqual(locks(true));
    expect(outs.map(({ unlockKey }) => unlockKey)).toEqual(["key", "key", "key", undefined]);
    for (const [at, engine] of managers.entries()) {
      engine.locked = true;
      expect((await swarmMember.read("id", outs[at] ?? outs[0]))?.outs.labels).toEqual({ locked: "" });
    }
    await swarmMember.update("id", outs[2], memberInputs(third, managers, { autolock: true }));
    expect(all.map(({ locked }) => locked)).toEqual([false, false, false, false]);
    expect(logged.join("\n")).not.toMatch(/\bkey\b.*=|"key"/);
    await swarmMember.update("id", outs[0], memberInputs(founder, managers));
    expect(founder.cluster?.spec).toEqual(locks(false));
  });

  it("are adopted by a second run, also one that was cut off before the mark was complete", async () => {
    const { all, managers } = await whole();
    all[1].sandbox.write("etc/moorage/swarm", '{"joining":true}\n');
    const { outs } = await swarmMember.create(memberInputs(all[1], managers));
    expect(outs.nodeId).toBe(all[1].nodeId);
    expect(roles(all[0])).toHaveLength(4);
  });

  it("show labels and role as they are, and have them mended, past updates out of sequence", async () => {
    const { all, managers, outs } = await whole();
    const state = outs[3];
    const member = all[3].member() as NonNullable<ReturnType<Engine["member"]>>;
    member.labels = { region: "elsewhere" };
    const found = await swarmMember.read("d", state);
    expect(found?.outs.labels).toEqual({ region: "elsewhere" });
    all[0].busy = 1;
    await swarmMember.update("d", state, memberInputs(all[3], managers));
    expect(member.labels).toEqual({ region: "dc1" });
    await swarmMember.update("d", state, memberInputs(all[3], managers, { role: "manager" }));
    expect(member.role).toBe("manager");
  });

  it("are gone only when a manager and the host both say so", async () => {
    const { all, outs } = await whole();
    const state = outs[3];
    all[0].cluster?.members.delete(all[3].nodeId);
    expect((await swarmMember.read("d", state))?.outs.labels).not.toEqual(state.labels);
    all[3].cluster = undefined;
    expect(await swarmMember.read("d", state)).toBeUndefined();
    for (const manager of all.slice(0, 3)) await manager.off();
    expect(await swarmMember.read("d", state)).toEqual({ id: "d", outs: state });
    expect(logged.at(-1)).toMatch(/^warning: d: not refreshed/);
  });

  it("are gone if the host has left by itself, and take the place of their former self", async () => {
    const { all, managers, outs } = await whole();
    const [former, state] = [all[2].nodeId, outs[2]];
    Object.assign(all[2].member() ?? {}, { down: true });
    expect((await swarmMember.read("c", state))?.outs).toEqual(state);
    forgets(all[2]);
    expect(await swarmMember.read("c", state)).toBeUndefined();
    await swarmMember.create(memberInputs(all[2], managers));
    expect(roles(all[0])).toEqual(["a manager", "b manager", "c manager", "d worker"]);
    expect(all[0].cluster?.members.has(former)).toBe(false);
    // Those that the managers do not know any more join anew.
    all[0].cluster?.members.delete(all[3].nodeId);
    await swarmMember.create(memberInputs(all[3], managers));
    expect(roles(all[0])).toContain("d worker");
  });

  it("are on the list once, though Docker was slow to get in, or tried in vain before", async () => {
    const all = await engines("a", "b", "c");
    const [a, b, c] = all as [Engine, Engine, Engine];
    b.joins.push("slow");
    c.joins.push("failed", "failed");
    for (const engine of all) await swarmMember.create(memberInputs(engine, [a, b, c]));
    expect(roles(a)).toEqual(["a manager", "b manager", "c manager"]);
    const asked = ({ docker }: Engine) => docker.calls("POST", /^\/swarm\//).map(({ path }) => path);
    expect(asked(b)).toEqual(["/swarm/join"]);
    expect(asked(c).join()).toBe("/swarm/join,/swarm/leave,/swarm/join,/swarm/leave,/swarm/join");
  });

  it("take the place of managers that a Swarm begun anew has no part for", async () => {
    const { all, managers } = await whole();
    for (const lost of all.slice(1, 3)) {
      forgets(lost, { down: true, forgotten: true });
      await swarmMember.create(memberInputs(lost, managers));
    }
    expect(roles(all[0])).toEqual(["a manager", "b manager", "c manager", "d worker"]);
  });
});

describe.skipIf(!canSandbox)("a node that is another machine now", () => {
  /** Managers a and b, a dead one that was node c, and a machine with another host name to take its place. */
  async function replaced() {
    const all = (await engines("a", "b", "dead", "fresh")) as [Engine, Engine, Engine, Engine];
    const [a, b, dead, fresh] = all;
    const [labels, cluster] = [{ "moorage.node": "c" }, new Cluster("ours")];
    for (const engine of [a, b]) isMember(engine, cluster, memberInputs(engine, [a, b, dead]));
    const state = isMember(dead, cluster, memberInputs(dead, [a, b, dead], { node: "c", labels }));
    await dead.sandbox.server.stop();
    const inputs = memberInputs(fresh, [a, b, fresh], { node: "c", labels });
    return { a, dead, fresh, inputs, state };
  }

  it("takes its place in the Swarm once that is seen to be down", async () => {
    const { a, dead, fresh, inputs, state } = await replaced();
    const joins = () => fresh.docker.calls("POST", /^\/swarm\/join$/).length;
    let before: number | undefined;
    hurry(() => {
      if (a.docker.calls("GET", /^\/nodes$/).length < 4 || before !== undefined) return;
      before = joins();
      Object.assign(dead.member() ?? {}, { down: true });
    });
    await swarmMember.update("c", state, inputs);
    expect([before, joins()]).toEqual([0, 1]);
    expect(roles(a)).toEqual(["a manager", "b manager", "fresh manager"]);
  });

  it("joins beside it if that is still alive, with a warning", async () => {
    const { a, dead, inputs, state } = await replaced();
    await swarmMember.update("c", state, inputs);
    expect(logged.join("\n")).toMatch(
      /warning: c: another machine is in the Swarm by its name.*docker node rm --force node-\d+/,
    );
    expect(roles(a)).toContain("fresh manager");
    expect(dead.member()).toBeDefined();
  });

  it("is gone from the list when it is removed, though its id is not known", async () => {
    const { a, dead, state } = await replaced();
    (dead.member() as { down: boolean }).down = true;
    await swarmMember.delete("c", { ...state, nodeId: "" });
    expect(roles(a)).toEqual(["a manager", "b manager"]);
  });
});

describe.skipIf(!canSandbox)("a host in a stranger's Swarm", () => {
  const marked = (engine: Engine, mark: object) =>
    engine.sandbox.write("etc/moorage/swarm", JSON.stringify(mark));

  /** Host c, in a Swarm of one, and managers a and b of ours. */
  async function three(role: "manager" | "worker" = "manager") {
    const [a, b, c] = (await engines("a", "b", "c")) as [Engine, Engine, Engine];
    const ours = new Cluster("ours");
    for (const engine of [a, b]) isMember(engine, ours, memberInputs(engine, [a, b, c]));
    const theirs = new Cluster("theirs");
    c.enter(theirs, role);
    return { a, c, theirs, inputs: memberInputs(c, [a, b, c]) };
  }

  it("is refused, and so is a manager of one", async () => {
    const [a, b] = (await engines("a", "b")) as [Engine, Engine];
    b.enter(new Cluster("theirs"), "manager");
    for (const mark of [{}, { joining: true }, { joining: true, cluster: "ours" }]) {
      marked(b, mark);
      await expect(swarmMember.create(memberInputs(a, [a, b]))).rejects.toThrow(
        /b: is a manager of a Swarm that is not this stack's \(theirs\), so nothing joins it/,
      );
    }
    b.cluster?.services.push({});
    await expect(swarmMember.create(memberInputs(b, [a, b]))).rejects.toThrow(
      /b: is in a Swarm that is not this stack's/,
    );
    expect(a.cluster).toBeUndefined();
  });

  it.each<[string, "manager" | "worker", object, (engine: Engine) => unknown]>([
    ["that names no Swarm", "manager", { joining: true }, () => undefined],
    ["that names ours", "manager", { joining: true, cluster: "ours" }, () => undefined],
    ["that names ours, as a worker", "worker", { joining: true, cluster: "ours" }, () => undefined],
    ["while its Docker fails", "worker", { joining: true, cluster: "ours" }, (c) => (c.failed = true)],
  ])("never leaves it for a stale mark %s", async (_what, role, mark, change) => {
    const { c, theirs, inputs } = await three(role);
    marked(c, mark);
    change(c);
    await expect(swarmMember.create(inputs)).rejects.toThrow(
      /^c: is in a Swarm that is not this stack's \(theirs, as node [\w-]+\)\. .*`docker swarm leave --force` there/,
    );
    expect(c.cluster).toBe(theirs);
  });

  it("stays in it when it is removed from the stack", async () => {
    const { a, c, theirs, inputs } = await three();
    marked(c, { joining: true, cluster: "ours" });
    await swarmMember.delete("c", { ...inputs, nodeId: "former" });
    expect(c.cluster).toBe(theirs);
    expect(logged.join("\n")).toMatch(/warning: c: stays in a Swarm that is not this stack's \(theirs, /);
    expect(roles(a)).toEqual(["a manager", "b manager"]);
  });

  it("is not one if it was cut off as it joined ours, or had just founded it", async () => {
    const { a, c, inputs } = await three();
    c.enter(a.cluster as Cluster, "manager");
    marked(c, { joining: true, cluster: "ours" });
    const { nodeId } = c;
    expect((await swarmMember.create(inputs)).outs.nodeId).toBe(nodeId);
    const [founder, other] = (await engines("founder", "other")) as [Engine, Engine];
    const founded = founder.enter(new Cluster("new"), "manager").json;
    marked(founder, { joining: true });
    const { outs } = await swarmMember.create(memberInputs(founder, [founder, other]));
    expect(outs.nodeId).toBe(founded);
  });

  it("is told from ours by a mark that names the Swarm before the node joins it", async () => {
    const [a, b] = (await engines("a", "b")) as [Engine, Engine];
    const marks: unknown[] = [];
    for (const engine of [a, b])
      engine.meets = () => marks.push(JSON.parse(engine.sandbox.read("etc/moorage/swarm") ?? "{}"));
    for (const engine of [a, b]) await swarmMember.create(memberInputs(engine, [a, b]));
    expect(marks).toEqual([{ joining: true }, { joining: true, cluster: a.cluster?.id }]);
  });
});

describe.skipIf(!canSandbox)("leaving", () => {
  it("demotes first, and the last one takes the Swarm with it", async () => {
    const { all, outs } = await whole();
    const { cluster } = all[0];
    // Of a task that Docker was about to make or to remove.
    all[3].containers.add("half-made");
    for (const state of outs.slice(1).reverse()) {
      await swarmMember.delete(state.node, state);
      await swarmMember.delete(state.node, state);
    }
    expect([...(cluster?.members.values() ?? [])].map(({ hostname }) => hostname)).toEqual(["a"]);
    expect([...all[3].containers]).toEqual([]);
    all[0].sandbox.write("etc/moorage/out-of-service", "{}");
    await swarmMember.delete("a", outs[0]);
    expect(all.map((engine) => engine.cluster)).toEqual([undefined, undefined, undefined, undefined]);
    expect(all[0].sandbox.read("etc/moorage/swarm")).toBeUndefined();
    expect(all[0].sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
  });

  it("demotes by its own API if no other manager can be reached, and says what stays listed", async () => {
    const { all, outs } = await whole();
    const [cluster, nodeId] = [all[0].cluster, all[2].nodeId];
    for (const other of all.slice(0, 2)) await other.sandbox.server.stop();
    await swarmMember.delete("c", outs[2]);
    expect(roles(all[0])).toEqual(["a manager", "b manager", "c worker", "d worker"]);
    expect(cluster?.hasQuorum()).toBe(true);
    expect(all[2].cluster).toBeUndefined();
    expect(logged.join("\n")).toContain(`\`docker node rm ${nodeId}\``);
  });

  it("is refused to the only manager while others are in its Swarm", async () => {
    const { all, outs } = await whole();
    for (const state of outs.slice(1, 3)) await swarmMember.delete(state.node, state);
    await expect(swarmMember.delete("a", outs[0])).rejects.toThrow(
      /^a: cannot leave the Swarm: it is its only manager, and d is still in it\. Remove/,
    );
    expect(roles(all[0])).toEqual(["a manager", "d worker"]);
  });

  it.each([
    ["has no leader", () => undefined],
    ["has restarted locked", (engine: Engine) => void (engine.locked = true)],
  ])("is refused to a manager that %s while others may be in its Swarm", async (_what, change) => {
    const { all, outs } = await whole();
    for (const other of all.slice(0, 2)) await other.off();
    change(all[2]);
    await expect(swarmMember.delete("c", outs[2])).rejects.toThrow(
      /^c: cannot leave the Swarm: .*no manager can be asked: .*\nSwitch on .* `docker swarm leave --force`/,
    );
    expect(all[2].cluster).toBeDefined();
  });

  it.each([
    ["has restarted locked", (engine: Engine) => void (engine.locked = true)],
    ["has left by itself", (engine: Engine) => forgets(engine)],
  ])("demotes a manager that %s by another one", async (_what, change) => {
    const { all, outs } = await whole();
    change(all[2]);
    await swarmMember.delete("c", outs[2]);
    expect(all[2].cluster).toBeUndefined();
    expect(roles(all[0])).toEqual(["a manager", "b manager", "d worker"]);
  });

  it("takes a host that is off off the list", async () => {
    const { all, outs } = await whole();
    await all[2].off();
    await swarmMember.delete("c", outs[2]);
    expect(roles(all[0])).toEqual(["a manager", "b manager", "d worker"]);
    expect(logged.at(-1)).toMatch(/^warning: c: is out of the Swarm, but it cannot be reached/);
  });

  it("with a manager down is refused while services run, and gives that one up in an empty Swarm", async () => {
    const { all, outs } = await whole();
    await all[0].off();
    if (all[1].cluster) all[1].cluster.services = [{}];
    await expect(swarmMember.delete("c", outs[2])).rejects.toThrow(
      /c: cannot leave the Swarm now: .* as a is down/,
    );
    if (all[1].cluster) all[1].cluster.services = [];
    await swarmMember.delete("c", outs[2]);
    expect(roles(all[1])).toEqual(["b manager", "d worker"]);
  });

  it("is done for the one that is off when all others are out", async () => {
    const { all, outs } = await whole();
    await all[0].off();
    for (const state of [...outs].reverse()) await swarmMember.delete(state.node, state);
    expect(logged.at(-1)).toMatch(/^warning: a: is out of the Swarm/);
  });
});
