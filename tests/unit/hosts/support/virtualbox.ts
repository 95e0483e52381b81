/** A VirtualBox of its own for a test: the lab's stand-in for VBoxManage, whose guests are on paper only. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll } from "vitest";
import type { Connection } from "../../../../hosts/src/contract";
import type { GuestInputs, Hypervisor, NatNetworkInputs } from "../../../../hosts/src/virtualbox/contract";
import { bundleVBoxManage } from "../../../../lab/virtualbox/bundle";
import { readConfigDrive } from "../../../../lab/virtualbox/configDrive";
import { TestServer } from "./ssh-server";

/** The stand-in as one file, made once for all of a test file's VirtualBoxes. */
const shared = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-vboxmanage-"));
const program = path.join(shared, "vboxmanage.js");
bundleVBoxManage(program);

/** What is stopped and removed in the end. */
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.splice(0)) await end();
  fs.rmSync(shared, { recursive: true, force: true });
});

export class TestVirtualBox {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-vbox-"));
  readonly program = path.join(this.folder, "bin", "VBoxManage");
  readonly hypervisor: Hypervisor = { vboxManage: this.program };

  constructor(version = "7.1.4r165100") {
    fs.mkdirSync(path.dirname(this.program));
    fs.writeFileSync(path.join(this.folder, "version"), version);
    // Every call is written down; a call can be made to fail in a given way, as often as a file says.
    const text = `#!/bin/sh
export MOORAGE_VBOX_HOME=${this.folder}
printf '%s\\n' "$*" >> ${this.folder}/calls
if [ -s ${this.folder}/failures ]; then
  set -- "$(head -n 1 ${this.folder}/failures)" "$@"
  case "$2" in "\${1%% *}")
    sed -i 1d ${this.folder}/failures
    printf '%s\\n' "\${1#* }" >&2
    exit 1 ;;
  esac
  shift
fi
exec ${process.execPath} ${program} "$@"
`;
    fs.writeFileSync(this.program, text, { mode: 0o755 });
    ends.push(() => fs.rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Runs the stand-in as somebody else at the hypervisor would. */
  manage(...args: string[]): string {
    return execFileSync(this.program, args, { encoding: "utf8", stdio: "pipe" });
  }

  /** Calls that were made since the last time, without those that only look. */
  changes(): string[] {
    const file = path.join(this.folder, "calls");
    const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : [];
    fs.rmSync(file, { force: true });
    return lines.filter(
      (line) =>
        line !== "" && !/^(--version|list|showvminfo|getextradata|showmediuminfo|natnetwork list)/.test(line),
    );
  }

  /** The next calls of a command fail with these words, each once. */
  fail(command: string, ...words: string[]): void {
    fs.writeFileSync(
      path.join(this.folder, "failures"),
      words.map((each) => `${command} ${each}\n`).join(""),
    );
  }

  info(name: string): string {
    return this.manage("showvminfo", name, "--machinereadable");
  }

  file(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  /** What the live installer of a guest is told at the moment. */
  configDrive(name: string): string | undefined {
    const file = this.file("vms", "moorage", "config-drives", `${name}.iso`);
    return fs.existsSync(file) ? readConfigDrive(file) : undefined;
  }

  network(changes: Partial<NatNetworkInputs> = {}): NatNetworkInputs {
    return {
      hypervisor: this.hypervisor,
      name: "moorage",
      stack: "organization/moorage/test",
      subnet: "10.0.2.0/24",
      dhcp: false,
      forwards: {
        "ssh-coreos1": { listen: "127.0.0.1", port: 2011, address: "10.0.2.11", targetPort: 22 },
        registry: { listen: "127.0.0.1", port: 8443, address: "10.0.2.10", targetPort: 443 },
      },
      ...changes,
    };
  }

  /** A guest whose systems both answer at `system`. */
  guest(system: Connection, changes: Partial<GuestInputs> = {}): GuestInputs {
    const iso = this.file("installer.iso");
    if (!fs.existsSync(iso)) fs.writeFileSync(iso, "an image\n");
    return {
      hypervisor: this.hypervisor,
      name: "coreos1",
      stack: "organization/moorage/test",
      network: "moorage",
      withPowerCycle: {
        memory: 2048,
        cpus: 2,
        nicType: "virtio",
        usb: false,
        audio: false,
        boot: "disk,dvd",
        systemDisk: 64,
        dataDisk: 32,
      },
      keepDataDisk: true,
      iso,
      installerUserData: "#cloud-config\nhostname: coreos1\n",
      installer: system,
      target: system,
      ...changes,
    };
  }
}

/** A system that answers over SSH, as every guest of a test does. */
export async function answeringSystem(): Promise<TestServer> {
  const server = await TestServer.start({ node: "coreos1" });
  ends.push(() => server.stop());
  return server;
}
