import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import {
  aliveRecord,
  killRecord,
  LabError,
  must,
  readIf,
  run,
  startDetached,
  waitFor,
  writeAtomic,
} from "./exec";
import type { Instance, Platform } from "./instance";

/** One forward: a port on 127.0.0.1 of this machine that leads to an address in the lab. */
export interface Forward {
  readonly port: number;
  readonly address: string;
  readonly targetPort: number;
}

const HALF_CLOSED_SECONDS = "60";

/**
 * All forwards of an instance, as a NAT network of a hypervisor would have them. Where there is a hypervisor, those to
 * nodes and registry are its own.
 */
export function forwards(instance: Instance, platform: Platform): readonly Forward[] {
  const own =
    platform === "virtualbox" ? instance.hosts.filter(({ kind }) => kind === "client") : instance.hosts;
  const ssh = own.map((host) => ({ port: host.sshPort, address: host.address, targetPort: 22 }));
  if (platform === "virtualbox") return ssh;
  return [...ssh, { port: instance.registryPort, address: instance.vip, targetPort: 443 }];
}

/** True where the instance's bridge namespace is there. */
export const networkExists = (instance: Instance): boolean => fs.existsSync(`/run/netns/${instance.netns}`);

/** Makes the namespace with the bridge. The machine's own namespace, routes and rules stay as they are. */
export async function ensureNetwork(instance: Instance): Promise<boolean> {
  const inside = (...args: string[]): Promise<string> => must("ip", ["-n", instance.netns, ...args]);
  if (networkExists(instance) && (await run("ip", ["-n", instance.netns, "link", "show", "br0"])).code === 0)
    return false;
  if (!networkExists(instance)) await must("ip", ["netns", "add", instance.netns]);
  await inside("link", "set", "lo", "up");
  await inside("link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0");
  await inside("address", "add", `${instance.gateway}/24`, "dev", "br0");
  await inside("link", "set", "br0", "up");
  // What leads out of the lab is refused at once instead of hanging.
  await inside("route", "add", "unreachable", "default");
  await must("ip", ["netns", "exec", instance.netns, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  return true;
}

const forwardDir = (instance: Instance): string => path.join(instance.dir, "forward");

function record(instance: Instance, port: number, side: "outside" | "inside"): string {
  return path.join(forwardDir(instance), `${port}.${side}.pid`);
}

/** Starts the forwards that do not run. Gives back how many were started. */
export async function ensureForwards(instance: Instance, platform: Platform): Promise<number> {
  let started = 0;
  for (const forward of forwards(instance, platform)) started += await ensureForward(instance, forward);
  return started;
}

/** Starts what of one forward does not run. A forward of its port that leads elsewhere goes away before. */
export async function ensureForward(instance: Instance, forward: Forward): Promise<number> {
  const { port } = forward;
  fs.mkdirSync(forwardDir(instance), { recursive: true });
  const target = `TCP4:${forward.address}:${forward.targetPort},connect-timeout=5,nodelay`;
  const known = path.join(forwardDir(instance), `${port}.target`);
  if (readIf(known) !== target) {
    removeForward(instance, port);
    writeAtomic(known, target);
  }
  const socket = path.join(forwardDir(instance), `${port}.sock`);
  const log = path.join(forwardDir(instance), `${port}.log`);
  let started = 0;
  if (!aliveRecord(record(instance, port, "inside"))) {
    const listen = `UNIX-LISTEN:${socket},fork,unlink-early,backlog=128`;
    const socat = ["socat", "-t", HALF_CLOSED_SECONDS, listen, target];
    startDetached("ip", ["netns", "exec", instance.netns, ...socat], log, record(instance, port, "inside"));
    started++;
  }
  if (!aliveRecord(record(instance, port, "outside"))) {
    await refuseTakenPort(port);
    const listen = `TCP4-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=128`;
    const socat = ["-t", HALF_CLOSED_SECONDS, listen, `UNIX-CONNECT:${socket}`];
    startDetached("socat", socat, log, record(instance, port, "outside"));
    started++;
  }
  return started;
}

/** Takes one forward away. */
export function removeForward(instance: Instance, port: number): void {
  for (const side of ["outside", "inside"] as const) {
    killRecord(record(instance, port, side));
    fs.rmSync(record(instance, port, side), { force: true });
  }
  fs.rmSync(path.join(forwardDir(instance), `${port}.target`), { force: true });
}

/** The ports that lead into the lab at the moment. */
export function forwardedPorts(instance: Instance): number[] {
  const names = fs.existsSync(forwardDir(instance)) ? fs.readdirSync(forwardDir(instance)) : [];
  return names.filter((name) => name.endsWith(".target")).map((name) => Number(name.split(".")[0]));
}

/** Refuses a port of 127.0.0.1 on which somebody else listens. */
export async function refuseTakenPort(port: number): Promise<void> {
  if (!(await accepts(port))) return;
  throw new LabError(
    `port ${port} on 127.0.0.1 is taken by another program: stop it, or choose another lab with MOORAGE_LAB=<0..9>`,
  );
}

/** Whether somebody takes connections on a port of 127.0.0.1. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.setTimeout(1000, () => socket.destroy());
    socket.once("connect", () => socket.destroy());
    socket.once("connect", () => resolve(true));
    socket.once("close", () => resolve(false));
    socket.once("error", () => resolve(false));
  });
}

/** Whether an SSH server greets behind a port on 127.0.0.1. */
export function greets(port: number, timeoutMs = 1500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once("data", (data) => end(data.toString("latin1").startsWith("SSH-")));
    socket.once("close", () => end(false));
    socket.once("error", () => end(false));
  });
}

/** Stops the forwards and takes the bridge's namespace away. */
export async function removeNetwork(instance: Instance): Promise<void> {
  for (const name of fs.existsSync(forwardDir(instance)) ? fs.readdirSync(forwardDir(instance)) : []) {
    if (name.endsWith(".pid")) killRecord(path.join(forwardDir(instance), name));
  }
  if (!networkExists(instance)) return;
  await waitFor(() => killInNamespace(instance.netns), 5000, 50);
  await must("ip", ["netns", "del", instance.netns]);
}

/** Kills what still runs in a namespace of the lab's own; undefined while something is left. */
async function killInNamespace(netns: string): Promise<true | undefined> {
  const listed = (await run("ip", ["netns", "pids", netns])).stdout.split("\n");
  const pids = listed.filter((line) => /^\d+$/.test(line)).map(Number);
  for (const pid of pids) {
    try {
      // A number that was listed may be another's by now.
      if (isIn(netns, pid)) process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return pids.length === 0 ? true : undefined;
}

function isIn(netns: string, pid: number): boolean {
  const [its, wanted] = [`/proc/${pid}/ns/net`, `/run/netns/${netns}`].map((file) => fs.statSync(file));
  return its?.ino === wanted?.ino && its?.dev === wanted?.dev;
}
