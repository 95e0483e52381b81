import { describe, expect, it } from "vitest";
import { Manage } from "../../../hosts/src/virtualbox/manage";
import { runOn, writeOn } from "../../../hosts/src/virtualbox/run";
import { startServer } from "./support/stop";
import { TestVirtualBox } from "./support/virtualbox";

const locked = "VBoxManage: error: The machine 'coreos1' is already locked for a session (or being unlocked)";

describe("VBoxManage", () => {
  it("is tried again for a guest that is locked, but not for ever", async () => {
    const box = new TestVirtualBox();
    const manage = await Manage.on(box.hypervisor, { pauseSeconds: 0.01 });
    box.fail("modifyvm", ...Array.from({ length: 30 }, () => locked));
    await expect(manage.run(["modifyvm", "coreos1"], { purpose: "setting up coreos1" })).rejects.toThrow(
      "hypervisor: setting up coreos1 failed (VBoxManage modifyvm, exit code 1):\n" +
        `${locked}\nAnother session holds the guest: close VirtualBox's settings window for it, or end the program that does`,
    );
    expect(box.changes()).toHaveLength(20);
  });

  it.each(["VBoxManage", "VBoxManage.exe"])("may fail with exit code 0: %s says so", async (program) => {
    const box = new TestVirtualBox();
    const manage = await Manage.on(box.hypervisor, { pauseSeconds: 0.01 });
    const words = `${program}: error: The object is not ready`;
    box.failAs(0, "controlvm", words);
    const run = manage.run(["controlvm", "coreos1"], { purpose: "switching off", advice: "Look there" });
    await expect(run).rejects.toThrow(
      `hypervisor: switching off failed (VBoxManage controlvm, exit code 0):\n${words}\nLook there`,
    );
    expect(box.changes()).toHaveLength(1);
    // A warning is no failure. One that is locked is tried again all the same.
    box.failAs(0, "startvm", "0%...10%...100%\nVBoxManage: warning: error: is a word of this warning");
    expect(await manage.run(["startvm", "coreos1"], { purpose: "switching on" })).toBe("");
    box.changes();
    await box.manage("createvm", "--name", "coreos1", "--register");
    box.failAs(0, "setextradata", locked.replace("VBoxManage", program));
    await manage.run(["setextradata", "coreos1", "key", "value"], { purpose: "marking" });
    expect(box.changes()).toHaveLength(2);
  });

  it("takes every argument as it is, also over SSH", async () => {
    const box = new TestVirtualBox();
    const name = `it's a "guest" $(id) \\ of; mine`;
    await box.manage("createvm", "--name", name, "--register");
    const hypervisor = { connection: (await startServer()).connection(), vboxManage: box.program };
    const manage = await Manage.on(hypervisor);
    await manage.run(["setextradata", name, "key", `${name}\n`], { purpose: "marking" });
    expect(await box.manage("getextradata", name, "key")).toBe(`Value: ${name}\n\n`);
  });
});

describe("a hypervisor", () => {
  it("that is this machine runs commands too, with their input", async () => {
    const done = await runOn({}, ["sh", "-c", "cat; exit 3"], { stdin: "told", purpose: "trying" });
    expect(done).toEqual({ stdout: "told", stderr: "", code: 3 });
    await expect(runOn({}, ["/nowhere/program"], { purpose: "trying" })).rejects.toThrow(
      "hypervisor: trying: cannot run /nowhere/program",
    );
    await expect(runOn({}, ["sleep", "600"], { purpose: "trying", timeoutSeconds: 0.1 })).rejects.toThrow(
      "hypervisor: trying: no end after 0.1 s",
    );
    await expect(writeOn({}, "/proc/nowhere/file", Buffer.from("x"), "writing")).rejects.toThrow(
      /^hypervisor: writing failed with exit code \d+:/,
    );
  });
});
