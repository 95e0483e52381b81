import { readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { InstallationInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { installation } from "../../../hosts/src/installation";
import { row } from "../../../hosts/src/swarm/turn";
import { guest, natNetwork } from "../../../hosts/src/virtualbox";
import { Machine, failing, installer } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";
import { answeringSystem, TestVirtualBox } from "./support/virtualbox";

describe.skipIf(!canSandbox)("an installation", () => {
  it("runs the installer, reboots, and proves the installed system", async () => {
    const machine = await Machine.start();
    const [created] = await Promise.all([installation.create(machine.inputs), machine.rebootInto("hash-1")]);
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
  }, 40_000);

  it("gives the installer a proxy for each scheme, in both letter cases, and in no command line", async () => {
    const proxies = { http: "http://me:it's@proxy:3128", https: "http://proxy:3129", none: ["::1", ".lab"] };
    const machine = await Machine.start({ proxies });
    machine.live.tool("flatcar-install", failing);
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
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
  }, 40_000);

  it("hands a cloud-config to the installer as what it is", async () => {
    const userData = '#cloud-config\nhostname: "swarm-1"\n';
    const machine = await Machine.start({ userData, format: "cloud-config", version: undefined });
    await Promise.all([installation.create(machine.inputs), machine.rebootInto("hash-1")]);
    expect(machine.live.read("installer.args")).toBe(
      "-d /dev/disk/by-id/system -c /run/moorage/install/user-data.yml -C stable\n",
    );
    expect(machine.live.read("installer.data")).toBe(userData);
    expect(machine.live.read("installer.mode")).toBe("600\n");
  }, 40_000);

  it("runs coreos-installer where that is the live system's", async () => {
    const machine = await Machine.start({ channel: "next", version: undefined });
    unlinkSync(machine.live.at("bin/flatcar-install"));
    machine.live.tool(
      "coreos-installer",
      installer.replace("Success! CoreOS is installed on $2", "Install complete."),
    );
    await Promise.all([installation.create(machine.inputs), machine.rebootInto("hash-1")]);
    expect(machine.live.read("installer.args")).toBe(
      "install --ignition-file /run/moorage/install/user-data.ign --stream next /dev/disk/by-id/system\n",
    );
  }, 40_000);

  it("of a guest takes the config drive out before the reboot, and ejects the installer afterwards", async () => {
    const box = new TestVirtualBox();
    const { outs } = await guest.create(box.guest((await answeringSystem()).connection()));
    const machine = await Machine.start({
      guest: { hypervisor: box.hypervisor, name: outs.name, id: outs.uuid },
    });
    const created = installation.create(machine.inputs);
    while (!(machine.live.read("systemctl.log") ?? "").includes("reboot"))
      await new Promise((done) => setTimeout(done, 100));
    const drives = /"SATA-([23])-0"="(.*)"/g;
    const rebooting = [...(await box.info("coreos1")).matchAll(drives)].map((found) => found[2]);
    expect(rebooting).toEqual([outs.iso, "emptydrive"]);
    expect(box.configDrive("coreos1")).toBeUndefined();
    await machine.comeUp("hash-1");
    await created;
    const afterwards = [...(await box.info("coreos1")).matchAll(drives)].map((found) => found[2]);
    expect(afterwards).toEqual(["emptydrive", "emptydrive"]);
  }, 60_000);

  it("of a guest that was made anew is another installation, of one that is only changed it is not", () => {
    const of = (id: string, host = "one") => ({
      ...({ node: "coreos1", disk: "/dev/sda", installHash: "hash" } as InstallationInputs),
      guest: { hypervisor: { vboxManage: host }, name: "coreos1", id },
    });
    const state = { ...of("uuid-1"), firstBootId: "boot" };
    expect(installation.diff(state, of("uuid-2")).replaces).toEqual(["guest"]);
    expect(installation.diff(state, of("uuid-1", "other"))).toMatchObject({ changes: true, replaces: [] });
    // In a preview the id of one that will be made anew is not known.
    expect(installation.diff(state, of(UNKNOWN)).replaces).toEqual(["guest"]);
    expect(installation.diff(state, of("uuid-1")).changes).toBe(false);
  });

  it("adopts an installed system with the wanted hash", async () => {
    const machine = await Machine.start();
    await machine.comeUp("hash-1");
    const { outs } = await installation.create(machine.inputs);
    expect(outs.firstBootId).toBe("installed");
    expect(machine.live.read("installer.args")).toBeUndefined();
  }, 40_000);

  it("waits for the installation that an interrupted run left going", async () => {
    const machine = await Machine.start();
    machine.live.tool("flatcar-install", installer.replace("SLOW:-0", "SLOW:-4"));
    // Cut off while the installer runs: the connection goes, the installer stays.
    const first = installation
      .create({ ...machine.inputs, timeoutSeconds: 5 })
      .catch((error: Error) => error);
    while (machine.live.read("installer.data") === undefined)
      await new Promise((done) => setTimeout(done, 50));
    machine.live.server.cut();
    await first;
    machine.live.tool("flatcar-install", "#!/bin/sh\necho started twice; exit 1\n");
    await Promise.all([installation.create(machine.inputs), machine.rebootInto("hash-1")]);
  }, 60_000);

  it("tells the installer's last lines when it fails", async () => {
    const machine = await Machine.start();
    writeFileSync(machine.live.at("broken"), "");
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /swarm-1: the installation to .* failed \(exit code 22\); its last lines:\nDownloading\ncurl: could not fetch/,
    );
  }, 40_000);

  it("says that a node must be reinstalled when its hash changed and no installer is there", async () => {
    const machine = await Machine.start();
    await machine.comeUp("hash-1");
    const state = { ...machine.inputs, firstBootId: "installed" };
    const update = installation.update("swarm-1", state, { ...machine.inputs, installHash: "hash-2" });
    await expect(update).rejects.toThrow(
      /swarm-1: must be reinstalled, .* nothing was touched\. To do: boot its live installer .* answers as \w+@127\.0\.0\.1:\d+, and run `pulumi up` again/,
    );
    expect(machine.live.read("installer.args")).toBeUndefined();
  }, 40_000);

  it("is done again once the live installer was booted there, and is a new one then", async () => {
    row.stoppedBy = undefined;
    const machine = await Machine.start();
    const state = { ...machine.inputs, firstBootId: "installed" };
    const inputs = { ...machine.inputs, installHash: "hash-2" };
    const [outs] = await Promise.all([
      installation.update("swarm-1", state, inputs),
      machine.rebootInto("hash-2", "anew"),
    ]);
    expect(outs).toEqual({ ...inputs, firstBootId: "anew" });
  }, 40_000);

  it("that is wanted and there already, as an interrupted update left it, is another one to what lies on it", async () => {
    const machine = await Machine.start();
    await machine.comeUp("hash-2", "anew");
    const state = { ...machine.inputs, firstBootId: "installed" };
    const outs = await installation.update("swarm-1", state, { ...machine.inputs, installHash: "hash-2" });
    expect(outs.firstBootId).toBe("anew");
  }, 40_000);

  it("of a guest boots the live installer by itself, on an empty system disk, and keeps the data disk", async () => {
    row.stoppedBy = undefined;
    const box = new TestVirtualBox();
    const wanted = box.guest((await answeringSystem()).connection());
    const { outs: guestOuts } = await guest.create(wanted);
    const { stack, iso, installerUserData, withPowerCycle } = wanted;
    const to = { listen: "127.0.0.1", port: 2011, address: "10.0.2.21", targetPort: 22 };
    const forward = { network: "moorage", name: "ssh-coreos1", to };
    const machine = await Machine.start({
      guest: {
        hypervisor: box.hypervisor,
        name: "coreos1",
        id: guestOuts.uuid,
        again: { stack, iso, installerUserData, forward, systemDisk: withPowerCycle.systemDisk },
      },
    });
    await natNetwork.create(box.network());
    await box.manage("setextradata", "coreos1", "moorage/phase", "installed");
    await machine.comeUp("hash-1");
    const disk = box.file("vms", "coreos1", "coreos1-system.vdi");
    writeFileSync(disk, "the old system");
    const data = await box.manage("showmediuminfo", "disk", box.file("vms/moorage/data/coreos1-data.vdi"));
    box.changes();
    const inputs = { ...machine.inputs, installHash: "hash-2" };
    const update = installation.update("coreos1", { ...machine.inputs, firstBootId: "installed" }, inputs);
    const calls: string[] = [];
    while (!calls.some((call) => call.startsWith("startvm"))) {
      calls.push(...box.changes());
      await new Promise((done) => setTimeout(done, 50));
    }
    expect(readFileSync(disk, "utf8")).not.toContain("old");
    // It comes up at another address, and its forward leads there by then.
    expect(calls.find((call) => /port-forward-4 ssh|startvm/.test(call))).toContain("[10.0.2.21]:22");
    expect(await box.info("coreos1")).toMatch(
      /"SATA-2-0"=".*installer\.iso"\n[^]*"SATA-3-0"=".*coreos1\.iso"/,
    );
    expect(box.configDrive("coreos1")).toBe(installerUserData);
    await machine.bootInstaller();
    await machine.rebootInto("hash-2", "anew");
    expect((await update).firstBootId).toBe("anew");
    expect(await box.info("coreos1")).toMatch(/"SATA-2-0"="emptydrive"\n[^]*"SATA-3-0"="emptydrive"/);
    expect(box.configDrive("coreos1")).toBeUndefined();
    expect(await box.manage("showmediuminfo", "disk", box.file("vms/moorage/data/coreos1-data.vdi"))).toBe(
      data,
    );
    expect(calls.filter((call) => call.includes("data.vdi"))).toEqual([]);
  }, 60_000);

  it("is not begun where the installer's image or the system's is not there: the guest serves on", async () => {
    row.stoppedBy = undefined;
    const box = new TestVirtualBox();
    const { name, ...wanted } = box.guest((await answeringSystem()).connection());
    const { outs } = await guest.create({ name, ...wanted });
    const { stack, installerUserData } = wanted;
    const again = { stack, installerUserData, systemDisk: 64, iso: box.file("gone.iso") };
    const own = { hypervisor: box.hypervisor, name, id: outs.uuid, again };
    const machine = await Machine.start({ guest: own });
    await machine.comeUp("hash-1");
    box.changes();
    const update = (changes: Partial<InstallationInputs>) =>
      installation.update(
        name,
        { ...machine.inputs, firstBootId: "installed" },
        { ...machine.inputs, installHash: "hash-2", ...changes },
      );
    await expect(update({})).rejects.toThrow(/gone\.iso is gone/);
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    await expect(update({ image, guest: undefined })).rejects.toThrow(/\/none\/there\.bin cannot be read/);
    expect(box.changes()).toEqual([]);
    expect(row.stoppedBy).toBeUndefined();
  }, 40_000);

  it("is announced by the names of what changed, and what only the next one needs is no change", () => {
    const text = (files: object, password = "") =>
      JSON.stringify({ storage: { files }, passwd: { users: [{ name: "usera", passwordHash: password }] } });
    const inputs = {
      ...({ node: "coreos1", disk: "/dev/sda", channel: "alpha", installHash: "1" } as InstallationInputs),
      userData: text([{ path: "/etc/hostname", contents: "secret" }, { path: "/etc/moorage/install.json" }]),
    };
    const state = { ...inputs, firstBootId: "boot" };
    const other = text(
      [
        { path: "/etc/hostname", contents: "other" },
        { path: "/etc/moorage/install.json", contents: "x" },
      ],
      "another",
    );
    expect(installation.diff(state, { ...inputs, userData: other, channel: "beta" }).changes).toBe(false);
    expect(logged).toEqual([]);
    const changed = { ...inputs, userData: other, installHash: "2" };
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

  it("of a machine that an update has left empty in its live installer is gone, which a refresh shows", async () => {
    const machine = await Machine.start();
    const state = { ...machine.inputs, firstBootId: "installed" };
    expect((await installation.read("swarm-1", state))?.outs.installHash).toBe("");
    // Booted into it by its owner, with its system where it was, it is what is recorded.
    machine.live.tool("blkid", "#!/bin/sh\necho TYPE=ext4\n");
    expect((await installation.read("swarm-1", state))?.outs).toEqual(state);
  }, 40_000);

  it("shows another installation as drift, and a host that is off as recorded", async () => {
    const machine = await Machine.start();
    await machine.comeUp("hash-0");
    const state = { ...machine.inputs, firstBootId: "installed" };
    const found = await installation.read("swarm-1", state);
    expect(found?.outs.installHash).toBe("hash-0");
    await machine.target?.server.stop();
    expect(await installation.read("swarm-1", state)).toEqual({ id: "swarm-1", outs: state });
  }, 40_000);
});
