/** A host with a network of its own, on which a real keepalived runs with what a node gets. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles, type KeepalivedArgs } from "@moorage/render";
import { afterAll, beforeAll, expect } from "vitest";
import { until } from "../../../support/waiting";
import { inRoot, program } from "./root";

export const vip = "10.0.2.10";

export class Host {
  readonly folder: string;
  private readonly network: ChildProcess;
  private keepalived: ChildProcess | undefined;
  private stopPost: readonly string[] = [];
  log = "";

  constructor(
    readonly address: string,
    private readonly peer: string,
    within: string,
  ) {
    this.folder = path.join(within, address);
    fs.mkdirSync(this.folder);
    // keepalived of Debian wants its options beside it.
    const options = `mount -t overlay -o lowerdir=${inRoot("etc")}:/etc overlay /etc`;
    this.network = spawn(
      "unshare",
      ["--net", "--mount", "sh", "-c", `${options} && echo up && exec sleep 300`],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
  }

  async start(): Promise<void> {
    if (this.network.stdout) await once(this.network.stdout, "data");
    await this.run("ip", "link", "set", "lo", "up");
  }

  async joinTo(other: Host): Promise<void> {
    const pair = ["link", "add", "eth0", "type", "veth", "peer", "name", "eth0"];
    await this.run("ip", ...pair, "netns", String(other.network.pid));
    for (const one of [this, other]) {
      await one.run("ip", "addr", "add", `${one.address}/24`, "dev", "eth0");
      await one.run("ip", "link", "set", "eth0", "up");
    }
  }

  private put(name: string, text: string, mode = 0o755): void {
    fs.writeFileSync(this.at(name), text, { mode });
  }

  /** Writes what a node gets, and a check of the front that a test decides. */
  give(change: Partial<KeepalivedArgs> = {}): void {
    const { files, units } = keepalivedFiles({
      node: this.address,
      interface: "eth0",
      address: this.address,
      vip,
      peers: [this.peer],
      priority: 100,
      virtualRouterId: 51,
      image: `sha256:${"a".repeat(64)}`,
      ...change,
    });
    for (const [file, { content, mode }] of Object.entries(files))
      this.put(path.basename(file), content.replaceAll("/etc/moorage/keepalived/", `${this.folder}/`), mode);
    this.put("check.sh", `#!/bin/sh\n[ ! -e ${this.at("sick")} ]\n`);
    this.stopPost = Object.values(units).flatMap(({ content = "" }) =>
      [...content.matchAll(/^ExecStopPost=-(ip .*)$/gm)].map(([, line = ""]) => line),
    );
  }

  /** Whether its check of the front fails. */
  isSick(sick: boolean): void {
    if (sick) this.put("sick", "");
    else fs.rmSync(this.at("sick"), { force: true });
  }

  spawn(...command: string[]): ChildProcess {
    const target = `--target=${this.network.pid}`;
    return spawn("nsenter", ["--net", "--mount", target, "--", ...command]);
  }

  async run(...command: string[]): Promise<{ code: number | null; said: string }> {
    const child = this.spawn(...command);
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (text: Buffer) => (said += String(text)));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, said: said.trim() };
  }

  private at(name: string): string {
    return path.join(this.folder, name);
  }

  tried(): Promise<{ code: number | null; said: string }> {
    const file = ["--use-file", this.at("keepalived.conf")];
    return this.run(...program("usr/sbin/keepalived"), "--config-test", "--vrrp", ...file);
  }

  async begin(): Promise<void> {
    this.log = "";
    const pids = ["--pid", this.at("pid"), "--vrrp_pid", this.at("vrrp-pid")];
    const file = ["--vrrp", "--use-file", this.at("keepalived.conf")];
    const child = this.spawn(
      ...program("usr/sbin/keepalived"),
      "--dont-fork",
      "--log-console",
      ...file,
      ...pids,
    );
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (text: Buffer) => (this.log += String(text)));
    this.keepalived = child;
    await until("keepalived has started", () => expect(this.log).toContain("Startup complete"));
  }

  reload(): void {
    this.signal("SIGHUP");
  }

  private signal(signal: NodeJS.Signals, of = "pid"): void {
    process.kill(Number(fs.readFileSync(this.at(of), "utf8")), signal);
  }

  async hasVip(): Promise<boolean> {
    const { said } = await this.run("ip", "-o", "addr", "show", "dev", "eth0", "to", vip);
    return said !== "";
  }

  /** Kills all its processes at once: what it does at its end stays undone. */
  async kill(): Promise<void> {
    const child = this.keepalived;
    if (!child) return;
    this.signal("SIGKILL", "vrrp-pid");
    this.signal("SIGKILL");
    await once(child, "close");
    this.keepalived = undefined;
  }

  /** What the unit does to the network after that. */
  async runStopPost(): Promise<void> {
    for (const line of this.stopPost) await this.run(...line.split(" "));
  }

  async stop(): Promise<void> {
    const child = this.keepalived;
    if (child?.exitCode === null) {
      this.signal("SIGTERM");
      await once(child, "close");
    }
    this.keepalived = undefined;
    this.isSick(false);
    await this.runStopPost();
  }

  end(): void {
    this.network.kill("SIGKILL");
  }
}

/** Two of them on one network, for the tests of a file. */
export function twoHosts(): { readonly one: Host; readonly two: Host } {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-keepalived-"));
  const one = new Host("10.0.2.11", "10.0.2.12", folder);
  const two = new Host("10.0.2.12", "10.0.2.11", folder);
  beforeAll(async () => {
    await Promise.all([one.start(), two.start()]);
    await one.joinTo(two);
  });
  afterAll(() => {
    one.end();
    two.end();
    fs.rmSync(folder, { recursive: true });
  });
  return { one, two };
}
