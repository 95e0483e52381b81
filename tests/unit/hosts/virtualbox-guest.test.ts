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

const running = 'VMState="running"';

describe("a guest", () => {
  it.each(["7.0.20r163906", "7.2.4r170995"])("of %s is made with all its parts", async (version) => {
    const box = new TestVirtualBox(version);
    const { id, outs } = await guest.create(box.guest(system));
    const vms = box.file("vms");
    const attach = "storageattach coreos1 --storagectl SATA --port";
    expect(box.changes()).toEqual([
      `createvm --name coreos1 --ostype Linux26_64 --basefolder ${vms} --register`,
      "setextradata coreos1 moorage/phase installing",
      "setextradata coreos1 moorage/stack organization/moorage/test",
      "modifyvm coreos1 --memory 2048 --cpus 2 --ioapic on --rtcuseutc on --firmware bios --nic1 natnetwork " +
        "--nat-network1 moorage --nictype1 virtio --cableconnected1 on --usbohci off --usbehci off --usbxhci off " +
        "--audio-enabled off --boot1 disk --boot2 dvd --boot3 none --boot4 none",
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
    expect(await box.info("coreos1")).toContain(running);
    expect(await box.info("coreos1")).toContain(`UUID="${outs.uuid}"`);
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
  });

  it("boots no other installer's image than the one that was checked", async () => {
    const box = new TestVirtualBox();
    const inputs = box.guest(system);
    const right = fs.readFileSync(inputs.iso);
    const isoSha256 = createHash("sha256").update(right).digest("hex");
    fs.appendFileSync(inputs.iso, "!");
    await expect(guest.create({ ...inputs, isoSha256 })).rejects.toThrow(
      /installer\.iso is another one: its sha256 is .*, and was/,
    );
    expect(box.changes().filter((call) => /startvm|dvddrive/.test(call))).toEqual([]);
    expect(box.configDrive("coreos1")).toBeUndefined();
    fs.writeFileSync(inputs.iso, right);
    const state = { ...inputs, isoSha256, uuid: "" };
    expect((await guest.update("", state, { ...inputs, isoSha256 })).uuid).not.toBe("");
    expect(await box.info("coreos1")).toContain(running);
    // An older stack has not recorded it.
    expect(guest.diff({ ...inputs, uuid: "" }, { ...inputs, isoSha256 }).changes).toBe(false);
  });

  it("whose creation was cut off is recorded, and finished by an update", async () => {
    const box = new TestVirtualBox();
    const inputs = box.guest(system);
    box.fail("createmedium", "VBoxManage: error: Failed to create medium: no space left on device");
    const failure = await guest.create(inputs).catch((error: unknown) => error);
    expect(failure).toMatchObject({ id: "coreos1", properties: { name: "coreos1", uuid: "" } });
    expect(String(failure)).toMatch(
      /making the disk .*coreos1-system.vdi failed .*exit code 1.*\n.*no space/,
    );
    const state = (failure as { properties: GuestOutputs }).properties;
    expect((await guest.update("coreos1", state, inputs)).uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect(await box.info("coreos1")).toContain(running);
    expect(box.changes().filter((line) => line.startsWith("createvm"))).toHaveLength(1);
  });
});

describe("a guest's config drive", () => {
  it("holds the user data, is its owner's alone, and is removed before the reboot", async () => {
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
    // An interrupted run does both again.
    box.changes();
    await beforeReboot({ ...outs, id });
    await afterInstallation({ ...outs, id });
    expect(box.changes().filter((line) => !/^(closemedium|setextradata)/.test(line))).toEqual([]);
  });
});

describe("a guest's settings", () => {
  it("need enough memory", async () => {
    const box = new TestVirtualBox();
    await expect(guest.create(changed(box.guest(system), { memory: 1024 }))).rejects.toThrow(
      "coreos1: 1024 MB of memory are too little: 2048 MB or more are needed",
    );
    expect(box.changes()).toEqual([]);
  });

  it("change with a power cycle, which the key of the change announces", async () => {
    const { box, inputs, id, outs } = await installed();
    const news = changed(inputs, { memory: 4096, cpus: 4, mac: "080027000011" });
    expect(guest.diff(outs, news)).toMatchObject({ changedKeys: ["withPowerCycle"], replaces: [] });
    expect((await guest.update(id, outs, news)).uuid).toBe(outs.uuid);
    expect(box.changes().filter((line) => /^(controlvm|startvm|createmedium)/.test(line))).toEqual([
      "controlvm coreos1 acpipowerbutton",
      "startvm coreos1 --type headless",
    ]);
    const info = await box.info("coreos1");
    expect(info).toMatch(/^memory=4096$[^]*^cpus=4$/m);
    expect(info).toContain('macaddress1="080027000011"');
    expect(info).toContain(running);
    expect(logged).toContain("coreos1: switching off for changed settings");
    await box.manage("controlvm", "coreos1", "poweroff");
    box.changes();
    // Neither is a config drive made again, nor the guest switched on.
    await guest.update(id, outs, { ...inputs, installerUserData: "#cloud-config\n", iso: "/other.iso" });
    expect(box.changes().map((line) => line.split(" ")[0])).toEqual(["modifyvm"]);
    expect(box.configDrive("coreos1")).toBeUndefined();
    expect(await box.info("coreos1")).toContain('VMState="poweroff"');
  });

  it("change without one if a running guest takes them: network, cable, drives", async () => {
    const { box, inputs, id, outs } = await installed();
    const news = { ...inputs, network: "other" };
    expect(guest.diff(outs, news)).toMatchObject({ changedKeys: ["network"], replaces: [] });
    await guest.update(id, outs, news);
    expect(box.changes()).toEqual(["controlvm coreos1 nic1 natnetwork other"]);
    await guest.update(id, outs, inputs);
    const drive = ["--storagectl", "SATA", "--port", "3", "--device", "0", "--type", "dvddrive"];
    await box.manage("storageattach", "coreos1", ...drive, "--medium", box.file("installer.iso"));
    await box.manage("controlvm", "coreos1", "setlinkstate1", "off");
    box.changes();
    const read = (await guest.read(id, outs))?.outs as GuestOutputs;
    expect(read).toEqual({ ...outs, cableConnected: false, inserted: [box.file("installer.iso")] });
    expect(guest.diff(read, inputs).changedKeys).toEqual(["cableConnected", "inserted"]);
    await guest.update(id, read, inputs);
    expect(box.changes()).toEqual([
      "controlvm coreos1 setlinkstate1 on",
      `storageattach coreos1 ${drive.join(" ")} --medium emptydrive --forceunmount`,
    ]);
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
  });

  it("grow disks, and never shrink them", async () => {
    const { box, inputs, id, outs } = await installed();
    const larger = changed(inputs, { systemDisk: 128 });
    // A change that fails half way leaves the guest on, and is made by the next update.
    box.fail(
      "modifymedium",
      "VBoxManage: error: Resize medium operation for this format is not implemented yet!",
    );
    await expect(guest.update(id, outs, larger)).rejects.toThrow(/growing the disk .* failed/);
    expect(await box.info("coreos1")).toContain(running);
    box.changes();
    await guest.update(id, outs, larger);
    expect(box.changes()).toContain(
      `modifymedium disk ${box.file("vms/coreos1/coreos1-system.vdi")} --resize 128`,
    );
    await expect(guest.update(id, outs, changed(larger, { dataDisk: 16 }))).rejects.toThrow(
      "coreos1: its data disk has 32 MB, and VirtualBox makes no disk smaller. Set its size in the configuration to 32 or more",
    );
    expect(box.changes()).toEqual([]);
    expect(await box.info("coreos1")).toContain(running);
  });

  const modified = (...args: string[]) => ["modifyvm", "coreos1", ...args];
  const emptied = (port: string, type: string) =>
    `storageattach coreos1 --storagectl SATA --port ${port} --device 0 --type ${type} --medium none`.split(
      " ",
    );
  it("are read back: drift of each is found and repaired", async () => {
    const { box, id, ...made } = await installed();
    // A MAC address that is left to VirtualBox is not read.
    const inputs = changed(made.inputs, { mac: "080027000011" });
    const outs = await guest.update(id, made.outs, inputs);
    await box.manage("controlvm", "coreos1", "poweroff");
    const drifts: [string[], string?][] = [
      [modified("--memory", "1024")],
      [modified("--cpus", "1")],
      [modified("--nictype1", "82540EM")],
      [modified("--macaddress1", "080027000012")],
      [modified("--usbxhci", "on")],
      [modified("--audio-enabled", "on")],
      [modified("--boot1", "dvd", "--boot2", "disk")],
      [modified("--ioapic", "off")],
      [modified("--rtcuseutc", "off")],
      [modified("--firmware", "efi")],
      [modified("--ostype", "Other")],
      [modified("--nat-network1", "other"), "network"],
      [modified("--nic1", "bridged"), "network"],
      [modified("--cableconnected1", "off"), "cableConnected"],
      [emptied("0", "hdd")],
      [emptied("1", "hdd")],
      [emptied("2", "dvddrive")],
    ];
    for (const [args, key = "withPowerCycle"] of drifts) {
      await box.manage(...args);
      const read = (await guest.read(id, outs))?.outs ?? outs;
      expect(guest.diff(read, inputs).changedKeys, args.join(" ")).toEqual([key]);
      await guest.update(id, read, inputs);
      expect((await guest.read(id, outs))?.outs, args.join(" ")).toEqual(outs);
    }
  });

  it("are refused for a foreign disk controller and for a saved state, with nothing changed", async () => {
    const { box, inputs, id, outs } = await installed();
    await box.manage("controlvm", "coreos1", "savestate");
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    await expect(guest.update(id, outs, changed(inputs, { memory: 4096 }))).rejects.toThrow(
      "coreos1: the guest's state was saved, so VirtualBox changes none of its settings. Start it, or run `VBoxManage discardstate coreos1` there",
    );
    await box.manage("discardstate", "coreos1");
    const controller = ["storagectl", "coreos1", "--name", "SATA"];
    await box.manage(...controller, "--remove");
    await box.manage(...controller, "--add", "ide", "--controller", "PIIX4", "--portcount", "2");
    await expect(guest.update(id, outs, inputs)).rejects.toThrow(
      /coreos1: its disk controller SATA is a PIIX4, and no IntelAhci, .* `VBoxManage storagectl coreos1 --name SATA --remove` .* run `pulumi up`/,
    );
    expect(box.changes()).toEqual([]);
  });
});

describe("a guest of the same name", () => {
  it("that is not ours is never touched; the error says how to adopt or rename it", async () => {
    const box = new TestVirtualBox();
    await box.manage("createvm", "--name", "coreos1", "--register");
    const before = await box.info("coreos1");
    await expect(guest.create(box.guest(system))).rejects.toThrow(
      /there is a guest coreos1 already, and nothing says that this stack made it\. It is left as it is\. To adopt it: `VBoxManage setextradata coreos1 moorage\/stack organization\/moorage\/test` there\. To keep it: `VBoxManage modifyvm coreos1 --name OTHER`/,
    );
    await box.manage("setextradata", "coreos1", "moorage/stack", "organization/moorage/prod");
    await expect(guest.create(box.guest(system))).rejects.toThrow(/of stack organization\/moorage\/prod/);
    await guest.delete("coreos1", { ...box.guest(system), uuid: "" });
    expect(await box.info("coreos1")).toBe(before);
  });

  it("that is adopted gets what it lacks, and is installed if it has no system disk", async () => {
    const box = new TestVirtualBox();
    await box.manage("createvm", "--name", "coreos1", "--register");
    await box.manage("setextradata", "coreos1", "moorage/stack", "organization/moorage/test");
    const { id, outs } = await guest.create(box.guest(system));
    expect((await guest.read(id, outs))?.outs).toEqual(outs);
    expect(await box.info("coreos1")).toContain(running);
    expect(box.configDrive("coreos1")).toBeDefined();
  });

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
  });

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
  });

  it("loses its data disk only if the configuration says so, also from a saved state", async () => {
    const { box, id, outs } = await installed({ keepDataDisk: false });
    await box.manage("controlvm", "coreos1", "savestate");
    await guest.delete(id, outs);
    expect(await guest.read(id, outs)).toBeUndefined();
    expect(fs.existsSync(box.file("vms", "moorage", "data", "coreos1-data.vdi"))).toBe(false);
  });
});
