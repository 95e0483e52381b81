import { describe, expect, it, vi } from "vitest";
import type { Cluster } from "../../../hosts/src/contract";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import { bootInstallerAgain, isBeingInstalled } from "../../../hosts/src/virtualbox/again";
import type { GuestInputs, GuestOutputs } from "../../../hosts/src/virtualbox/contract";
import { afterInstallation, beforeReboot, guest } from "../../../hosts/src/virtualbox/guest";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { logged } from "./support/stop";
import { answeringSystem, installedGuest } from "./support/virtualbox";

const absence = "etc/moorage/out-of-service";

const withMemory = (inputs: GuestInputs, memory: number): GuestInputs => ({
  ...inputs,
  withPowerCycle: { ...inputs.withPowerCycle, memory },
});

/** A refresh finds it off, and the update after it starts it. */
async function startedAgain({ box, inputs, id, outs }: Awaited<ReturnType<typeof installedGuest>>) {
  const found = (await guest.read(id, outs))?.outs as GuestOutputs;
  expect(guest.diff(found, inputs)).toMatchObject({ changedKeys: ["leftOff"], replaces: [] });
  expect(logged.slice(-2)).toEqual([
    "warning: coreos1: a change that was cut off has left it switched off",
    "coreos1: this update starts it again",
  ]);
  expect(await guest.update(id, found, inputs)).toEqual(outs);
  expect(await box.info("coreos1")).toContain('VMState="running"');
  box.changes();
}

/** Three managers and a worker, which is a guest. */
async function node() {
  row.stoppedBy = undefined;
  const all = (await engines("a", "b", "c", "d")) as [Engine, Engine, Engine, Engine];
  const managers = all.slice(0, 3);
  for (const engine of all) await swarmMember.create(memberInputs(engine, managers));
  const cluster: Cluster = { managers: managers.map(({ connection }) => connection) };
  const [, , manager] = all;
  const swarm = manager.cluster;
  if (!swarm) throw new Error("no Swarm was made");
  swarm.everywhere = ["front"];
  const made = await installedGuest(manager.connection, { name: "c", cluster });
  return { ...made, all, manager, swarm, cluster };
}

describe.skipIf(!canSandbox)("a guest that is a member of the Swarm", () => {
  it("is drained before it is switched off, and takes tasks again after it", async () => {
    const { box, inputs, id, outs, swarm, manager } = await node();
    const news = withMemory(inputs, 4096);
    expect(guest.diff(outs, news)).toMatchObject({ changedKeys: ["withPowerCycle"], replaces: [] });
    expect(logged.at(-1)).toBe("c: this update switches it off, the node drained meanwhile; other: memory");
    logged.length = 0;
    await guest.update(id, outs, news);
    const told = logged.filter((line) => /drained, to be|switching off|answers after|back in/.test(line));
    expect(told.map((line) => line.replace(/ after \d+ s$/, ""))).toEqual([
      "c: drained, to be changed",
      "c: switching off for changed settings",
      "c: answers",
      "c: back in service",
    ]);
    expect(swarm.moves).toEqual(["c drain", "c active"]);
    expect(box.reads("moorage/off-for")).toBe(1);
    expect(box.changes()).toContain("controlvm c acpipowerbutton");
    expect(manager.sandbox.read(absence)).toBeUndefined();
  }, 60_000);

  it("stays on while the managers need it, and says so", async () => {
    const { box, inputs, id, outs, all } = await node();
    const away = all[1].member();
    if (away) away.down = true;
    const done = guest.update(id, outs, withMemory(inputs, 4096));
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/c: waits to be changed: .*as b is not there/);
    expect(box.changes()).toEqual([]);
    if (away) away.down = false;
    await done;
    expect(await box.info("c")).toContain("memory=4096");
  }, 60_000);

  it("that does not say whether it serves is left running, and one that is off is changed as it is", async () => {
    const { box, inputs, id, outs, manager } = await node();
    const news = withMemory(inputs, 4096);
    manager.docker.down = true;
    await expect(guest.update(id, outs, news)).rejects.toThrow(
      /^c: needs a power cycle, and is left as it is: it runs, but does not say .*docker info.*VBoxManage controlvm c acpipowerbutton/,
    );
    await manager.sandbox.server.stop();
    await expect(guest.update(id, outs, news)).rejects.toThrow(
      /^c: needs a power cycle, and is left as it is/,
    );
    expect(box.changes()).toEqual([]);
    expect(row.stoppedBy).toBeUndefined();
    await box.manage("controlvm", "c", "poweroff");
    await guest.update(id, outs, news);
    expect(await box.info("c")).toContain("memory=4096");
  }, 60_000);

  it("whose change fails half way runs again, is no reason to go on, and comes back by the next update", async () => {
    const { box, inputs, id, outs, swarm, manager } = await node();
    box.fail("modifyvm", "VBoxManage: error: no paint");
    const news = withMemory(inputs, 4096);
    await expect(guest.update(id, outs, news)).rejects.toThrow(/no paint/);
    expect(row.stoppedBy).toBe("c");
    expect(await box.info("c")).toContain('VMState="running"');
    expect(manager.sandbox.read(absence)).toBeDefined();
    row.stoppedBy = undefined;
    await guest.update(id, outs, news);
    expect(swarm.moves).toEqual(["c drain", "c active", "c drain", "c active"]);
    expect(await box.info("c")).toContain("memory=4096");
  }, 60_000);

  it("is put back into service where only that is left to do", async () => {
    const { box, inputs, id, outs, swarm, manager, cluster } = await node();
    const cut = outOfService(manager.connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    row.stoppedBy = undefined;
    await guest.update(id, outs, inputs);
    expect(swarm.moves).toEqual(["c drain", "c active"]);
    expect(box.changes()).toEqual([]);
    // What it is taken out of means nothing by itself.
    expect(guest.diff(outs, { ...inputs, cluster: { managers: [] } }).changes).toBe(false);
  }, 60_000);
});

describe("a guest whose reinstallation was cut off", () => {
  const againOf = ({ inputs, id, outs }: Awaited<ReturnType<typeof installedGuest>>) => {
    const { stack, iso, installerUserData, withPowerCycle } = inputs;
    return { ...outs, id, again: { stack, iso, installerUserData, systemDisk: withPowerCycle.systemDisk } };
  };

  /** Its update was cut off at the next call of that command. */
  async function cutOffAt(command: string) {
    const made = await installedGuest((await answeringSystem()).connection());
    const { box, inputs } = made;
    const reinstalled = againOf(made);
    box.fail(command, "VBoxManage: error: cut off");
    const { installer, target } = inputs;
    await expect(bootInstallerAgain(reinstalled, installer, target)).rejects.toThrow("cut off");
    box.changes();
    return { ...made, reinstalled };
  }

  it("before it lost its system is reinstalled from there, or started again should the change be taken back", async () => {
    const { box, inputs, id, outs, reinstalled } = await cutOffAt("storageattach");
    expect(await box.info("coreos1")).toContain('VMState="poweroff"');
    expect(await isBeingInstalled(reinstalled)).toBe(true);
    await startedAgain({ box, inputs, id, outs });
    expect(await isBeingInstalled(reinstalled)).toBe(false);
    // It is an installed one still.
    await guest.update(id, outs, withMemory(inputs, 4096));
    expect(box.changes()).toContain("controlvm coreos1 acpipowerbutton");
    expect(box.configDrive("coreos1")).toBeUndefined();
  }, 60_000);

  it("after it lost its system has nothing to lose", async () => {
    const { box, reinstalled } = await cutOffAt("createmedium");
    await box.manage("setextradata", "coreos1", "moorage/phase", "installed");
    expect(await isBeingInstalled(reinstalled)).toBe(true);
  }, 60_000);

  it("while it shut down goes on, though it was started meanwhile where nothing leads to it any more", async () => {
    const former = await answeringSystem();
    const made = await installedGuest((await answeringSystem()).connection(), {
      target: former.connection(),
    });
    const { box, inputs, id, outs } = made;
    const reinstalled = againOf(made);
    box.fail("controlvm", "VBoxManage: error: cut off");
    await expect(bootInstallerAgain(reinstalled, inputs.installer, inputs.target)).rejects.toThrow("cut off");
    await box.manage("controlvm", "coreos1", "poweroff");
    const found = (await guest.read(id, outs))?.outs as GuestOutputs;
    await former.stop();
    // Each look at the clock takes a while, so that nothing is waited for in earnest.
    let clock = performance.now();
    vi.spyOn(performance, "now").mockImplementation(() => (clock += 100_000));
    const updated = guest.update(id, found, inputs).finally(() => vi.restoreAllMocks());
    expect(await updated).toEqual(outs);
    expect(logged.at(-1)).toMatch(/^warning: coreos1: it did not come back .* it was being reinstalled/);
    expect(await box.info("coreos1")).toContain('VMState="running"');
    expect(await isBeingInstalled(reinstalled)).toBe(true);
    await bootInstallerAgain(reinstalled, inputs.installer, inputs.target);
    expect(box.configDrive("coreos1")).toBeDefined();
    expect(await box.manage("getextradata", "coreos1", "moorage/off-for")).toBe("No value set!\n");
  }, 60_000);

  it("and that is installed in the end is its owner's to switch off", async () => {
    const { box, inputs, id, outs, reinstalled } = await cutOffAt("createmedium");
    const marked = () => box.manage("setextradata", "coreos1", "moorage/off-for", "installation");
    const mark = () => box.manage("getextradata", "coreos1", "moorage/off-for");
    // As where it was cut off a moment earlier.
    await marked();
    await guest.update(id, outs, inputs);
    expect(box.changes()).toContain("startvm coreos1 --type headless");
    expect(await mark()).toBe("No value set!\n");
    await marked();
    await beforeReboot(reinstalled);
    await afterInstallation(reinstalled);
    expect(await mark()).toBe("No value set!\n");
    await box.manage("controlvm", "coreos1", "poweroff");
    expect(await isBeingInstalled(reinstalled)).toBe(false);
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
  }, 60_000);
});

describe("a guest whose power cycle was cut off while it was off", () => {
  it("is found so by a refresh, and started again; one that its owner has switched off is not", async () => {
    const made = await installedGuest((await answeringSystem()).connection());
    const { box, inputs, id, outs } = made;
    await box.manage("controlvm", "coreos1", "poweroff");
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    await box.manage("setextradata", "coreos1", "moorage/off-for", "settings");
    await startedAgain(made);
    expect((await guest.read(id, { ...outs, leftOff: true }))?.outs).toEqual(outs);
    await guest.update(id, outs, inputs);
    expect(await box.info("coreos1")).toContain('VMState="running"');
    // Cut off a moment after it was started.
    await box.manage("setextradata", "coreos1", "moorage/off-for", "settings");
    await guest.update(id, outs, inputs);
    expect(await box.manage("getextradata", "coreos1", "moorage/off-for")).toBe("No value set!\n");
  }, 60_000);
});
