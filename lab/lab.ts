import * as fs from "node:fs";
import * as path from "node:path";
import type { Log } from "../toolchain";
import { detachAll, disksOf, discardSystem } from "./disks";
import { LabError, must, readIf, run, writeAtomic } from "./exec";
import {
  hadPower,
  hostState,
  isFurnished,
  isOn,
  isSwitchedOff,
  switchOff,
  switchOn,
  waitReady,
  type HostState,
} from "./hosts";
import {
  checkFolder,
  claimInstance,
  defaultPlatform,
  exclusively,
  labRoot,
  ownerFile,
  platforms,
  type Host,
  type Instance,
  type Platform,
} from "./instance";
import { ensureKeys, hostKeyFile, hostPublicKey, installerKey } from "./keys";
import { raiseLimits, restoreLimits } from "./limits";
import type { Told } from "./live";
import { ensureForwards, ensureNetwork, removeNetwork } from "./network";
import { baseRoot } from "./roots";
import { accessFile } from "./ssh";
import { connectGuests, ensureHypervisor, stopHypervisor } from "./virtualbox/hypervisor";

/** What `up` may be told. */
export interface UpOptions {
  /** @default the lab's own so far, else `virtualbox` */
  readonly platform?: Platform;
  readonly say: Log;
}

/** What the lab calls on this machine, with the Debian package that has it. */
export const TOOLS: Readonly<Record<string, string>> = {
  mmdebstrap: "mmdebstrap",
  "systemd-nspawn": "systemd-container",
  socat: "socat",
  ip: "iproute2",
  "mkfs.ext4": "e2fsprogs",
  losetup: "mount",
  blkid: "util-linux",
  flock: "util-linux",
  nsenter: "util-linux",
  "ssh-keygen": "openssh-client",
  sysctl: "procps",
};

/** Refuses at once, with all that is missing, a machine on which the lab cannot work. */
export async function checkMachine(): Promise<void> {
  if (process.platform !== "linux")
    throw new LabError("the lab needs Linux: its hosts share the machine's kernel");
  if (process.getuid?.() !== 0)
    throw new LabError("the lab needs root: it makes namespaces, mounts and loop devices (run it with sudo)");
  const folders = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`.split(":");
  const missing = Object.entries(TOOLS).filter(
    ([tool]) => !folders.some((folder) => fs.existsSync(path.join(folder, tool))),
  );
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(" ");
    throw new LabError(
      `missing on this machine: ${missing.map(([tool]) => tool).join(", ")}: apt-get install ${packages}`,
    );
  }
}

const settingsFile = (instance: Instance): string => path.join(instance.dir, "settings.json");

/** The platform a lab was made for. */
export function platformOf(instance: Instance): Platform {
  const text = readIf(settingsFile(instance));
  if (text === undefined) return defaultPlatform;
  const parsed: unknown = JSON.parse(text);
  const platform =
    typeof parsed === "object" && parsed !== null && "platform" in parsed ? parsed.platform : undefined;
  return platforms.find((one) => one === platform) ?? defaultPlatform;
}

/** Only one run at a time changes an instance. */
export function locked<T>(instance: Instance, work: () => Promise<T>): Promise<T> {
  return exclusively(`lab-${instance.number}`, `lab ${instance.number}`, work);
}

async function step<T>(say: Log, what: string, work: () => Promise<T>, quietBelowMs = 0): Promise<T> {
  const start = Date.now();
  const notice = setTimeout(() => say(`  waiting for ${what}`), 5000);
  const result = await work().finally(() => clearTimeout(notice));
  const took = Date.now() - start;
  if (took >= quietBelowMs) say(`  ${what} (${(took / 1000).toFixed(1)} s)`);
  return result;
}

/** Settles a lab's platform for good, where it has none yet. @throws LabError where it has another one */
export function settle(instance: Instance, wanted: Platform | undefined): Platform {
  const known = fs.existsSync(settingsFile(instance)) ? platformOf(instance) : undefined;
  if (known !== undefined && wanted !== undefined && known !== wanted) {
    throw new LabError(
      `lab ${instance.number} is one of platform ${known}: run clean first, or take another lab with MOORAGE_LAB`,
    );
  }
  const platform = known ?? wanted ?? defaultPlatform;
  if (known === undefined) writeAtomic(settingsFile(instance), `${JSON.stringify({ platform })}\n`);
  return platform;
}

/** Makes the lab, or whatever of it is not there. Gives back the instance and what each host is. */
export async function up(options: UpOptions): Promise<{ instance: Instance; started: number }> {
  await checkMachine();
  const instance = await claimInstance();
  checkFolder(instance);
  const { say } = options;
  return locked(instance, async () => {
    const platform = settle(instance, options.platform);
    const base = await step(
      say,
      "the hosts' base: Debian with systemd, Docker and Ignition (built once, about a minute)",
      baseRoot,
      300,
    );
    await ensureKeys(instance);
    raiseLimits(say);
    let started = 0;
    if (await ensureNetwork(instance)) say(`  network 10.0.2.0/24 in namespace ${instance.netns}`);
    if (platform === "virtualbox" && (await ensureHypervisor(instance))) {
      say(`  hypervisor: ssh port ${instance.hypervisorPort}`);
      started++;
    }
    // Guests are the hypervisor's to make; the lab only gives back the power that they had.
    const isGuest = (host: Host): boolean => platform === "virtualbox" && host.kind === "node";
    const wanted = instance.hosts.filter(
      (host) => !isSwitchedOff(host) && (!isGuest(host) || hadPower(host)),
    );
    for (const host of wanted) if (await switchOn(instance, host, { base, platform })) started++;
    if (started > 0) {
      say("  hosts switched on; waiting for SSH on each, and for Docker on those that come installed");
    }
    const forwarded = await ensureForwards(instance, platform);
    if (forwarded > 0) say("  forwards on 127.0.0.1");
    started += forwarded;
    if (platform === "virtualbox") await connectGuests(instance);
    await Promise.all(
      wanted.map((host) =>
        step(
          say,
          `${host.name}: ${host.address}, ssh port ${host.sshPort}`,
          () => waitReady(host, platform),
          500,
        ),
      ),
    );
    for (const host of instance.hosts.filter(isSwitchedOff)) {
      say(`  ${host.name} was switched off and stays off (npm run -s lab -- on ${host.name})`);
    }
    return { instance, started };
  });
}

/** Switches one host on and waits until it answers. */
export function on(instance: Instance, host: Host): Promise<HostState> {
  return locked(instance, () => powerUp(instance, host));
}

async function powerUp(instance: Instance, host: Host, told?: Told): Promise<HostState> {
  const platform = platformOf(instance);
  if (platform === "virtualbox" && host.kind === "node" && !isFurnished(host))
    throw new LabError(`the hypervisor has no guest ${host.name} yet: make lab makes it, by pulumi up`);
  await ensureNetwork(instance);
  await switchOn(instance, host, { base: await baseRoot(), platform, told });
  await ensureForwards(instance, platform);
  return waitReady(host, platform);
}

/** Cuts one host's power; it stays off until `on`. */
export function off(instance: Instance, host: Host): Promise<void> {
  return locked(instance, () => switchOff(instance, host));
}

/** Cuts one host's power and switches it on again. */
export async function reboot(instance: Instance, host: Host): Promise<HostState> {
  await off(instance, host);
  return on(instance, host);
}

/**
 * Gives a node an empty system disk, so that it boots its live installer; the data disk stays as it is.
 * @param told what the installer boots with, until the node is switched on again. @default what the lab tells it
 */
export function reinstall(instance: Instance, host: Host, told?: Told): Promise<HostState> {
  if (host.kind !== "node") throw new LabError(`${host.name} is no node: only nodes are installed`);
  if (platformOf(instance) === "virtualbox")
    throw new LabError(`${host.name} is a guest: replace it with pulumi up --replace, its data disk stays`);
  return locked(instance, async () => {
    await switchOff(instance, host);
    await discardSystem(host);
    fs.rmSync(accessFile(instance, host), { force: true });
    return powerUp(instance, host, told);
  });
}

/** Takes the lab away without a trace; copes with one that is half made. */
export async function clean(instance: Instance): Promise<void> {
  await checkMachine();
  await locked(instance, async () => {
    const present = instance.hosts.filter(
      (host) => fs.existsSync(host.dir) || fs.existsSync(`/run/netns/${host.netns}`),
    );
    stopHypervisor(instance);
    await Promise.all(present.map((host) => switchOff(instance, host)));
    await removeNetwork(instance);
    await unmountBelow(instance.dir);
    await detachAll(instance.dir);
    await removeFolder(instance);
  });
  if (fs.existsSync(labRoot())) restoreLimits();
  removeIfEmpty(labRoot());
}

/** A folder that somebody has mounted is theirs, and stays. */
function removeIfEmpty(folder: string): void {
  if (!fs.existsSync(folder) || fs.readdirSync(folder).length > 0) return;
  try {
    fs.rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
  }
}

/** Its owner goes last: by it a clean that was cut off is found, and finished by the next one. */
async function removeFolder(instance: Instance): Promise<void> {
  const inside = fs.existsSync(instance.dir) ? fs.readdirSync(instance.dir) : [];
  const parts = inside.map((name) => path.join(instance.dir, name));
  for (const part of parts.filter((one) => one !== ownerFile(instance.number))) {
    await must("rm", ["-rf", "--one-file-system", part]);
  }
  await must("rm", ["-rf", "--one-file-system", instance.dir]);
}

async function unmountBelow(dir: string): Promise<void> {
  const mounted = (readIf("/proc/self/mountinfo") ?? "").split("\n").map((line) => line.split(" ")[4] ?? "");
  for (const target of mounted
    .filter((one) => one.startsWith(`${dir}/`))
    .sort()
    .reverse()) {
    await run("umount", ["-l", target]);
  }
}

/** What a stack's configuration needs to know of the lab. No secret is in it, only paths to keys. */
export function info(instance: Instance): object {
  const platform = platformOf(instance);
  return {
    instance: instance.number,
    dir: instance.dir,
    platform,
    network: { cidr: "10.0.2.0/24", gateway: instance.gateway, vip: instance.vip },
    registryPort: instance.registryPort,
    installerKey: installerKey(instance),
    installerUser: "core",
    hosts: Object.fromEntries(
      instance.hosts.map((host) => [
        host.name,
        {
          kind: host.kind,
          address: host.address,
          interface: "eth0",
          mac: host.mac,
          ssh: { host: "127.0.0.1", port: host.sshPort },
          state: hostState(host),
          on: isOn(host),
          installerHostKey: fs.existsSync(`${hostKeyFile(host)}.pub`) ? hostPublicKey(host) : null,
          installerHostKeyFile: `${hostKeyFile(host)}.pub`,
          disks: disksOf(host).map((disk) => `/dev/disk/by-id/${disk.id}`),
        },
      ]),
    ),
  };
}
