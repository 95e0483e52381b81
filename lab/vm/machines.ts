import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import type { Connection } from "@moorage/hosts";
import { lastWords } from "../../toolchain";
import { LabError, must, readIf, waitFor } from "../exec";
import { describeInstance, exclusively, labRoot, type Instance } from "../instance";
import { ensureKeys, hostPublicKey, installerKey } from "../keys";
import { writeLayers } from "../layers";
import { greets } from "../network";
import { machineImage, packInitramfs, type MachineImage } from "./image";

/** One emulated machine to be. */
export interface MachineArgs {
  /** A node's name of the lab, `coreos1` to `coreos4`. */
  readonly name: string;
  /** Files it has besides those of a lab host, whose `eth0` SSH comes by: path to text. */
  readonly files: Readonly<Record<string, string>>;
  /** Seconds that its clock is ahead of this machine's as it starts. @default 0 */
  readonly clockAhead?: number;
  /** What is on its disk `/dev/disk/by-id/virtio-payload`, in whole sectors of 512 bytes. @default no such disk */
  readonly payload?: Buffer;
}

/** A running one. */
export interface Machine {
  readonly name: string;
  readonly connection: Connection;
  /** Its folder: `console.log` is what it says, `qemu.log` what the emulator says. */
  readonly dir: string;
}

/** Two machines joined by a wire, `eth1` on both. */
export interface Pair {
  readonly machines: readonly [Machine, Machine];
  /** Every frame on the wire from the start on, as pcap; read it while they run. */
  readonly wire: string;
}

const BOOT_MS = 240_000;
const MEMORY_MIB = 1024;
const DATA_DISK = "1G";
/** Of the range that the emulator gives its own cards addresses from. */
const MAC = "52:54:00:00";

/** Everything the machines of a run need lies here, and goes away with them. */
const folder = (): string => path.join(labRoot(), "machines");

/**
 * Starts two machines, emulated in software and joined by a wire, and hands them to `work`; afterwards they are gone,
 * in whatever way it ends. One pair at a time on this machine. They reach nothing but each other, and are reached by
 * SSH on free ports of 127.0.0.1 only. They end with this process also where that is killed; the next run removes
 * what such a one has left.
 */
export function withPair(
  args: readonly [MachineArgs, MachineArgs],
  work: (pair: Pair) => Promise<void>,
): Promise<void> {
  return exclusively("machines", "two emulated machines", async () => {
    const image = await machineImage();
    const dir = folder();
    await must("rm", ["-rf", "--one-file-system", dir]);
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    const running: Running[] = [];
    try {
      const instance = instanceOf(args.map(({ name }) => name));
      await ensureKeys(instance);
      // One after the other: the first one's end of the wire has to be there for the second.
      for (const one of args) running.push(await Running.start(image, instance, one));
      const [first, second] = running.map(({ machine }) => machine);
      if (first === undefined || second === undefined) throw new LabError("two machines are wanted");
      await Promise.all(running.map((one) => one.answers()));
      await work({ machines: [first, second], wire: wireFile() });
    } finally {
      await Promise.all(running.map((one) => one.stop()));
      await must("rm", ["-rf", "--one-file-system", dir]);
    }
  });
}

const wireFile = (): string => path.join(folder(), "wire.pcap");

/** A lab's description, which layers and keys are made by. No host of it ever runs as the lab runs its own. */
function instanceOf(names: readonly string[]): Instance {
  const lab = describeInstance(0);
  const dir = folder();
  const hosts = lab.hosts
    .filter(({ name }) => names.includes(name))
    .map((host) => ({ ...host, dir: path.join(dir, host.name) }));
  return { ...lab, prefix: "moorage-machines", dir, hosts };
}

class Running {
  readonly machine: Machine;

  private constructor(
    private readonly process: ChildProcess,
    instance: Instance,
    { name, dir, port }: { name: string; dir: string; port: number },
  ) {
    const host = instance.hosts.find((one) => one.name === name);
    if (host === undefined) throw new LabError(`the lab has no node ${name}`);
    const login = { user: "core", hostKey: hostPublicKey(host), identityFile: installerKey(instance) };
    this.machine = { name, dir, connection: { node: name, host: "127.0.0.1", port, ...login } };
  }

  static async start(image: MachineImage, instance: Instance, args: MachineArgs): Promise<Running> {
    const host = instance.hosts.find((one) => one.name === args.name);
    if (host === undefined) throw new LabError(`the lab has no node ${args.name}`);
    const { dir, name } = host;
    fs.mkdirSync(dir, { recursive: true });
    await writeLayers(instance, host, "existing");
    const initramfs = await withSeed(image, dir, args.files);
    await must("truncate", ["-s", DATA_DISK, path.join(dir, "data.img")]);
    if (args.payload !== undefined) fs.writeFileSync(path.join(dir, "payload.img"), args.payload);
    const port = await freePort();
    const first = instance.hosts[0] === host;
    const log = fs.openSync(path.join(dir, "qemu.log"), "a");
    const options = optionsOf({ image, initramfs, dir, address: host.address, port, first, ...args });
    // Ends with this process, however that ends.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", "qemu-system-x86_64", ...options], {
      stdio: ["ignore", log, log],
      env: { ...process.env, TMPDIR: dir },
    });
    fs.closeSync(log);
    const running = new Running(child, instance, { name, dir, port });
    const hasWire = async () => (fs.existsSync(wireSocket()) ? true : undefined);
    await running.until("the emulator", hasWire, 15_000).catch(async (error: unknown) => {
      await running.stop();
      throw error;
    });
    return running;
  }

  /** Waits until its SSH server greets. */
  answers(): Promise<void> {
    const { port } = this.machine.connection;
    return this.until("its SSH server", async () => ((await greets(port, 5000)) ? true : undefined), BOOT_MS);
  }

  async stop(): Promise<void> {
    if (this.ended()) return;
    const closed = new Promise((resolve) => this.process.once("close", resolve));
    this.process.kill("SIGKILL");
    await closed;
  }

  private ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  private async until(
    what: string,
    probe: () => Promise<true | undefined>,
    timeoutMs: number,
  ): Promise<void> {
    let failed: Error | undefined;
    this.process.once("error", (error) => (failed = error));
    const come = await waitFor(async () => (failed || this.ended() ? false : await probe()), timeoutMs);
    if (come === true) return;
    const { dir, name } = this.machine;
    const said =
      lastWords(readIf(path.join(dir, "qemu.log")) ?? "") ||
      lastWords(readIf(path.join(dir, "console.log")) ?? "");
    const how = come === false ? "ended" : `not there after ${timeoutMs / 1000} s`;
    throw new LabError(`emulated machine ${name}: ${what} ${how}: ${failed?.message ?? said}`);
  }
}

const wireSocket = (): string => path.join(folder(), "wire.sock");

/** The layer of one machine behind the initramfs of all: the kernel unpacks one archive over the other. */
async function withSeed(image: MachineImage, dir: string, files: MachineArgs["files"]): Promise<string> {
  const tree = path.join(dir, "seed.d");
  fs.mkdirSync(tree, { recursive: true });
  fs.renameSync(path.join(dir, "layer-installed"), path.join(tree, "seed"));
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(tree, "seed", name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  const seed = path.join(dir, "seed.cpio");
  const whole = path.join(dir, "initramfs");
  await packInitramfs(tree, seed);
  await must("sh", ["-c", 'cat "$1" "$2" >"$3"', "sh", image.initramfs, seed, whole]);
  await must("rm", ["-rf", tree, seed]);
  return whole;
}

interface Hardware extends MachineArgs {
  readonly image: MachineImage;
  readonly initramfs: string;
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  /** The first of the two holds the wire, which the other plugs into. */
  readonly first: boolean;
}

function optionsOf(args: Hardware): string[] {
  const { image, initramfs, dir, name, address, port, clockAhead = 0, payload } = args;
  const ahead = new Date(Date.now() + clockAhead * 1000).toISOString().slice(0, 19);
  const mac = (card: number): string => `${MAC}:0${card}:${address.split(".")[3]?.padStart(2, "0")}`;
  return [
    ...["-name", name, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", "pc", "-accel", "tcg", "-cpu", "max,la57=off", "-smp", "1", "-m", String(MEMORY_MIB)],
    ...["-kernel", image.kernel, "-initrd", initramfs, "-rtc", `base=${clockAhead === 0 ? "utc" : ahead}`],
    ...["-append", "console=ttyS0 quiet net.ifnames=0 mitigations=off systemd.show_status=no"],
    ...["-serial", `file:${path.join(dir, "console.log")}`],
    ...disk("root", image.root, "snapshot=on"),
    ...disk(`${name}-data`, path.join(dir, "data.img"), "cache=unsafe"),
    ...(payload === undefined ? [] : disk("payload", path.join(dir, "payload.img"), "readonly=on")),
    ...["-netdev", `user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:${port}-${address}:22`],
    ...["-device", `virtio-net-pci,netdev=ssh,mac=${mac(0)}`],
    ...[
      "-netdev",
      `stream,id=wire,server=${args.first ? "on" : "off"},addr.type=unix,addr.path=${wireSocket()}`,
    ],
    ...["-device", `virtio-net-pci,netdev=wire,mac=${mac(1)}`],
    ...(args.first ? ["-object", `filter-dump,id=dump,netdev=wire,file=${wireFile()}`] : []),
  ];
}

function disk(serial: string, file: string, option: string): string[] {
  return [
    ...["-drive", `file=${file},format=raw,if=none,id=${serial},${option}`],
    ...["-device", `virtio-blk-pci,drive=${serial},serial=${serial}`],
  ];
}

/** A port on 127.0.0.1 that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null
          ? resolve(address.port)
          : reject(new LabError("no free port on 127.0.0.1")),
      );
    });
  });
}
