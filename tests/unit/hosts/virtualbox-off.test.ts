import * as fs from "node:fs";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Connection } from "../../../hosts/src/contract";
import type { GuestInputs } from "../../../hosts/src/virtualbox/contract";
import { guest } from "../../../hosts/src/virtualbox/guest";
import { logged } from "./support/stop";
import { answeringSystem, installedGuest } from "./support/virtualbox";

let system: Connection;
beforeAll(async () => void (system = (await answeringSystem()).connection()));
afterEach(() => void vi.restoreAllMocks());

const withMemory = (inputs: GuestInputs, memory: number): GuestInputs => ({
  ...inputs,
  withPowerCycle: { ...inputs.withPowerCycle, memory },
});

/** Each look at the clock takes a while, so that nothing is waited for in earnest. */
function hurry(): void {
  let clock = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => (clock += 20_000));
}

describe("a guest that is to go off", () => {
  it("and passes over its power button has its power cut, once there was time enough", async () => {
    const { box, inputs, id, outs } = await installedGuest(system);
    fs.writeFileSync(box.file("stubborn"), "button");
    hurry();
    await guest.update(id, outs, withMemory(inputs, 4096));
    expect(box.changes().filter((line) => line.startsWith("controlvm"))).toEqual([
      "controlvm coreos1 acpipowerbutton",
      "controlvm coreos1 poweroff",
    ]);
    expect(logged).toContain("coreos1: did not go off within 90 s of its power button, so its power is cut");
    expect(await box.info("coreos1")).toMatch(/^memory=4096$/m);
    expect(await box.info("coreos1")).toContain('VMState="running"');
  }, 60_000);

  it("and does not is told, with nothing changed, and changed by the next update", async () => {
    const { box, inputs, id, outs } = await installedGuest(system);
    fs.writeFileSync(box.file("stubborn"), "plug");
    hurry();
    const news = withMemory(inputs, 4096);
    await expect(guest.update(id, outs, news)).rejects.toThrow(
      "coreos1: the guest does not go off; see it in VirtualBox's window",
    );
    expect(await box.info("coreos1")).toMatch(/^memory=2048$/m);
    expect(box.changes().some((line) => line.startsWith("modifyvm"))).toBe(false);
    fs.rmSync(box.file("stubborn"));
    vi.restoreAllMocks();
    await guest.update(id, outs, news);
    expect((await guest.read(id, outs))?.outs).toEqual({ ...outs, withPowerCycle: news.withPowerCycle });
  }, 60_000);

  it("and has gone off by itself a moment before is not told as a failure", async () => {
    const { box, inputs, id, outs } = await installedGuest(system);
    fs.writeFileSync(box.file("stubborn"), "button");
    // As VirtualBox says it of one that is off by then.
    box.fail("controlvm", "VBoxManage: error: Machine 'coreos1' is not currently running.");
    hurry();
    await guest.update(id, outs, withMemory(inputs, 4096));
    expect(await box.info("coreos1")).toMatch(/^memory=4096$/m);
  }, 60_000);
});

describe("a guest whose state was saved", () => {
  const refusal =
    "coreos1: the guest's state was saved, so VirtualBox changes none of its settings. Start it, or run `VBoxManage discardstate coreos1` there";

  it("is not changed, and the error says both ways on", async () => {
    const { box, inputs, id, outs } = await installedGuest(system);
    await box.manage("controlvm", "coreos1", "savestate");
    const news = withMemory(inputs, 4096);
    // What VirtualBox would have said, and what is not asked of it.
    await expect(box.manage("modifyvm", "coreos1", "--memory", "4096")).rejects.toThrow(
      "The machine is not mutable (state is Saved)",
    );
    await expect(guest.update(id, outs, news)).rejects.toThrow(refusal);
    expect(box.changes()).toEqual([]);
    expect(await box.info("coreos1")).toContain('VMState="saved"');
    await box.manage("discardstate", "coreos1");
    await guest.update(id, outs, news);
    expect(await box.info("coreos1")).toMatch(/^memory=4096$/m);
    expect(await box.info("coreos1")).toContain('VMState="poweroff"');
  }, 60_000);

  it("is one that is off: nothing is drift, and it is not started", async () => {
    const { box, inputs, id, outs } = await installedGuest(system);
    await box.manage("controlvm", "coreos1", "savestate");
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    await guest.update(id, outs, inputs);
    expect(box.changes()).toEqual([]);
  }, 60_000);

  it("goes with its guest where that is deleted", async () => {
    const { box, id, outs } = await installedGuest(system);
    await box.manage("controlvm", "coreos1", "savestate");
    await expect(box.manage("unregistervm", "coreos1", "--delete")).rejects.toThrow("state is Saved");
    await guest.delete(id, outs);
    expect(await guest.read(id, outs)).toBeUndefined();
    expect(box.changes()).toContain("discardstate coreos1");
  }, 60_000);

  it("which could not be taken up again is refused the same way", async () => {
    const { box, inputs, id, outs } = await installedGuest(system);
    await box.manage("controlvm", "coreos1", "savestate");
    const state = box.file("state.json");
    fs.writeFileSync(
      state,
      fs.readFileSync(state, "utf8").replace('"saved": "saved"', '"saved": "aborted-saved"'),
    );
    expect(await box.info("coreos1")).toContain('VMState="aborted-saved"');
    await expect(guest.update(id, outs, withMemory(inputs, 4096))).rejects.toThrow(refusal);
    expect(box.changes()).toEqual([]);
  }, 60_000);
});
