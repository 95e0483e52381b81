/** A real keepalived with what a node gets, on two hosts of a network of their own. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles, type KeepalivedFilesArgs } from "@moorage/render";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { inRoot, program } from "./root";

const vip = "10.0.2.10";
const within = { timeout: 15_000, interval: 100 };

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

class Host {
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
    await vi.waitFor(() => expect(this.log).toContain("Startup complete"), within);
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

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-keepalived-"));
let one: Host;
let two: Host;
beforeAll(async () => {
  one = new Host("10.0.2.11", "10.0.2.12", folder);
  two = new Host("10.0.2.12", "10.0.2.11", folder);
  await Promise.all([one.start(), two.start()]);
  await one.joinTo(two);
});
afterEach(async () => {
  await Promise.all([one.stop(), two.stop()]);
});
afterAll(() => {
  one.end();
  two.end();
  fs.rmSync(folder, { recursive: true });
});

async function holds(host: Host): Promise<void> {
  await vi.waitFor(async () => expect(await host.hasVip()).toBe(true), within);
}

/** Both run, and the first has the VIP. */
async function both(): Promise<void> {
  one.give();
  two.give();
  await one.begin();
  await holds(one);
  await two.begin();
}

const good = { code: 0, said: "" };

describe("keepalived", () => {
  it("reads what it gets, and not with an interface that is not there", async () => {
    one.give();
    expect((await one.tried()).code).toBe(0);
    one.give({ interface: "eth9" });
    expect((await one.tried()).code).not.toBe(0);
  });

  it("gives the VIP to one node, and is found to work on both", async () => {
    await both();
    expect(await Promise.all([one.alive(), two.alive()])).toEqual([good, good]);
    expect([await one.hasVip(), await two.hasVip()]).toEqual([true, false]);
  });

  it("keeps the VIP where it is while it reads a changed setting, and gives the same answer", async () => {
    await both();
    one.give({ priority: 50 });
    one.reload();
    for (let looks = 0; looks < 20; looks++) {
      expect([await one.hasVip(), await two.hasVip()]).toEqual([true, false]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await one.alive()).toEqual(good);
    expect(one.log).toContain("Reload complete");
  });

  it("has another virtual router after it was told so, and works", async () => {
    await both();
    for (const host of [one, two]) {
      host.give({ virtualRouterId: 52 });
      host.reload();
    }
    await vi.waitFor(
      async () => expect([await one.hasVip(), await two.hasVip()].filter(Boolean)).toHaveLength(1),
      within,
    );
    expect(await Promise.all([one.alive(), two.alive()])).toEqual([good, good]);
  });

  it("heeds its neighbours alone", async () => {
    const stranger = "10.0.2.66";
    await two.run("ip", "addr", "add", `${stranger}/24`, "dev", "eth0");
    one.give();
    await one.begin();
    await holds(one);
    two.give({ address: stranger, priority: 250 });
    await two.begin();
    await vi.waitFor(() => expect(one.log).toContain(`${stranger} not a unicast peer`), within);
    expect(await two.hasVip()).toBe(true);
    await two.run("ip", "addr", "del", `${stranger}/24`, "dev", "eth0");
    expect(await one.hasVip()).toBe(true);
  });

  it("heeds nobody where it is the only edge node, whatever others say on its network", async () => {
    // Another site's, by multicast: with the same router and more to say.
    two.give({ vip: "10.0.2.20", peers: [], witnesses: [], priority: 250 });
    await two.begin();
    await vi.waitFor(() => expect(two.log).toContain("Entering MASTER STATE"), within);
    one.give({ peers: [], witnesses: ["10.0.2.13", "10.0.2.14"] });
    await one.begin();
    await holds(one);
    expect(await one.alive()).toEqual(good);
    expect(await two.run("ip", "-o", "addr", "show", "dev", "eth0", "to", "10.0.2.20")).toMatchObject({
      said: expect.stringContaining("10.0.2.20") as string,
    });
  });

  it("is found not to work on an interface that is down", async () => {
    await both();
    await one.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth2");
    one.give({ interface: "eth1" });
    expect((await one.tried()).code).toBe(0);
    one.reload();
    await holds(two);
    expect(await one.alive()).toEqual({
      code: 1,
      said: "keepalived is in state FAULT: eth1 is down, or not there",
    });
  });

  it("is found not to work with a check that fails for no reason, and to work where nginx is down", async () => {
    await both();
    one.put("check-front", "#!/bin/sh\nexit 1\n");
    one.reload();
    await holds(two);
    expect(await one.alive()).toEqual({
      code: 1,
      said: "keepalived is in state FAULT: it takes no part, though the front here works",
    });
    one.is("sick", "");
    expect(await one.alive()).toEqual(good);
  });

  it("is found not to work where nobody has the VIP", async () => {
    // The other host, which keeps it from its turn, has the same router with another address.
    two.give({ vip: "10.0.2.20" });
    await two.begin();
    await vi.waitFor(() => expect(two.log).toContain("Entering MASTER STATE"), within);
    one.give();
    await one.begin();
    expect(await one.alive()).toEqual({
      code: 1,
      said: `keepalived is in state BACKUP: nobody answers at ${vip}, and it does not take it`,
    });
  });
});
