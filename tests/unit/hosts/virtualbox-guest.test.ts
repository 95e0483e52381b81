import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Connection } from "../../../hosts/src/contract";
import type { GuestInputs, GuestOutputs, PowerCycled } from "../../../hosts/src/virtualbox/contract";
import { afterInstallation, beforeReboot, guest } from "../../../hosts/src/virtualbox/guest";
import { logged } from "./support/stop";
import { answeringSystem, installedGuest, TestVirtualBox } from "./support/virtualbox";

/** All guests of this file answer here, installer and installed system alike. */
let system: Connection;
beforeAll(async () => void (system = (await answeringSystem()).connection()));

const installed = (changes?: Partial<GuestInputs>) => installedGuest(system, changes);

const changed = (inputs: GuestInputs, changes: Partial<PowerCycled>): GuestInputs => ({
  ...inputs,
  withPowerCycle: { ...inputs.withPowerCycle, ...changes },
});

describe.each(["6.1.50_Ubuntur161033", "7.0.20r163906", "7.1.4r165100", "7.2.4r170995"])(
  "a guest of %s",
  (version) => {
    it("is made with all its parts, and boots the live installer", async () => {
      const box = new TestVirtualBox(version);
      const { id, outs } = await guest.create(box.guest(system));
      const vms = box.file("vms");
      const attach = "storageattach coreos1 --storagectl SATA --port";
      const audio = version.startsWith("6") ? "--audio none" : "--audio-enabled off";
      expect(box.changes()).toEqual([
        `createvm --name coreos1 --ostype Linux26_64 --basefolder ${vms} --register`,
        "setextradata coreos1 moorage/phase installing",
        "setextradata coreos1 moorage/stack organization/moorage/test",
        "modifyvm coreos1 --memory 2048 --cpus 2 --ioapic on --rtcuseutc on --firmware bios --nic1 natnetwork " +
          "--nat-network1 moorage --nictype1 virtio --cableconnected1 on --usbohci off --usbehci off --usbxhci off " +
          `${audio} --boot1 disk --boot2 dvd --boot3 none --boot4 none`,
        "storagectl coreos1 --name SATA --add sata --controller IntelAhci --portcount 4 --bootable on",
        `createmedium disk --filename ${vms}/coreos1/coreos1-system.vdi --size 64 --format VDI --variant Standard`,
        `${attach} 0 --device 0 --type hdd --medium ${vms}/coreos1/coreos1-system.vdi`,
        `createmedium disk --filename ${vms}/moorage/data/coreos1-data.vdi --size 32 --format VDI --variant Standard`,
        `${attach} 1 --device 0 --type hdd --medium ${vms}/moorage/data/coreos1-data.vdi`,
        `${attach} 2 --device 0 --type dvddrive --medium ${box.file("installer.iso")} --forceunmount`,
        `${attach} 3 --device 0 --type dvddrive --medium ${vms}/moorage/config-drives/coreos1.iso --forceunmount`,
        "startvm coreos1 --type headless",
        "setextradata coreos1 moorage/off-for",
      ]);
      expect(await box.info("coreos1")).toContain('VMState="running"');
      expect(await box.info("coreos1")).toContain(`UUID="${outs.uuid}"`);
      expect((await guest.read(id, outs))?.outs).toEqual(outs);
    }, 60_000);
  },
);

describe("the installer's image", () => {
  it("that is another one than was checked boots in no new guest, which goes on once it is right again", async () => {
    const box = new TestVirtualBox();
    const inputs = box.guest(system);
    const isoSha256 = createHash("sha256").update(fs.readFileSync(inputs.iso)).digest("hex");
    const right = fs.readFileSync(inputs.iso);
    fs.appendFileSync(inputs.iso, "!");
    await guest.create({ ...inputs, isoSha256 }).then(
      () => expect.fail("it was made"),
      (error: Error) =>
        expect(error.message).toMatch(/installer\.iso is another one: its sha256 is .*, and was/),
    );
    expect(box.changes().filter((call) => /startvm|dvddrive/.test(call))).toEqual([]);
    expect(box.configDrive("coreos1")).toBeUndefined();
    fs.writeFileSync(inputs.iso, right);
    const state = { ...inputs, isoSha256, uuid: "" };
    expect((await guest.update("", state, { ...inputs, isoSha256 })).uuid).not.toBe("");
    expect(await box.info("coreos1")).toContain('VMState="running"');
    // What an older stack has not recorded is no change.
    expect(guest.diff({ ...inputs, uuid: "" }, { ...inputs, isoSha256 }).changes).toBe(false);
  }, 60_000);
});

describe("a guest's config drive", () => {
  it("tells the installer what it was given, is its owner's alone, and is gone before the reboot", async () => {
    const box = new TestVirtualBox();
    const text = "#cloud-config\nhostname: coreos1\nssh_authorized_keys:\n  - ssh-ed25519 AAAA\n";
    const { id, outs } = await guest.create(box.guest(system, { installerUserData: text }));
    const file = box.file("vms", "moorage", "config-drives", "coreos1.iso");
    expect(box.configDrive("coreos1")).toBe(text);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(box.changes().join()).not.toContain("AAAA");
    await beforeReboot({ ...outs, id });
    expect(fs.existsSync(file)).toBe(false);
    expect(await box.info("coreos1")).toContain('"SATA-3-0"="emptydrive"');
    expect(await box.info("coreos1")).toContain(`"SATA-2-0"="${box.file("installer.iso")}"`);
    await afterInstallation({ ...outs, id });
    expect(await box.info("coreos1")).toContain('"SATA-2-0"="emptydrive"');
    // Done again, as an interrupted run does it, it changes nothing.
    box.changes();
    await beforeReboot({ ...outs, id });
    await afterInstallation({ ...outs, id });
    expect(box.changes().filter((line) => !/^(closemedium|setextradata)/.test(line))).toEqual([]);
  }, 60_000);

  it("is not made again for an installed guest, whatever else changes", async () => {
    const { box, inputs, id, outs } = await installed();
    const news = changed(
      { ...inputs, installerUserData: "#cloud-config\nhostname: other\n", iso: "/other.iso" },
      { memory: 4096 },
    );
    await guest.update(id, outs, news);
    expect(box.configDrive("coreos1")).toBeUndefined();
    expect(await box.info("coreos1")).toContain('"SATA-2-0"="emptydrive"');
    expect(box.changes().some((line) => line.includes("other.iso"))).toBe(false);
  }, 60_000);
});

/** What somebody else does to a guest's disk controller. */
const controller = (...args: string[]): string[] => ["storagectl", "coreos1", "--name", "SATA", ...args];

describe("a guest's settings", () => {
  it("with too little memory are refused before anything is made", async () => {
    const box = new TestVirtualBox();
    await expect(guest.create(changed(box.guest(system), { memory: 1024 }))).rejects.toThrow(
      "coreos1: 1024 MB of memory are too little: 2048 MB or more are needed",
    );
    expect(box.changes()).toEqual([]);
  });

  it("that a running guest takes are changed while it runs", async () => {
    const { box, inputs, id, outs } = await installed();
    const news = { ...inputs, network: "other" };
    expect(guest.diff(outs, news)).toMatchObject({ changedKeys: ["network"], replaces: [] });
    await guest.update(id, outs, news);
    expect(box.changes()).toEqual(["controlvm coreos1 nic1 natnetwork other"]);
  }, 60_000);

  it("that need a power cycle are announced by the key that changes, and made with one", async () => {
    const { box, inputs, id, outs } = await installed();
    const news = changed(inputs, { memory: 4096, cpus: 4, mac: "080027000011" });
    expect(guest.diff(outs, news)).toMatchObject({ changedKeys: ["withPowerCycle"], replaces: [] });
    const after = await guest.update(id, outs, news);
    expect(after.uuid).toBe(outs.uuid);
    const changes = box.changes();
    expect(changes.slice(0, 2)).toEqual([
      "setextradata coreos1 moorage/off-for settings",
      "controlvm coreos1 acpipowerbutton",
    ]);
    expect(changes.slice(-2)).toEqual([
      "startvm coreos1 --type headless",
      "setextradata coreos1 moorage/off-for",
    ]);
    expect(changes.filter((line) => line.startsWith("createmedium"))).toEqual([]);
    expect(await box.info("coreos1")).toMatch(/^memory=4096$[^]*^cpus=4$/m);
    expect(await box.info("coreos1")).toContain('macaddress1="080027000011"');
    expect(await box.info("coreos1")).toContain('VMState="running"');
    expect(logged).toContain("coreos1: switching off for changed settings");
  }, 60_000);

  it("leave a guest that is off, off", async () => {
    const { box, inputs, id, outs } = await installed();
    await box.manage("controlvm", "coreos1", "poweroff");
    box.changes();
    await guest.update(id, outs, changed(inputs, { memory: 4096 }));
    expect(box.changes().map((line) => line.split(" ")[0])).toEqual(["modifyvm"]);
    expect(await box.info("coreos1")).toContain('VMState="poweroff"');
  }, 60_000);

  it("grow disks and never make them smaller", async () => {
    const { box, inputs, id, outs } = await installed();
    await guest.update(id, outs, changed(inputs, { systemDisk: 128 }));
    expect(box.changes()).toContain(
      `modifymedium disk ${box.file("vms/coreos1/coreos1-system.vdi")} --resize 128`,
    );
    await expect(guest.update(id, outs, changed(inputs, { systemDisk: 128, dataDisk: 16 }))).rejects.toThrow(
      "coreos1: its data disk has 32 MB, and VirtualBox makes no disk smaller. Set its size in the configuration to 32 or more",
    );
    expect(box.changes()).toEqual([]);
    expect(await box.info("coreos1")).toContain('VMState="running"');
  }, 60_000);

  const slot = (port: string, type: string, medium: string) =>
    `storageattach coreos1 --storagectl SATA --port ${port} --device 0 --type ${type} --medium ${medium}`.split(
      " ",
    );
  const drifts: [string, string[], string][] = [
    ["memory", ["modifyvm", "coreos1", "--memory", "1024"], "withPowerCycle"],
    ["CPUs", ["modifyvm", "coreos1", "--cpus", "1"], "withPowerCycle"],
    ["the network card", ["modifyvm", "coreos1", "--nictype1", "82540EM"], "withPowerCycle"],
    ["the MAC address", ["modifyvm", "coreos1", "--macaddress1", "080027000012"], "withPowerCycle"],
    ["USB", ["modifyvm", "coreos1", "--usbxhci", "on"], "withPowerCycle"],
    ["sound", ["modifyvm", "coreos1", "--audio-enabled", "on"], "withPowerCycle"],
    ["the boot order", ["modifyvm", "coreos1", "--boot1", "dvd", "--boot2", "disk"], "withPowerCycle"],
    ["the network", ["modifyvm", "coreos1", "--nat-network1", "other"], "network"],
    ["the network's kind", ["modifyvm", "coreos1", "--nic1", "bridged"], "network"],
    ["the I/O APIC", ["modifyvm", "coreos1", "--ioapic", "off"], "withPowerCycle"],
    ["the clock", ["modifyvm", "coreos1", "--rtcuseutc", "off"], "withPowerCycle"],
    ["the firmware", ["modifyvm", "coreos1", "--firmware", "efi"], "withPowerCycle"],
    ["the cable", ["modifyvm", "coreos1", "--cableconnected1", "off"], "cableConnected"],
    ["the system disk, out", slot("0", "hdd", "none"), "withPowerCycle"],
    ["the data disk, out", slot("1", "hdd", "none"), "withPowerCycle"],
    ["an optical drive, out", slot("2", "dvddrive", "none"), "withPowerCycle"],
    ["the other one, out", slot("3", "dvddrive", "none"), "withPowerCycle"],
    ["the type of guest", ["modifyvm", "coreos1", "--ostype", "Other"], "withPowerCycle"],
    ["ports of its controller", controller("--portcount", "6"), "withPowerCycle"],
    ["what it boots from", controller("--bootable", "off"), "withPowerCycle"],
    ["too few of them", controller("--portcount", "2"), "withPowerCycle"],
    ["an image in a drive", slot("3", "dvddrive", "installer.iso"), "inserted"],
  ];
  it("are read back: drift of each is seen, and put right", async () => {
    const { box, id, ...made } = await installed();
    // Of one that is left to VirtualBox nothing is read.
    const inputs = changed(made.inputs, { mac: "080027000011" });
    const outs = await guest.update(id, made.outs, inputs);
    await box.manage("controlvm", "coreos1", "poweroff");
    for (const [what, args, key] of drifts) {
      await box.manage(...args.map((each) => (each === "installer.iso" ? box.file(each) : each)));
      const read = await guest.read(id, outs);
      expect(guest.diff(read?.outs ?? outs, inputs).changedKeys, what).toEqual([key]);
      await guest.update(id, read?.outs ?? outs, inputs);
      expect((await guest.read(id, outs))?.outs, what).toEqual(outs);
    }
  }, 120_000);
});

describe("a guest whose disk controller is of another kind", () => {
  it("is not switched off for it, and gets its own once that is taken away, with its disks", async () => {
    const { box, inputs, id, outs } = await installed();
    await box.manage("controlvm", "coreos1", "poweroff");
    await box.manage(...controller("--remove"));
    await box.manage(...controller("--add", "ide", "--controller", "PIIX4", "--portcount", "2"));
    await box.manage("startvm", "coreos1", "--type", "headless");
    const read = await guest.read(id, outs);
    expect(read?.outs.withPowerCycle).toMatchObject({ controllerType: "PIIX4", controllerPorts: 2 });
    await expect(guest.update(id, read?.outs ?? outs, inputs)).rejects.toThrow(
      /coreos1: its disk controller SATA is a PIIX4, and no IntelAhci, .* `VBoxManage storagectl coreos1 --name SATA --remove` .* run `pulumi up`/,
    );
    expect(box.changes()).toEqual([]);
    await box.manage("controlvm", "coreos1", "poweroff");
    await box.manage(...controller("--remove"));
    await guest.update(id, read?.outs ?? outs, inputs);
    expect(await box.info("coreos1")).toMatch(
      /storagecontrollertype0="IntelAhci"[^]*"SATA-0-0"=".*system\.vdi"[^]*"SATA-1-0"=".*data\.vdi"/,
    );
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
  }, 60_000);
});

describe("a running guest", () => {
  it("gets its cable back, and what was put into its drives taken out, without a power cycle", async () => {
    const { box, inputs, id, outs } = await installed();
    const drive = ["--storagectl", "SATA", "--port", "3", "--device", "0", "--type", "dvddrive"];
    await box.manage("storageattach", "coreos1", ...drive, "--medium", box.file("installer.iso"));
    await box.manage("controlvm", "coreos1", "setlinkstate1", "off");
    const read = (await guest.read(id, outs))?.outs as GuestOutputs;
    expect(read).toEqual({ ...outs, cableConnected: false, inserted: [box.file("installer.iso")] });
    expect(guest.diff(read, inputs).changedKeys).toEqual(["cableConnected", "inserted"]);
    expect(logged.filter((line) => line.includes("switches it off"))).toEqual([]);
    await guest.update(id, read, inputs);
    expect(box.changes()).toEqual([
      "controlvm coreos1 setlinkstate1 on",
      `storageattach coreos1 ${drive.join(" ")} --medium emptydrive --forceunmount`,
    ]);
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    expect(fs.existsSync(box.file("installer.iso"))).toBe(true);
  }, 60_000);

  it("with another firmware says before it is switched off what for", async () => {
    const { box, inputs, id, outs } = await installed();
    await box.manage("controlvm", "coreos1", "poweroff");
    await box.manage("modifyvm", "coreos1", "--firmware", "efi", "--ioapic", "off");
    await box.manage("startvm", "coreos1");
    const read = (await guest.read(id, outs))?.outs as GuestOutputs;
    expect(read.withPowerCycle).toEqual({ ...outs.withPowerCycle, firmware: "EFI", ioapic: false });
    expect(guest.diff(read, inputs).changedKeys).toEqual(["withPowerCycle"]);
    expect(logged.at(-1)).toMatch(/this update switches it off, .*; other: firmware, ioapic$/);
  }, 60_000);
});

describe("a guest of the same name", () => {
  it("that is not ours is never touched; the error says how to adopt or rename it", async () => {
    const box = new TestVirtualBox();
    await box.manage("createvm", "--name", "coreos1", "--register");
    const before = await box.info("coreos1");
    box.changes();
    await expect(guest.create(box.guest(system))).rejects.toThrow(
      /there is a guest coreos1 already, and nothing says that this stack made it\. It is left as it is\. To adopt it: `VBoxManage setextradata coreos1 moorage\/stack organization\/moorage\/test` there\. To keep it: `VBoxManage modifyvm coreos1 --name OTHER`/,
    );
    await box.manage("setextradata", "coreos1", "moorage/stack", "organization/moorage/prod");
    await expect(guest.create(box.guest(system))).rejects.toThrow(/of stack organization\/moorage\/prod/);
    await guest.delete("coreos1", { ...box.guest(system), uuid: "" });
    expect(await box.info("coreos1")).toBe(before);
  }, 60_000);

  it("that is adopted gets what it lacks, and is installed where it has no system disk", async () => {
    const box = new TestVirtualBox();
    await box.manage("createvm", "--name", "coreos1", "--register");
    await box.manage("setextradata", "coreos1", "moorage/stack", "organization/moorage/test");
    const { id, outs } = await guest.create(box.guest(system));
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    expect(await box.info("coreos1")).toContain('VMState="running"');
    expect(box.configDrive("coreos1")).toBeDefined();
  }, 60_000);

  it("that is adopted with a disk of its own keeps it, and is not installed", async () => {
    const box = new TestVirtualBox();
    const disk = box.file("own.vdi");
    fs.writeFileSync(disk, "what its owner has");
    await box.manage("createvm", "--name", "coreos1", "--register");
    await box.manage("storagectl", "coreos1", "--name", "SATA", "--add", "sata", "--portcount", "4");
    const slot = ["--storagectl", "SATA", "--port", "0", "--device", "0", "--type", "hdd", "--medium", disk];
    await box.manage("storageattach", "coreos1", ...slot);
    await box.manage("setextradata", "coreos1", "moorage/stack", "organization/moorage/test");
    await expect(guest.create(box.guest(system))).rejects.toThrow(
      /its disk port 0 holds .*own\.vdi, which is not this program's .*, and is left as it is/,
    );
    expect(await box.info("coreos1")).toContain(`"SATA-0-0"="${disk}"`);
    expect(box.configDrive("coreos1")).toBeUndefined();
  }, 60_000);

  it("that is gone is made again, and gets its data disk back", async () => {
    const { box, id, outs, inputs } = await installed();
    const disk = box.file("vms", "moorage", "data", "coreos1-data.vdi");
    fs.appendFileSync(disk, "what was pushed");
    fs.truncateSync(disk, 33 * 1024 ** 2);
    await guest.delete(id, outs);
    expect(await guest.read(id, outs)).toBeUndefined();
    await expect(guest.update(id, outs, inputs)).rejects.toThrow(
      "coreos1: the guest is gone from the hypervisor. Run `pulumi up --refresh`",
    );
    expect(fs.existsSync(box.file("vms", "coreos1"))).toBe(false);
    expect(fs.readFileSync(disk, "latin1")).toContain("what was pushed");
    const again = await guest.create(changed(inputs, { dataDisk: 33 }));
    expect(again.outs.uuid).not.toBe(outs.uuid);
    expect(await box.info("coreos1")).toContain(`"SATA-1-0"="${disk}"`);
    expect(fs.readFileSync(disk, "latin1")).toContain("what was pushed");
    expect(logged).toContain(`coreos1: the data disk ${disk} of an earlier guest is attached`);
  }, 60_000);

  it("takes its data disk with it where the configuration says so", async () => {
    const { box, id, outs } = await installed({ keepDataDisk: false });
    await guest.delete(id, outs);
    expect(fs.existsSync(box.file("vms", "moorage", "data", "coreos1-data.vdi"))).toBe(false);
  }, 60_000);
});

describe("a guest whose change fails half way", () => {
  it("is switched on again, and changed by the next update", async () => {
    const { box, inputs, id, outs } = await installed();
    const news = changed(inputs, { systemDisk: 128 });
    box.fail(
      "modifymedium",
      "VBoxManage: error: Resize medium operation for this format is not implemented yet!",
    );
    await expect(guest.update(id, outs, news)).rejects.toThrow(/growing the disk .* failed/);
    expect(await box.info("coreos1")).toContain('VMState="running"');
    await guest.update(id, outs, news);
    expect((await guest.read(id, outs))?.outs.withPowerCycle.systemDisk).toBe(128);
  }, 60_000);
});

describe("a guest that is locked", () => {
  const words =
    "VBoxManage: error: The machine 'coreos1' is already locked by a session (or being locked or unlocked)";

  it("is tried again until it is free", async () => {
    const { box, inputs, id, outs } = await installed();
    box.fail("modifyvm", words, words);
    await guest.update(id, outs, changed(inputs, { memory: 4096 }));
    expect(await box.info("coreos1")).toContain("memory=4096");
    expect(logged).toContain(
      "warning: hypervisor: setting up the guest coreos1: the guest is locked by another session, waiting",
    );
  }, 60_000);
});

describe("a creation that was cut off", () => {
  it("is recorded, and goes on where it was", async () => {
    const box = new TestVirtualBox();
    const inputs = box.guest(system);
    box.fail("createmedium", "VBoxManage: error: Failed to create medium: no space left on device");
    const failure = await guest.create(inputs).catch((error: unknown) => error);
    expect(failure).toMatchObject({ id: "coreos1", properties: { name: "coreos1", uuid: "" } });
    expect(String(failure)).toMatch(
      /making the disk .*coreos1-system.vdi failed .*exit code 1.*\n.*no space left/,
    );
    const state = (failure as { properties: GuestOutputs }).properties;
    const outs = await guest.update("coreos1", state, inputs);
    expect(outs.uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect(await box.info("coreos1")).toContain('VMState="running"');
    expect(box.changes().filter((line) => line.startsWith("createvm"))).toHaveLength(1);
  }, 60_000);
});
