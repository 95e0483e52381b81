/** What an installation says when it fails: which node, what is wrong, and what to do. */
import { unlinkSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import type { InstallationInputs } from "../../../hosts/src/contract";
import { installation } from "../../../hosts/src/installation";
import { Machine, failing, installer } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

const rebooting = (machine: Machine) =>
  vi.waitFor(() => expect(machine.live.read("systemctl.log")).toContain("reboot"), 10_000);

/** The live system of another distribution. */
async function startWith(name: string, text: string, changes: Partial<InstallationInputs> = {}) {
  const machine = await Machine.start(changes);
  unlinkSync(machine.live.at("bin/flatcar-install"));
  machine.live.tool(name, text);
  return machine;
}

describe.skipIf(!canSandbox)("an installation that fails", () => {
  it("says so where no installed system is reached, and adopts it once it answers", async () => {
    const machine = await Machine.start({ timeoutSeconds: 9 });
    const failed = expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the installed system was not reached in 9 s: no SSH connection to core@127\.0\.0\.1:\d+ after 1 attempt: .*ECONNREFUSED.*\nSee on its console what it hangs in \(Ignition stops the boot at a config that it refuses, .*run again once it answers\.$/,
    );
    await rebooting(machine);
    await machine.live.server.stop();
    await failed;
    await machine.comeUp("hash-1", "late");
    expect((await installation.create(machine.inputs)).outs.firstBootId).toBe("late");
  }, 40_000);

  it("says where a cloud-config's faults are told, if the system comes up without its host key", async () => {
    const machine = await Machine.start({ timeoutSeconds: 9, format: "cloud-config" });
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the installed system was not reached in 9 s: 127\.0\.0\.1:\d+ shows another host key than the pinned one[^]*\nSee on its console .*`journalctl -t coreos-cloudinit` says why.*run again once it answers\.$/,
    );
    expect(machine.live.read("systemctl.log")).toContain("reboot");
  }, 40_000);

  it.each(["hash-0", ""])(
    "says that another system came up, of hash %j",
    async (hash) => {
      const machine = await Machine.start();
      const failed = expect(installation.create(machine.inputs)).rejects.toThrow(
        /^swarm-1: another system than the one just installed came up \(no or another hash in \/etc\/moorage\/install\.json\)\. Let the node boot from \/dev\/disk\/by-id\/system first, reboot it, and run again: what is installed there is adopted\.$/,
      );
      await machine.rebootInto(hash, "other");
      await failed;
    },
    40_000,
  );

  it("says that the live installer came up again", async () => {
    const machine = await Machine.start();
    const failed = expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the live installer came up again instead of the installed system\. Let the node boot from \/dev\/disk\/by-id\/system first, reboot it, and run again: what is installed there is adopted\.$/,
    );
    await rebooting(machine);
    machine.live.tool("cat", (machine.live.read("bin/cat") ?? "").replace("echo live", "echo again"));
    await failed;
  }, 40_000);

  it("says that the installer has not ended, and that the next run waits for it", async () => {
    const machine = await Machine.start({ timeoutSeconds: 4 });
    machine.live.tool("flatcar-install", installer.replace("SLOW:-0", "SLOW:-12"));
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      "swarm-1: the installation to /dev/disk/by-id/system did not end in 4 s; its last lines:\nDownloading\n" +
        "It goes on there, and is waited for when you run again. If it hangs, end it before that: " +
        "`sudo sh -c 'kill -- -$(cat /run/moorage/install/pid)'` there; it is begun anew then.",
    );
    machine.live.tool("flatcar-install", failing);
    const inputs = { ...machine.inputs, timeoutSeconds: 40 };
    await Promise.all([installation.create(inputs), machine.rebootInto("hash-1")]);
    expect(logged).toContain("swarm-1: an installation is in progress, waiting for it");
  }, 60_000);

  it("begins anew where the one that hung was ended as it was told", async () => {
    const machine = await Machine.start({ timeoutSeconds: 1 });
    machine.live.tool("flatcar-install", installer.replace("SLOW:-0", "SLOW:-600"));
    await expect(installation.create(machine.inputs)).rejects.toThrow("did not end in 1 s");
    machine.live.kill(machine.live.read("run/moorage/install/pid")?.trim() ?? "");
    machine.live.tool("flatcar-install", installer);
    const inputs = { ...machine.inputs, timeoutSeconds: 40 };
    await Promise.all([installation.create(inputs), machine.rebootInto("hash-1")]);
    expect(logged).not.toContain("swarm-1: an installation is in progress, waiting for it");
  }, 60_000);

  it("says what to do where the installer fails without a word", async () => {
    const machine = await Machine.start();
    machine.live.tool("flatcar-install", "#!/bin/sh\nexit 3\n");
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      "swarm-1: the installation to /dev/disk/by-id/system failed (exit code 3); it said nothing\n" +
        "See `journalctl` there, and run again: it is begun anew.",
    );
  }, 40_000);
});

describe.skipIf(!canSandbox)("an installation's user data", () => {
  /** As flatcar-install and coreos-install end before they touch the disk. */
  const invalid = `#!/bin/sh
echo "2026/11/26 14:00:00 line 3: warning: unrecognized key \\"hostnam\\""
echo "$0: Cloud config file (/run/moorage/install/user-data.yml) is not valid." >&2
exit 1
`;
  const correct = "Correct nodes.swarm-1, network or os in the configuration, and run again.";

  it("that is no valid cloud-config is told with what is wrong in it, and with where to correct it", async () => {
    const userData = "#cloud-config\n\nhostnam: x\n";
    const machine = await Machine.start({ format: "cloud-config", userData });
    machine.live.tool("flatcar-install", invalid);
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the installation to \/dev\/disk\/by-id\/system failed \(exit code 1\); its last lines:\n.* line 3: warning: unrecognized key "hostnam"\n.*is not valid\.\n/,
    );
    await expect(installation.create(machine.inputs)).rejects.toThrow(new RegExp(`\\n${correct}$`));
    expect(machine.live.read("systemctl.log")).toBeUndefined();
  }, 40_000);

  it("that is no valid Ignition config is told the same way by an installer that looks", async () => {
    const machine = await Machine.start({ userData: "{}" });
    const text = `#!/bin/sh
echo "error at line 1 col 1: invalid config version (couldn't parse)"
echo "$0: ERROR: Ignition config /run/moorage/install/user-data.ign is not valid." >&2
exit 1
`;
    machine.live.tool("flatcar-install", text);
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      new RegExp(
        `^swarm-1: .*failed \\(exit code 1\\); its last lines:\\n.*invalid config version.*\\n.*is not valid\\.\\n${correct}$`,
      ),
    );
  }, 40_000);
});

describe.skipIf(!canSandbox)("the installer", () => {
  it("of Container Linux is told what Flatcar's is", async () => {
    const userData = '#cloud-config\nhostname: "swarm-1"\n';
    const machine = await startWith("coreos-install", installer, { userData, format: "cloud-config" });
    await Promise.all([installation.create(machine.inputs), machine.rebootInto("hash-1")]);
    expect(machine.live.read("installer.args")).toBe(
      "-d /dev/disk/by-id/system -c /run/moorage/install/user-data.yml -C stable -V 4081.2.0\n",
    );
    expect(machine.live.read("installer.data")).toBe(userData);
    expect(machine.live.read("installer.mode")).toBe("600\n");
  }, 40_000);

  const wiped = (machine: Machine) => {
    machine.live.tool("blkid", "#!/bin/sh\necho PTTYPE=gpt\n");
    machine.live.tool("lsblk", '#!/bin/sh\ncase "$*" in *SERIAL*) echo S1 ;; *) echo disk ;; esac\n');
    machine.live.tool("wipefs", '#!/bin/sh\necho "$*" >> "$FAKE/wiped"\n');
  };
  const untouched = (machine: Machine) => {
    expect(machine.live.read("installer.args")).toBeUndefined();
    expect(machine.live.read("wiped")).toBeUndefined();
    expect(machine.live.read("run/moorage/install/user-data.ign")).toBeUndefined();
    expect(machine.live.read("run/moorage/install/user-data.yml")).toBeUndefined();
  };

  it("is missing on a system that is no live installer: nothing is erased or handed over", async () => {
    const machine = await startWith("none-install", installer, { erasableDisk: "S1" });
    wiped(machine);
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: looking for what installs failed with exit code 1:\nnone of flatcar-install, coreos-install and coreos-installer is here: this is no live installer\. Boot the distribution's own there, and run again$/,
    );
    untouched(machine);
  }, 40_000);

  it("is another distribution's: nothing is erased or handed over", async () => {
    const machine = await startWith("coreos-installer", installer, {
      erasableDisk: "S1",
      format: "cloud-config",
      userData: "#cloud-config\n",
    });
    wiped(machine);
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: [^]*this live system installs Fedora CoreOS, which has no cloud-config: boot the one of the distribution$/,
    );
    untouched(machine);
  }, 40_000);
});
