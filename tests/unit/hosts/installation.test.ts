import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { InstallationInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { installation } from "../../../hosts/src/installation";
import { row } from "../../../hosts/src/swarm/out-of-service";
import { guest } from "../../../hosts/src/virtualbox";
import { FakeDocker } from "./support/fake-docker";
import { Sandbox, canSandbox } from "./support/sandbox";
import { keyPair } from "./support/ssh-server";
import { logged } from "./support/stop";
import { answeringSystem, TestVirtualBox } from "./support/virtualbox";

const blank = { blkid: "#!/bin/sh\nexit 2\n", readlink: "#!/bin/sh\necho /dev/loop0\n" };

/** Pretends that /dev/loop0 is the disk: the scripts only ask whether it is a block device. */
const installer = `#!/bin/sh
printf '%s\\n' "$*" > "$FAKE/installer.args"
cat /run/moorage/install/user-data.* > "$FAKE/installer.data"
stat -c %a /run/moorage/install/user-data.* > "$FAKE/installer.mode"
printf '%s' "$http_proxy" > "$FAKE/installer.proxy"
echo "Downloading"
sleep "\${SLOW:-0}"
if [ -e "$FAKE/broken" ]; then echo "curl: could not fetch" ; exit 22; fi
touch "$FAKE/installed"
echo "Success! CoreOS is installed on $2"
`;

/** Reboots into the installed system: the installer's server goes away, another one comes up on the same port. */
class Machine {
  target: Sandbox | undefined;
  readonly targetKey = keyPair();
  readonly liveKey = keyPair();
  readonly userKey = keyPair();
  live!: Sandbox;
  inputs!: InstallationInputs;

  static async start(changes: Partial<InstallationInputs> = {}): Promise<Machine> {
    const machine = new Machine();
    await machine.bootInstaller();
    const connection = machine.live.server.connection();
    machine.inputs = {
      node: "swarm-1",
      installer: connection,
      target: { ...connection, hostKey: machine.targetKey.public },
      userData: '{"ignition":{"version":"3.3.0"}}',
      installHash: "hash-1",
      disk: "/dev/disk/by-id/system",
      channel: "stable",
      version: "4081.2.0",
      proxy: "http://proxy:3128",
      timeoutSeconds: 40,
      ...changes,
    };
    return machine;
  }

  /** The reboot, once the installer has asked for it. */
  async rebootInto(hash: string, bootId = "installed"): Promise<void> {
    while (!(this.live.read("systemctl.log") ?? "").includes("reboot"))
      await new Promise((done) => setTimeout(done, 100));
    await this.comeUp(hash, bootId);
  }

  async comeUp(hash: string, bootId = "installed"): Promise<void> {
    await this.live.server.stop();
    const cat = `#!/bin/sh\ncase "$*" in */boot_id) echo ${bootId} ;; *) exec /bin/cat "$@" ;; esac\n`;
    const docker = await new FakeDocker().start();
    docker.on("GET", /^\/info$/, () => ({ json: { Name: "x", Swarm: { LocalNodeState: "inactive" } } }));
    this.target = await Sandbox.start(
      { cat },
      {
        userKey: this.userKey,
        hostKey: this.targetKey,
        port: this.inputs.target.port,
        sockets: { [DOCKER_SOCKET]: docker.path },
      },
    );
    this.target.write("etc/moorage/install.json", JSON.stringify({ installHash: hash }));
  }

  /** The live installer is booted, in place of the installed system where there is one. */
  async bootInstaller(): Promise<void> {
    await this.target?.server.stop();
    const cat = `#!/bin/sh\ncase "$*" in */boot_id) echo live ;; *) exec /bin/cat "$@" ;; esac\n`;
    const tools = { ...blank, cat, "flatcar-install": installer };
    const port = this.target && this.inputs.target.port;
    this.live = await Sandbox.start(tools, { userKey: this.userKey, hostKey: this.liveKey, port });
    this.live.tool("systemctl", `#!/bin/sh\necho "$*" >> "$FAKE/systemctl.log"\n`);
  }
}

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
    expect(machine.live.read("installer.proxy")).toBe("http://proxy:3128");
    expect(logged).toContain("swarm-1: Downloading");
    expect(machine.live.server.commands.join("\n")).not.toContain('ignition":');
    expect([machine.live.server.logins, machine.target?.server.logins]).toEqual([1, 1]);
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

  it("gives Fedora CoreOS's installer no cloud-config", async () => {
    const machine = await Machine.start({ format: "cloud-config", userData: "#cloud-config\n" });
    unlinkSync(machine.live.at("bin/flatcar-install"));
    machine.live.tool("coreos-installer", installer);
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /swarm-1: [^]*this live system installs Fedora CoreOS, which has no cloud-config/,
    );
    expect(machine.live.read("installer.args")).toBeUndefined();
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

  it("leaves a disk alone that holds something", async () => {
    const machine = await Machine.start();
    machine.live.tool("blkid", "#!/bin/sh\necho TYPE=ntfs\n");
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /is not empty \(TYPE=ntfs\s*\), and is left as it is/,
    );
    expect(machine.live.read("installer.args")).toBeUndefined();
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
    const machine = await Machine.start({
      guest: {
        hypervisor: box.hypervisor,
        name: "coreos1",
        id: guestOuts.uuid,
        again: { stack, iso, installerUserData, systemDisk: withPowerCycle.systemDisk },
      },
    });
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

  it("is announced by the names of what changed, and what only the next one needs is no change", () => {
    const text = (files: object, password = "") =>
      JSON.stringify({ storage: { files }, passwd: { users: [{ name: "usera", passwordHash: password }] } });
    const state = {
      ...({ node: "coreos1", disk: "/dev/sda", channel: "alpha", installHash: "1" } as InstallationInputs),
      userData: text([{ path: "/etc/hostname", contents: "secret" }, { path: "/etc/moorage/install.json" }]),
      firstBootId: "boot",
    };
    const other = text(
      [
        { path: "/etc/hostname", contents: "other" },
        { path: "/etc/moorage/install.json", contents: "x" },
      ],
      "another",
    );
    const { firstBootId: _, ...inputs } = state;
    expect(installation.diff(state, { ...inputs, userData: other, channel: "beta" }).changes).toBe(false);
    expect(logged).toEqual([]);
    expect(installation.diff(state, { ...inputs, userData: other, installHash: "2" })).toMatchObject({
      changes: true,
      replaces: [],
    });
    expect(logged).toEqual([
      "coreos1: this update reinstalls the node, out of the Swarm meanwhile, and keeps its data disk; other: /etc/hostname",
    ]);
    installation.diff(state, { ...inputs, userData: UNKNOWN, installHash: "2" });
    expect(logged).toHaveLength(1);
  });

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
