import { unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { InstallationInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { installation } from "../../../hosts/src/installation";
import { guest } from "../../../hosts/src/virtualbox";
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
  readonly userKey = keyPair();
  live!: Sandbox;
  inputs!: InstallationInputs;

  static async start(changes: Partial<InstallationInputs> = {}): Promise<Machine> {
    const machine = new Machine();
    const bootId = (id: string) =>
      `#!/bin/sh\ncase "$*" in */boot_id) echo ${id} ;; *) exec /bin/cat "$@" ;; esac\n`;
    machine.live = await Sandbox.start(
      { ...blank, cat: bootId("live"), "flatcar-install": installer },
      { userKey: machine.userKey },
    );
    const connection = machine.live.server.connection();
    machine.live.tool("systemctl", `#!/bin/sh\necho "$*" >> "$FAKE/systemctl.log"\n`);
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
    const options = { userKey: this.userKey, hostKey: this.targetKey, port: this.inputs.target.port };
    this.target = await Sandbox.start({ cat }, options);
    this.target.write("etc/moorage/install.json", JSON.stringify({ installHash: hash }));
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
    await expect(update).rejects.toThrow(/swarm-1: must be reinstalled: .*Boot the live installer there/);
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
