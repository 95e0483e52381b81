/** The message of an installation that fails: the node, what is wrong, and what to do. */
import { unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { until } from "../../support/waiting";
import { Machine, failing, installer } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

describe.skipIf(!canSandbox)("an installed system that does not come up", () => {
  it("is awaited, and adopted later", async () => {
    const machine = await Machine.start({ timeoutSeconds: 10 });
    machine.onReboot = () => machine.turnOff();
    await expect(machine.installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the installed system was not reached in 10 s: no SSH connection to core@127\.0\.0\.1:\d+ after 1 attempt: .*\nSee on its console what it hangs in \(Ignition stops the boot at a config that it refuses, .*run again once it answers\.$/,
    );
    await machine.comeUp("hash-1", "late");
    expect((await machine.installation.create(machine.inputs)).outs.firstBootId).toBe("late");
  });

  it("without its host key has not applied its cloud-config", async () => {
    const machine = await Machine.start({ timeoutSeconds: 6, format: "cloud-config" });
    await expect(machine.installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the installed system was not reached in 6 s: 127\.0\.0\.1:\d+ shows another host key than the pinned one[^]*\nSee on its console .*`journalctl -t coreos-cloudinit` says why.*run again once it answers\.$/,
    );
  });

  it.each<[string, (machine: Machine) => unknown, string]>([
    [
      "another system",
      (machine) => machine.comeUp("hash-0", "other"),
      "another system than the one just installed came up (no or another hash in /etc/moorage/install.json)",
    ],
    [
      "the live installer again",
      ({ live }) => live.tool("cat", (live.read("bin/cat") ?? "").replace("echo live", "echo again")),
      "the live installer came up again instead of the installed system",
    ],
  ])("is not %s", async (_what, onReboot, what) => {
    const machine = await Machine.start();
    machine.onReboot = () => onReboot(machine);
    await expect(machine.installation.create(machine.inputs)).rejects.toThrow(
      `swarm-1: ${what}. Let the node boot from /dev/disk/by-id/system first, reboot it, and run again: what is installed there is adopted.`,
    );
  });
});

describe.skipIf(!canSandbox)("an installer", () => {
  it("that has not ended goes on without the connection, and the next run waits for it", async () => {
    const machine = await Machine.start({ timeoutSeconds: 6 });
    machine.live.write("hold", "");
    await expect(machine.installation.create(machine.inputs)).rejects.toThrow(
      "swarm-1: the installation to /dev/disk/by-id/system did not end in 6 s; its last lines:\nDownloading\n" +
        "It goes on there, and is waited for when you run again. If it hangs, end it before that: " +
        "`sudo sh -c 'kill -- -$(cat /run/moorage/install/pid)'` there; it is begun anew then.",
    );
    machine.live.server.cut();
    machine.live.tool("flatcar-install", failing);
    machine.rebootsInto("hash-1");
    const created = machine.installation.create({ ...machine.inputs, timeoutSeconds: 600 });
    const waiting = "swarm-1: an installation is in progress, waiting for it";
    await until("the next run", () => expect(logged).toContain(waiting), { everyMs: 20 });
    machine.live.remove("hold");
    await created;
  });

  it("that hung and was ended by hand is started again", async () => {
    const machine = await Machine.start({ timeoutSeconds: 6 });
    machine.live.write("hold", "");
    await expect(machine.installation.create(machine.inputs)).rejects.toThrow("did not end in 6 s");
    machine.live.kill(machine.live.read("run/moorage/install/pid")?.trim() ?? "");
    machine.live.remove("hold");
    machine.rebootsInto("hash-1");
    await machine.installation.create({ ...machine.inputs, timeoutSeconds: 600 });
    expect(logged).not.toContain("swarm-1: an installation is in progress, waiting for it");
  });

  /** flatcar-install and coreos-install validate a config before they touch the disk. */
  const invalid = (kind: string, error: string) =>
    `#!/bin/sh\necho "${error}"\necho "$0: ${kind} (/run/moorage/install/user-data) is not valid." >&2\nexit 1\n`;
  const correct = "Correct nodes\\.swarm-1, network or os in the configuration, and run again\\.";

  it("that fails has its last lines shown, with advice", async () => {
    const { live, installation, inputs } = await Machine.start();
    writeFileSync(live.at("broken"), "");
    const cases: [string, string][] = [
      [installer, "22\\); its last lines:\nDownloading\ncurl: could not fetch"],
      [
        "#!/bin/sh\nexit 3\n",
        "3\\); it said nothing\nSee `journalctl` there, and run again: it is begun anew\\.$",
      ],
      [
        invalid("Cloud config file", "line 3: warning: unrecognized key hostnam"),
        `1\\); its last lines:\nline 3: .* key hostnam\n.*is not valid\\.\n${correct}$`,
      ],
      [
        invalid("ERROR: Ignition config", "error at line 1 col 1: invalid config version"),
        `1\\); its last lines:\n.*invalid config version\n.*is not valid\\.\n${correct}$`,
      ],
    ];
    for (const [program, message] of cases) {
      live.tool("flatcar-install", program);
      const beginning = "^swarm-1: the installation to /dev/disk/by-id/system failed \\(exit code ";
      await expect(installation.create(inputs)).rejects.toThrow(new RegExp(beginning + message));
    }
    expect(live.read("systemctl.log")).toBeUndefined();
  });

  it("that is missing, or another distribution's, has nothing erased or written", async () => {
    const { live, installation, inputs } = await Machine.start({ erasableDisk: "S1" });
    unlinkSync(live.at("bin/flatcar-install"));
    live.tool("blkid", "#!/bin/sh\necho PTTYPE=gpt\n");
    live.tool("lsblk", '#!/bin/sh\ncase "$*" in *SERIAL*) echo S1 ;; *) echo disk ;; esac\n');
    live.tool("wipefs", '#!/bin/sh\necho "$*" >> "$FAKE/wiped"\n');
    await expect(installation.create(inputs)).rejects.toThrow(
      /none of flatcar-install, coreos-install and coreos-installer is here: this is no live installer\. Boot the distribution's own there, and run again$/,
    );
    live.tool("coreos-installer", installer);
    const cloudConfig = { format: "cloud-config", userData: "#cloud-config\n" } as const;
    await expect(installation.create({ ...inputs, ...cloudConfig })).rejects.toThrow(
      /this live system installs Fedora CoreOS, which has no cloud-config: boot the one of the distribution$/,
    );
    for (const file of ["installer.args", "wiped", "run/moorage/install/hash"])
      expect(live.read(file)).toBeUndefined();
  });
});
