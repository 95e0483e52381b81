import { readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { InstallationInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { installation } from "../../../hosts/src/installation";
import { startScript } from "../../../hosts/src/installation/scripts";
import { row } from "../../../hosts/src/swarm/turn";
import { runScript } from "../../../hosts/src/ssh/exec";
import { guest } from "../../../hosts/src/virtualbox";
import { bootInstallerAgain } from "../../../hosts/src/virtualbox/again";
import { newUpdate } from "../../support/newUpdate";
import { until } from "../../support/waiting";
import { Machine, failing } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";
import { answeringSystem, installedGuest, TestVirtualBox } from "./support/virtualbox";

beforeEach(newUpdate);

describe.skipIf(!canSandbox)("an installation", () => {
  it("runs the installer, reboots, and proves the installed system", async () => {
    const machine = await Machine.start();
    machine.rebootsInto("hash-1");
    const created = await machine.installation.create(machine.inputs);
    expect(created).toEqual({ id: "swarm-1", outs: { ...machine.inputs, firstBootId: "installed" } });
    expect(machine.live.read("installer.args")).toBe(
      "-d /dev/disk/by-id/system -i /run/moorage/install/user-data.ign -C stable -V 4081.2.0\n",
    );
    expect(machine.live.read("installer.data")).toBe(machine.inputs.userData);
    expect(machine.live.read("installer.mode")).toBe("600\n");
    expect(machine.live.read("installer.environment")).toBe("");
    expect(logged).toContain("swarm-1: Downloading");
    expect(machine.live.server.commands.join("\n")).not.toContain('ignition":');
    expect([machine.live.server.logins, machine.target?.server.logins]).toEqual([1, 1]);
  });

  it("starts each distribution's installer with its own arguments", async () => {
    const { live, inputs } = await Machine.start();
    live.write("run/moorage/install/hash", "");
    const argsOf = async (program: string, ...settings: string[]) => {
      for (const each of ["flatcar-install", "coreos-install", "coreos-installer"])
        if (live.read(`bin/${each}`) !== undefined) unlinkSync(live.at(`bin/${each}`));
      live.tool(program, failing);
      live.remove("installer.args");
      await runScript(inputs.installer, startScript, ["/dev/sda", ...settings]);
      return until(
        "the installer",
        () => {
          const args = live.read("installer.args");
          if (!args?.endsWith("\n")) throw new Error("it has not started");
          return args.trimEnd().replaceAll("/run/moorage/install/", "");
        },
        { everyMs: 10 },
      );
    };
    const image = "/image.bz2";
    for (const name of ["flatcar-install", "coreos-install"]) {
      const args = argsOf.bind(undefined, name);
      expect(await args("ignition", "alpha", "4081.2.0", "")).toBe(
        "-d /dev/sda -i user-data.ign -C alpha -V 4081.2.0",
      );
      expect(await args("cloud-config", "stable", "", "")).toBe("-d /dev/sda -c user-data.yml -C stable");
      expect(await args("ignition", "stable", "1", image)).toBe(`-d /dev/sda -i user-data.ign -f ${image}`);
    }
    const fedora = argsOf.bind(undefined, "coreos-installer");
    expect(await fedora("ignition", "next", "", "")).toBe(
      "install --ignition-file user-data.ign --stream next /dev/sda",
    );
    // The image was checked by its checksum.
    expect(await fedora("ignition", "next", "", image)).toBe(
      `install --ignition-file user-data.ign --image-file ${image} --insecure /dev/sda`,
    );
  });

  it("gives the installer a cloud-config, and proxies in both letter cases and in no command line", async () => {
    const proxies = { http: "http://me:it's@proxy:3128", https: "http://proxy:3129", none: ["::1", ".lab"] };
    const userData = '#cloud-config\nhostname: "swarm-1"\n';
    const machine = await Machine.start({ userData, format: "cloud-config", proxies });
    machine.live.tool("flatcar-install", failing);
    await expect(machine.installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(machine.live.read("installer.data")).toBe(userData);
    expect(machine.live.read("installer.mode")).toBe("600\n");
    expect(machine.live.read("installer.environment")?.trimEnd().split("\n").sort()).toEqual(
      [
        "http_proxy=http://me:it's@proxy:3128",
        "HTTP_PROXY=http://me:it's@proxy:3128",
        "https_proxy=http://proxy:3129",
        "HTTPS_PROXY=http://proxy:3129",
        "no_proxy=::1,.lab",
        "NO_PROXY=::1,.lab",
      ].sort(),
    );
    expect(machine.live.server.commands.join("\n")).not.toContain("proxy:3128");
    expect(statSync(machine.live.at("run/moorage/install/environment")).mode & 0o777).toBe(0o600);
  });

  it("adopts an installed system with the wanted hash, also in an update", async () => {
    const machine = await Machine.start();
    await machine.comeUp("hash-1");
    const { outs } = await machine.installation.create(machine.inputs);
    expect(outs.firstBootId).toBe("installed");
    const state = { ...machine.inputs, installHash: "hash-0", firstBootId: "before" };
    const updated = await machine.installation.update("swarm-1", state, machine.inputs);
    expect(updated.firstBootId).toBe("installed");
    expect(machine.live.read("installer.args")).toBeUndefined();
  });

  it("with another hash asks for the live installer and touches nothing", async () => {
    const machine = await Machine.start();
    await machine.comeUp("hash-1");
    const state = { ...machine.inputs, firstBootId: "installed" };
    const update = machine.installation.update("swarm-1", state, {
      ...machine.inputs,
      installHash: "hash-2",
    });
    await expect(update).rejects.toThrow(
      /swarm-1: must be reinstalled, .* nothing was touched\. To do: boot its live installer .* answers as \w+@127\.0\.0\.1:\d+, and run `pulumi up` again/,
    );
    expect(machine.live.read("installer.args")).toBeUndefined();
  });

  it("with another hash is done from the live installer", async () => {
    const machine = await Machine.start();
    const state = { ...machine.inputs, firstBootId: "installed" };
    const inputs = { ...machine.inputs, installHash: "hash-2" };
    machine.rebootsInto("hash-2", "reinstalled");
    const outs = await machine.installation.update("swarm-1", state, inputs);
    expect(outs).toEqual({ ...inputs, firstBootId: "reinstalled" });
  });

  it("that is missing or another one is drift, and a host that is off stays as recorded", async () => {
    const machine = await Machine.start();
    const state = { ...machine.inputs, firstBootId: "installed" };
    const read = () => machine.installation.read("swarm-1", state);
    // In the live installer with an empty disk, as an interrupted update has left it.
    expect((await read())?.outs.installHash).toBe("");
    machine.live.tool("blkid", "#!/bin/sh\necho TYPE=ext4\n");
    expect((await read())?.outs).toEqual(state);
    await machine.comeUp("hash-0");
    expect((await read())?.outs.installHash).toBe("hash-0");
    await machine.turnOff();
    expect(await read()).toEqual({ id: "swarm-1", outs: state });
  });
});

describe.skipIf(!canSandbox)("an installation of a guest", () => {
  it("removes the config drive before the reboot, and the installer's image after it", async () => {
    const box = new TestVirtualBox();
    const { outs } = await guest.create(box.guest((await answeringSystem()).connection()));
    const own = { hypervisor: box.hypervisor, name: outs.name, id: outs.uuid };
    const machine = await Machine.start({ guest: own });
    const drives = async () =>
      [...(await box.info("coreos1")).matchAll(/"SATA-([23])-0"="(.*)"/g)].map((found) => found[2]);
    machine.onReboot = async () => {
      expect(await drives()).toEqual([outs.iso, "emptydrive"]);
      expect(box.configDrive("coreos1")).toBeUndefined();
      await machine.comeUp("hash-1");
    };
    await machine.installation.create(machine.inputs);
    expect(await drives()).toEqual(["emptydrive", "emptydrive"]);
  });

  it("that is reinstalled boots the installer with an empty system disk and the same data disk", async () => {
    const system = (await answeringSystem()).connection();
    const { box, inputs, outs } = await installedGuest(system);
    const { stack, iso, installerUserData, withPowerCycle } = inputs;
    const disk = box.file("vms", "coreos1", "coreos1-system.vdi");
    writeFileSync(disk, "the old system");
    const dataDisk = () =>
      box.manage("showmediuminfo", "disk", box.file("vms/moorage/data/coreos1-data.vdi"));
    const data = await dataDisk();
    const again = { stack, iso, installerUserData, systemDisk: withPowerCycle.systemDisk };
    const own = { hypervisor: box.hypervisor, name: "coreos1", id: outs.uuid, again };
    await bootInstallerAgain(own, system, system);
    expect(readFileSync(disk, "utf8")).not.toContain("old");
    expect(await box.info("coreos1")).toMatch(
      /"SATA-2-0"=".*installer\.iso"\n[^]*"SATA-3-0"=".*coreos1\.iso"/,
    );
    expect(box.configDrive("coreos1")).toBe(installerUserData);
    expect(await dataDisk()).toBe(data);
    expect(box.changes().filter((call) => call.includes("data.vdi"))).toEqual([]);
  });

  it("does not begin while the installer's or the system's image is missing", async () => {
    const { box, inputs, outs } = await installedGuest((await answeringSystem()).connection());
    const { name, stack, installerUserData } = inputs;
    const again = { stack, installerUserData, systemDisk: 64, iso: box.file("gone.iso") };
    const machine = await Machine.start({
      guest: { hypervisor: box.hypervisor, name, id: outs.uuid, again },
    });
    await machine.comeUp("hash-1");
    const update = (changes: Partial<InstallationInputs>) =>
      machine.installation.update(
        name,
        { ...machine.inputs, firstBootId: "installed" },
        { ...machine.inputs, installHash: "hash-2", ...changes },
      );
    await expect(update({})).rejects.toThrow(/gone\.iso is gone/);
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    await expect(update({ image, guest: undefined })).rejects.toThrow(/\/none\/there\.bin cannot be read/);
    expect(box.changes()).toEqual([]);
    expect(row.stoppedBy).toBeUndefined();
  });
});

describe("a preview of an installation", () => {
  it("replaces it for another disk or guest, not for another way to its hypervisor", () => {
    const of = (id: string, host = "one") => ({
      ...({ node: "coreos1", disk: "/dev/sda", installHash: "hash" } as InstallationInputs),
      guest: { hypervisor: { vboxManage: host }, name: "coreos1", id },
    });
    const state = { ...of("uuid-1"), firstBootId: "boot" };
    expect(installation.diff(state, of("uuid-2")).replaces).toEqual(["guest"]);
    expect(installation.diff(state, of("uuid-1", "other"))).toMatchObject({ changes: true, replaces: [] });
    // The id of a guest that will be created is unknown.
    expect(installation.diff(state, of(UNKNOWN)).replaces).toEqual(["guest"]);
    expect(installation.diff(state, of("uuid-1")).changes).toBe(false);
    expect(installation.diff(state, { ...of("uuid-1"), disk: "/dev/sdb" }).replaces).toEqual(["disk"]);
  });

  it("names what changed, and ignores what only the next installation needs", () => {
    const text = (contents: string, passwordHash = "") =>
      JSON.stringify({
        storage: { files: [{ path: "/etc/hostname", contents }, { path: "/etc/moorage/install.json" }] },
        passwd: { users: [{ name: "usera", passwordHash }] },
      });
    const inputs = {
      ...({ node: "coreos1", disk: "/dev/sda", channel: "alpha", installHash: "1" } as InstallationInputs),
      userData: text("secret"),
    };
    const state = { ...inputs, firstBootId: "boot" };
    const userData = text("other", "another");
    expect(installation.diff(state, { ...inputs, userData, channel: "beta" }).changes).toBe(false);
    expect(logged).toEqual([]);
    const changed = { ...inputs, userData, installHash: "2" };
    expect(installation.diff(state, changed)).toMatchObject({ changes: true, replaces: [] });
    const guest = { hypervisor: {}, name: "coreos1", id: "1" };
    installation.diff({ ...state, guest }, { ...changed, guest });
    expect(logged).toEqual([
      "coreos1: this update reinstalls the node if its live installer answers; otherwise it stops before it touches the node, and asks for that. Its data disk is kept; other: /etc/hostname",
      "coreos1: this update reinstalls the node, out of the Swarm meanwhile, and keeps its data disk; other: /etc/hostname",
    ]);
    installation.diff(state, { ...inputs, userData: UNKNOWN, installHash: "2" });
    expect(logged).toHaveLength(2);
  });
});
