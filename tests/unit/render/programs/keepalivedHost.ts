/** A host with a network of its own, on which a real keepalived runs with what a node gets. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles, type KeepalivedFilesArgs } from "@moorage/render";
import { afterAll, beforeAll, expect } from "vitest";
import { until } from "../../../support/waiting";
import { inRoot, program } from "./root";

export const vip = "10.0.2.10";
/** Stands for docker: what is asked of the container is asked here, and its keepalived gets its signals. */
const docker = `#!/bin/sh
case "$1 $2" in
  "kill --signal") kill -s "$3" "$(cat "$HERE/pid")" ;;
  "exec moorage-keepalived") shift 2; exec "$@" ;;
esac
`;

/** Stands for curl: nginx here is well while there is no file that says otherwise, and somebody has the VIP. */
const curl = `#!/bin/sh
for last; do :; done
case $last in
  https://127.0.0.1*) [ ! -e "$HERE/sick" ] ;;
  *) [ -n "$(cat "$HERE"/../*/has-vip 2>/dev/null)" ] ;;
esac
`;

/** Signs of life take their time, and what is waited for besides need not. */
const sleep = "#!/bin/sh\nexec /bin/sleep 0.2\n";

export class Host {
  readonly folder: string;
  private readonly network: ChildProcess;
  private keepalived: ChildProcess | undefined;
  log = "";

  constructor(
    readonly address: string,
    private readonly peer: string,
    within: string,
  ) {
    this.folder = path.join(within, address);
    fs.mkdirSync(this.folder);
    for (const [name, text] of Object.entries({ docker, curl, sleep })) this.put(name, text);
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

  put(name: string, text: string, mode = 0o755): void {
    fs.writeFileSync(path.join(this.folder, name), text, { mode });
  }

  /** Writes what a node gets, and a check of the front that a test decides. */
  give(change: Partial<KeepalivedFilesArgs> = {}): void {
    const { files } = keepalivedFiles({
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
    for (const [file, { content, mode }] of Object.entries(files)) {
      const own = content
        .replaceAll("/etc/moorage/keepalived/", `${this.folder}/`)
        .replaceAll("/run/moorage-keepalived/heartbeat", `${this.folder}/beats`)
        .replaceAll("/tmp/keepalived.data", `${this.folder}/keepalived.data`);
      this.put(path.basename(file), own, mode);
    }
    this.put("check-front", `#!/bin/sh\n[ ! -e ${this.folder}/sick ]\n`);
  }

  is(name: string, text: string | undefined): void {
    if (text === undefined) fs.rmSync(path.join(this.folder, name), { force: true });
    else this.put(name, text);
  }

  spawn(...command: string[]): ChildProcess {
    const target = `--target=${this.network.pid}`;
    const env = {
      ...process.env,
      ...{ HERE: this.folder, TMPDIR: this.folder, PATH: `${this.folder}:${process.env.PATH ?? ""}` },
    };
    return spawn("nsenter", ["--net", "--mount", target, "--", ...command], { env });
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

  private signal(signal: NodeJS.Signals): void {
    process.kill(Number(fs.readFileSync(this.at("pid"), "utf8")), signal);
  }

  async hasVip(): Promise<boolean> {
    const { said } = await this.run("ip", "-o", "addr", "show", "dev", "eth0", "to", vip);
    this.is("has-vip", said === "" ? undefined : "yes");
    return said !== "";
  }

  alive(): Promise<{ code: number | null; said: string }> {
    return this.run("sh", this.at("keepalived-alive"));
  }

  async stop(): Promise<void> {
    const child = this.keepalived;
    if (child?.exitCode === null) {
      this.signal("SIGTERM");
      await once(child, "close");
    }
    this.keepalived = undefined;
    for (const name of ["sick", "has-vip"]) this.is(name, undefined);
    await this.run("ip", "link", "set", "eth0", "up");
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
