import * as fs from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { Cluster } from "../../../hosts/src/contract";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { row } from "../../../hosts/src/swarm/turn";
import { bootInstallerAgain, isBeingInstalled } from "../../../hosts/src/virtualbox/again";
import type { GuestInputs, GuestOutputs } from "../../../hosts/src/virtualbox/contract";
import { afterInstallation, beforeReboot, guest } from "../../../hosts/src/virtualbox/guest";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { hurry, logged } from "./support/stop";
import { answeringSystem, installedGuest, type TestVirtualBox } from "./support/virtualbox";

const withMemory = (inputs: GuestInputs, memory: number): GuestInputs => ({
  ...inputs,
  withPowerCycle: { ...inputs.withPowerCycle, memory },
});

beforeEach(() => hurry());

describe("a guest that is switched off", () => {
  it.each([
    ["ignores its power button", undefined],
    ["goes off by itself", "VBoxManage: error: Machine 'coreos1' is not currently running."],
  ])("has its power cut if it %s", async (_what, words) => {
    const { box, inputs, id, outs } = await installedGuest((await answeringSystem()).connection());
    fs.writeFileSync(box.file("stubborn"), "button");
    if (words) box.fail("controlvm", words);
    await guest.update(id, outs, withMemory(inputs, 4096));
    expect(box.changes().filter((line) => line.startsWith("controlvm"))).toEqual([
      "controlvm coreos1 acpipowerbutton",
      "controlvm coreos1 poweroff",
    ]);
    expect(logged).toContain("coreos1: did not go off within 90 s of its power button, so its power is cut");
    expect(await box.info("coreos1")).toMatch(/^memory=4096$/m);
    expect(await box.info("coreos1")).toContain('VMState="running"');
  });

  it("and stays on keeps its settings until the next update", async () => {
    const { box, inputs, id, outs } = await installedGuest((await answeringSystem()).connection());
    fs.writeFileSync(box.file("stubborn"), "plug");
    const news = withMemory(inputs, 4096);
    await expect(guest.update(id, outs, news)).rejects.toThrow(
      "coreos1: the guest does not go off; see it in VirtualBox's window",
    );
    expect(box.changes().some((line) => line.startsWith("modifyvm"))).toBe(false);
    fs.rmSync(box.file("stubborn"));
    await guest.update(id, outs, news);
    expect((await guest.read(id, outs))?.outs).toEqual({ ...outs, withPowerCycle: news.withPowerCycle });
  });
});

/** Three managers and a worker; one manager is a guest. */
async function node() {
  row.stoppedBy = undefined;
  const all = (await engines("a", "b", "c", "d")) as [Engine, Engine, Engine, Engine];
  const managers = all.slice(0, 3);
  for (const engine of all) await swarmMember.create(memberInputs(engine, managers));
  const cluster: Cluster = { managers: managers.map(({ connection }) => connection) };
  const [, other, manager] = all;
  const swarm = manager.cluster;
  if (!swarm) throw new Error("no Swarm was made");
  swarm.everywhere = ["front"];
  return { ...(await installedGuest(manager.connection, { name: "c", cluster })), other, manager, swarm };
}

describe.skipIf(!canSandbox)("a guest that is a member of the Swarm", () => {
  it("is drained before it is switched off, not while the managers need it, and takes tasks again", async () => {
    const { box, inputs, id, outs, swarm, manager, other } = await node();
    const news = withMemory(inputs, 4096);
    expect(guest.diff(outs, news)).toMatchObject({ changedKeys: ["withPowerCycle"], replaces: [] });
    expect(logged.at(-1)).toBe("c: this update switches it off, the node drained meanwhile; other: memory");
    logged.length = 0;
    const away = other.member();
    if (away) away.down = true;
    hurry(() => {
      if (!logged.some((line) => /c: waits to be changed: .*as b is not there/.test(line))) return;
      if (away?.down) expect(box.changes()).toEqual([]);
      if (away) away.down = false;
    });
    await guest.update(id, outs, news);
    const said = logged.filter((line) =>
      /waits|drained, to be|switching off|answers after|back in/.test(line),
    );
    expect(said.map((line) => line.replace(/(changed:|answers|service).*$/, "$1"))).toEqual([
      "c: waits to be changed:",
      "c: drained, to be changed",
      "c: switching off for changed settings",
      "c: answers",
      "c: back in service",
    ]);
    expect(swarm.moves).toEqual(["c drain", "c active"]);
    expect(box.changes()).toContain("controlvm c acpipowerbutton");
    expect(manager.sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
    // The cluster that it is taken out of means nothing by itself.
    expect(guest.diff(outs, { ...inputs, cluster: { managers: [] } }).changes).toBe(false);
  });

  it("keeps running if it does not say whether it serves, and is changed if it is off", async () => {
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
  });

  it("whose change fails runs again, stops the rollout, and comes back by the next update", async () => {
    const { box, inputs, id, outs, swarm, manager } = await node();
    box.fail("modifyvm", "VBoxManage: error: no paint");
    await expect(guest.update(id, outs, withMemory(inputs, 4096))).rejects.toThrow(/no paint/);
    expect(row.stoppedBy).toBe("c");
    expect(await box.info("c")).toContain('VMState="running"');
    expect(manager.sandbox.read("etc/moorage/out-of-service")).toBeDefined();
    box.changes();
    row.stoppedBy = undefined;
    // Nothing else is left to do.
    await guest.update(id, outs, inputs);
    expect(swarm.moves).toEqual(["c drain", "c active"]);
    expect(box.changes()).toEqual([]);
  });
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

const setOffFor = (box: TestVirtualBox, what: string) =>
  box.manage("setextradata", "coreos1", "moorage/off-for", what);
const offFor = (box: TestVirtualBox) => box.manage("getextradata", "coreos1", "moorage/off-for");
const NOTHING = "No value set!\n";

describe("a guest whose power cycle was cut off", () => {
  it("is started again by the update after a refresh; one that its owner has switched off is not", async () => {
    const made = await installedGuest((await answeringSystem()).connection());
    const { box, inputs, id, outs } = made;
    await box.manage("controlvm", "coreos1", "poweroff");
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    await setOffFor(box, "settings");
    await startedAgain(made);
    expect((await guest.read(id, { ...outs, leftOff: true }))?.outs).toEqual(outs);
    // Cut off a moment after it was started.
    await setOffFor(box, "settings");
    await guest.update(id, outs, inputs);
    expect(await offFor(box)).toBe(NOTHING);
  });
});

describe("a guest whose reinstallation was cut off", () => {
  const reinstalledOf = ({ inputs, id, outs }: Awaited<ReturnType<typeof installedGuest>>) => {
    const { stack, iso, installerUserData, withPowerCycle } = inputs;
    return { ...outs, id, again: { stack, iso, installerUserData, systemDisk: withPowerCycle.systemDisk } };
  };

  /** Its update was cut off at the next call of that command. */
  async function cutOffAt(command: string) {
    const made = await installedGuest((await answeringSystem()).connection());
    const { box, inputs } = made;
    const reinstalled = reinstalledOf(made);
    box.fail(command, "VBoxManage: error: cut off");
    await expect(bootInstallerAgain(reinstalled, inputs.installer, inputs.target)).rejects.toThrow("cut off");
    box.changes();
    return { ...made, reinstalled };
  }

  it("before it lost its system is reinstalled, or started again if the change is taken back", async () => {
    const { box, inputs, id, outs, reinstalled } = await cutOffAt("storageattach");
    expect(await box.info("coreos1")).toContain('VMState="poweroff"');
    expect(await isBeingInstalled(reinstalled)).toBe(true);
    await startedAgain({ box, inputs, id, outs });
    expect(await isBeingInstalled(reinstalled)).toBe(false);
    // It still has its installed system.
    await guest.update(id, outs, withMemory(inputs, 4096));
    expect(box.changes()).toContain("controlvm coreos1 acpipowerbutton");
    expect(box.configDrive("coreos1")).toBeUndefined();
  });

  it("after it lost its system has nothing to lose, until it is installed", async () => {
    const { box, inputs, id, outs, reinstalled } = await cutOffAt("createmedium");
    await box.manage("setextradata", "coreos1", "moorage/phase", "installed");
    expect(await isBeingInstalled(reinstalled)).toBe(true);
    await setOffFor(box, "installation");
    await guest.update(id, outs, inputs);
    expect(box.changes()).toContain("startvm coreos1 --type headless");
    expect(await offFor(box)).toBe(NOTHING);
    await setOffFor(box, "installation");
    await beforeReboot(reinstalled);
    await afterInstallation(reinstalled);
    expect(await offFor(box)).toBe(NOTHING);
    await box.manage("controlvm", "coreos1", "poweroff");
    expect(await isBeingInstalled(reinstalled)).toBe(false);
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
  });
});
