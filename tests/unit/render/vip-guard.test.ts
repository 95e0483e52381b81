import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles } from "@moorage/render";
import { afterAll, describe, expect, it } from "vitest";

/** What a node gets, with a folder of ours in the place of its own. */
const { files } = keepalivedFiles({
  node: "coreos1",
  interface: "eth0",
  address: "10.0.2.11",
  vip: "10.0.2.10",
  prefixLength: 24,
  peers: ["10.0.2.12"],
  priority: 200,
  virtualRouterId: 51,
  image: `sha256:${"a".repeat(64)}`,
});

/** Stands for ip: the node has the address while there is a file of that name. */
const ip = `#!/bin/sh
here=$(dirname "$0")
case "$*" in
  "-o addr show dev eth0 to 10.0.2.10") [ ! -e "$here/address" ] || echo '2: eth0 inet 10.0.2.10/24 scope global eth0' ;;
  "addr del 10.0.2.10/24 dev eth0") echo "$*" >> "$here/ip.log"; rm "$here/address" ;;
  *) echo "ip $*?" >> "$here/ip.log"; exit 64 ;;
esac
`;

const pause = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const nodes: Node[] = [];
afterAll(() => {
  for (const node of nodes) node.end();
});

class Node {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-guard-"));
  private readonly started: ChildProcess[] = [];
  private keepalived: ChildProcess | undefined;

  constructor() {
    nodes.push(this);
    this.tool("ip", ip);
    for (const name of ["keepalived/heartbeat", "vip-guard"]) {
      const text = files[`/etc/moorage/${name}`]?.content as string;
      this.tool(path.basename(name), text.replaceAll("/run/moorage-keepalived/heartbeat", this.at("beats")));
    }
  }

  end(): void {
    for (const child of this.started) this.signal(child, "SIGKILL");
    fs.rmSync(this.folder, { recursive: true });
  }

  tool(name: string, text: string): void {
    fs.writeFileSync(this.at(name), text, { mode: 0o755 });
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  private get env(): NodeJS.ProcessEnv {
    return { PATH: `${this.folder}:${process.env.PATH ?? ""}` };
  }

  private start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(program, args, { env, detached: true, stdio: "ignore" });
    this.started.push(child);
    return child;
  }

  guard(): void {
    this.start(this.at("vip-guard"), [], this.env);
  }

  /** As keepalived does, by its own configuration: the script is run twice each second. */
  live(times = 1000): void {
    const line = `for n in $(seq ${times}); do "${this.at("heartbeat")}"; sleep 0.5; done`;
    this.keepalived = this.start("sh", ["-c", line], process.env);
  }

  hurt(signal: NodeJS.Signals): void {
    if (this.keepalived) this.signal(this.keepalived, signal);
  }

  private signal({ pid }: ChildProcess, signal: NodeJS.Signals): void {
    try {
      process.kill(-(pid ?? 0), signal);
    } catch {
      // It has ended by itself.
    }
  }

  takeAddress(): void {
    fs.writeFileSync(this.at("address"), "");
  }

  get hasAddress(): boolean {
    return fs.existsSync(this.at("address"));
  }

  /** What was asked of `ip`, but for looking. */
  get told(): string[] {
    return fs.existsSync(this.at("ip.log"))
      ? fs.readFileSync(this.at("ip.log"), "utf8").trim().split("\n")
      : [];
  }

  /** Seconds until the address is off, from a moment in milliseconds. */
  async untilOff(since: number): Promise<number> {
    while (this.hasAddress && Date.now() - since < 20_000) await pause(0.02);
    return (Date.now() - since) / 1000;
  }

  get lastBeat(): number {
    return fs.statSync(this.at("beats")).mtimeMs;
  }
}

const del = "addr del 10.0.2.10/24 dev eth0";

describe.concurrent("the guard beside keepalived", () => {
  it("leaves the address alone while keepalived lives", async () => {
    const node = new Node();
    node.takeAddress();
    node.live();
    node.guard();
    await pause(4);
    expect(node.hasAddress).toBe(true);
    expect(node.told).toEqual([]);
  });

  it.each(["SIGKILL", "SIGSTOP"] as const)(
    "takes the address off two seconds after the last sign of life, with %s",
    async (signal) => {
      const node = new Node();
      node.takeAddress();
      node.live();
      node.guard();
      await pause(1.5);
      expect(node.hasAddress).toBe(true);
      node.hurt(signal);
      await pause(0.1);
      const took = await node.untilOff(node.lastBeat);
      expect(took).toBeGreaterThan(1.9);
      expect(took).toBeLessThan(5);
      expect(node.told).toEqual([del]);
    },
  );

  it("takes it off a node where keepalived never was", async () => {
    const node = new Node();
    node.takeAddress();
    node.guard();
    const took = await node.untilOff(Date.now());
    expect(took).toBeGreaterThan(1.7);
    expect(took).toBeLessThan(5);
  });

  it("takes it off again, sooner, where it comes back to a silent node", async () => {
    const node = new Node();
    node.takeAddress();
    node.guard();
    await node.untilOff(Date.now());
    node.takeAddress();
    expect(await node.untilOff(Date.now())).toBeLessThan(1.9);
    expect(node.told).toEqual([del, del]);
  });

  it("asks for nothing where a silent node has no address", async () => {
    const node = new Node();
    node.guard();
    await pause(4);
    expect(node.told).toEqual([]);
  });

  it("leaves it alone once a frozen keepalived goes on", async () => {
    const node = new Node();
    node.takeAddress();
    node.live();
    node.guard();
    await pause(1);
    node.hurt("SIGSTOP");
    await node.untilOff(Date.now());
    node.hurt("SIGCONT");
    await pause(1);
    node.takeAddress();
    await pause(3);
    expect(node.hasAddress).toBe(true);
    expect(node.told).toEqual([del]);
  });
});
