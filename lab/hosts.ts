import * as fs from "node:fs";
import * as path from "node:path";
import { shellQuote } from "../toolchain";
import { ensureDisks, preinstall } from "./disks";
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
import type { Host, Instance, Platform } from "./instance";
import { isPreinstalled, writeLayers } from "./layers";
import type { Told } from "./live";
import { greets } from "./network";
import { guestDir } from "./roots";

/** What a host is at the moment; `failed` carries its reason. */
export type HostState = "off" | "starting" | "installer" | "installed" | "existing" | `failed: ${string}`;

/** What starting a host needs to know. */
export interface BootOptions {
  readonly base: string;
  readonly platform: Platform;
  /** Of the network card; the lab's own by default. */
  readonly mac?: string;
  /** What its live installer boots with, this time; the lab's own keys and address by default. */
  readonly told?: Told;
}

const BOOT_MS = 90_000;
const OFF_MS = 30_000;

/** True where a hypervisor has said what the host boots from: it is a guest. */
export const isFurnished = (host: Host): boolean => fs.existsSync(path.join(host.dir, "boot"));

const supervisorRecord = (host: Host): string => path.join(host.dir, "supervisor.pid");
const powerFile = (host: Host): string => path.join(host.dir, "power");

/** True while the host's supervisor lives, which is as long as the host has power. */
export const isOn = (host: Host): boolean => aliveRecord(supervisorRecord(host)) !== undefined;

/** True where somebody switched the host off, here or from inside. */
export const isSwitchedOff = (host: Host): boolean => readIf(powerFile(host))?.trim() === "off";

/** True where a host had power the last time somebody looked after it. */
export const hadPower = (host: Host): boolean => readIf(powerFile(host))?.trim() === "on";

/** What the host is at the moment. */
export function hostState(host: Host): HostState {
  const text = readIf(path.join(host.dir, "state"))?.trim() ?? "off";
  if (text.startsWith("failed: ")) return text as `failed: ${string}`;
  if (!isOn(host)) return "off";
  switch (text) {
    case "installer":
    case "installed":
    case "existing":
      return text;
    default:
      return "starting";
  }
}

/** Writes what the supervisor reads. Needed for cleaning up too, so it can be written without a base. */
function writeBootEnv(instance: Instance, host: Host, extra: Readonly<Record<string, string>>): void {
  const values: Record<string, string> = {
    HOST: host.name,
    PREFIX: instance.prefix,
    NETNS: host.netns,
    NETNS_BRIDGE: instance.netns,
    MAC: host.mac,
    CGROUP: `${instance.prefix}/${host.name}`,
    BASE: "",
    SYSTEM_DEV: "",
    DISKS: "",
    PREINSTALLED: "0",
    ...extra,
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${shellQuote(value)}\n`);
  writeAtomic(path.join(host.dir, "boot.env"), lines.join(""));
  const script = fs.readFileSync(path.join(guestDir, "supervisor.sh"));
  writeAtomic(path.join(host.dir, "supervisor.sh"), script, 0o755);
}

/** Switches a host on. A host that is on is left alone. Gives back whether anything was done. */
export async function switchOn(instance: Instance, host: Host, options: BootOptions): Promise<boolean> {
  if (isOn(host)) return false;
  const preinstalled = isPreinstalled(host, options.platform);
  const disks = await ensureDisks(host);
  const system = disks[0]?.device ?? "";
  if (preinstalled) await preinstall(system);
  await clearHost(instance, host);
  await writeLayers(instance, host, options.platform, options.told);
  writeBootEnv(instance, host, {
    BASE: options.base,
    SYSTEM_DEV: system,
    DISKS: disks.map((disk) => `${disk.id}=${disk.device}`).join(" "),
    PREINSTALLED: preinstalled ? "1" : "0",
    ...(options.mac ? { MAC: options.mac } : {}),
  });
  writeAtomic(powerFile(host), "on\n");
  writeAtomic(path.join(host.dir, "state"), "starting\n");
  const script = path.join(host.dir, "supervisor.sh");
  startDetached(
    "bash",
    [script, "run", host.dir],
    path.join(host.dir, "supervisor.log"),
    supervisorRecord(host),
  );
  return true;
}

/** Takes away what a host without a supervisor left behind: processes, mounts, namespace, cgroups. */
async function clearHost(instance: Instance, host: Host): Promise<void> {
  fs.mkdirSync(host.dir, { recursive: true });
  writeBootEnv(instance, host, {});
  await must("bash", [path.join(host.dir, "supervisor.sh"), "cleanup", host.dir]);
}

/** Cuts a host's power. A host that is off is only swept. */
export async function switchOff(instance: Instance, host: Host): Promise<void> {
  fs.mkdirSync(host.dir, { recursive: true });
  writeAtomic(powerFile(host), "off\n");
  if (isOn(host)) {
    await run("bash", [path.join(host.dir, "supervisor.sh"), "kill", host.dir]);
    await waitFor(async () => (isOn(host) ? undefined : true), 3000, 50);
  }
  killRecord(supervisorRecord(host), "SIGKILL");
  if ((await waitFor(async () => (isOn(host) ? undefined : true), OFF_MS, 50)) === undefined) {
    throw new LabError(`${host.name} does not go off: look at ${path.join(host.dir, "supervisor.log")}`);
  }
  await clearHost(instance, host);
  writeAtomic(path.join(host.dir, "state"), "off\n");
}

/** The number, on this machine, of the host's process 1. */
export async function leaderPid(host: Host): Promise<number | undefined> {
  const listed = await run("ip", ["netns", "pids", host.netns]);
  for (const line of listed.stdout.split("\n")) {
    const inner = /^NSpid:\s+\d+\s+(\d+)$/m.exec(readIf(`/proc/${line.trim()}/status`) ?? "");
    if (inner?.[1] === "1") return Number(line);
  }
  return undefined;
}

/** The command that enters a host as root without SSH, as its console would. */
export async function consoleCommand(host: Host, command: readonly string[]): Promise<readonly string[]> {
  const pid = await leaderPid(host);
  if (pid === undefined)
    throw new LabError(
      `${host.name} is ${hostState(host)}: switch it on with \`npm run -s lab -- on ${host.name}\``,
    );
  const inside = command.length > 0 ? command : ["bash", "-l"];
  return ["nsenter", "-t", String(pid), "-m", "-u", "-i", "-n", "-p", "-C", "--", ...inside];
}

/** Runs a command as root in a host, without SSH. */
export async function consoleRun(host: Host, command: readonly string[]): ReturnType<typeof run> {
  const [program = "nsenter", ...args] = await consoleCommand(host, command);
  return run(program, args);
}

/** Waits until a host answers (SSH, and Docker where it comes installed), or says why it does not. */
export async function waitReady(host: Host, platform: Platform): Promise<HostState> {
  const ready = await waitFor(async () => {
    const state = hostState(host);
    if (state.startsWith("failed: ") || state === "off") return state;
    return state !== "starting" && (await greets(host.sshPort)) ? state : undefined;
  }, BOOT_MS);
  if (ready === undefined) {
    const console_ = path.join(host.dir, "console.log");
    throw new LabError(
      `${host.name} (${hostState(host)}) does not answer on 127.0.0.1:${host.sshPort} after ${BOOT_MS / 1000} s: look at ${console_}`,
    );
  }
  if (ready.startsWith("failed: ")) throw new LabError(`${host.name} ${ready}`);
  if (ready === "off" || !isPreinstalled(host, platform)) return ready;
  const docker = await waitFor(
    async () => ((await consoleRun(host, ["docker", "version"])).code === 0 ? true : undefined),
    BOOT_MS,
    500,
  );
  if (docker === undefined)
    throw new LabError(
      `Docker does not start on ${host.name}: \`npm run -s lab -- ssh ${host.name} sudo journalctl -u docker\``,
    );
  return ready;
}
