/** A VirtualBox of its own for a test: the lab's stand-in for VBoxManage, whose guests are on paper only. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, vi } from "vitest";
import type { Connection } from "../../../../hosts/src/contract";
import type { GuestInputs, Hypervisor, NatNetworkInputs } from "../../../../hosts/src/virtualbox/contract";
import { afterInstallation, beforeReboot, guest } from "../../../../hosts/src/virtualbox/guest";
import * as running from "../../../../hosts/src/virtualbox/run";
import { vboxManage, type Answer } from "../../../../lab/virtualbox/command";
import { readConfigDrive } from "../../../../lab/virtualbox/configDrive";
import { paperGuests } from "../../../../lab/virtualbox/guests";
import { programOf, serveVBoxManage } from "../../../../lab/virtualbox/service";
import { Home } from "../../../../lab/virtualbox/state";
import { TestServer } from "./ssh-server";

/** What is stopped and removed in the end. */
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.splice(0)) await end();
});

/** By their programs. */
const boxes = new Map<string, TestVirtualBox>();
const { runOn } = running;
// A process for each of many calls would take long. Over SSH the program itself is called.
vi.spyOn(running, "runOn").mockImplementation((hypervisor, argv, options) => {
  const box = hypervisor.connection === undefined ? boxes.get(argv[2] ?? "") : undefined;
  return box ? box.serve(argv.slice(3)) : runOn(hypervisor, argv, options);
});

export class TestVirtualBox {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-vbox-"));
  readonly program = programOf(this.folder);
  readonly hypervisor: Hypervisor = { vboxManage: this.program };
  private readonly home = new Home(this.folder);
  private readonly guests = paperGuests(this.folder);
  private calls: string[] = [];
  private failures: { readonly command: string; readonly words: string; readonly code: number }[] = [];

  constructor(version = "7.1.4r165100") {
    fs.writeFileSync(this.file("version"), version);
    boxes.set(this.program, this);
    const server = serveVBoxManage(this.folder, (args) => this.serve(args));
    ends.push(() => {
      server.close();
      fs.rmSync(this.folder, { recursive: true, force: true });
    });
  }

  serve(args: readonly string[]): Promise<Answer> {
    this.calls.push(args.join(" "));
    const at = this.failures.findIndex(({ command }) => command === args[0]);
    const [failure] = at < 0 ? [] : this.failures.splice(at, 1);
    if (failure) return Promise.resolve({ stdout: "", stderr: `${failure.words}\n`, code: failure.code });
    return vboxManage(this.home, this.guests, args);
  }

  /** What somebody else at the hypervisor does. */
  async manage(...args: string[]): Promise<string> {
    const { stdout, stderr, code } = await vboxManage(this.home, this.guests, args);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  }

  /** Calls that were made since the last time, without those that only look. */
  changes(): string[] {
    const looks = /^(--version|list|showvminfo|getextradata|showmediuminfo|natnetwork list)/;
    const changes = this.calls.filter((line) => !looks.test(line));
    this.calls = [];
    return changes;
  }

  /** The next calls of a command fail with these words, each once. */
  fail(command: string, ...words: string[]): void {
    this.failAs(1, command, ...words);
  }

  /** The same with another exit code, which may be 0. */
  failAs(code: number, command: string, ...words: string[]): void {
    this.failures.push(...words.map((each) => ({ command, words: each, code })));
  }

  info(name: string): Promise<string> {
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

/** A guest whose system disk is installed, on a VirtualBox of its own, whose changes so far are read. */
export async function installedGuest(system: Connection, changes: Partial<GuestInputs> = {}) {
  const box = new TestVirtualBox();
  const inputs = box.guest(system, changes);
  const { id, outs } = await guest.create(inputs);
  await beforeReboot({ ...outs, id });
  await afterInstallation({ ...outs, id });
  box.changes();
  return { box, inputs, id, outs };
}

/** A system that answers over SSH, as every guest of a test does. */
export async function answeringSystem(): Promise<TestServer> {
  const server = await TestServer.start({ node: "coreos1" });
  ends.push(() => server.stop());
  return server;
}
