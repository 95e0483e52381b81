/** A node's data disk: slow, full, or read-only. */
import * as fs from "node:fs";
import * as path from "node:path";
import { disksOf, loopOf } from "../disks";
import { LabError, must, readIf, run, waitFor, type Finished } from "../exec";
import { consoleCommand, leaderPid } from "../hosts";
import { groupOf, groupsBelow, handDown, isUnified, processesOf, setIn } from "./cgroups";
import { shellIn, type Place } from "./place";

const FILL = ".lab-fill";
/** Of a disk that is about to die, not one that is only old. */
const SLOW = { bytes: 2 * 1024 ** 2, operations: 40 };

interface DataDisk {
  readonly device: string;
  /** `MAJOR:MINOR` */
  readonly number: string;
}

async function dataDiskOf({ host }: Place): Promise<DataDisk> {
  const [, disk] = disksOf(host);
  const device = disk && (await loopOf(disk.file));
  if (device === undefined) throw new LabError(`${host.name} has no data disk that is attached`);
  const number = fs.readFileSync(`/sys/class/block/${path.basename(device)}/dev`, "utf8").trim();
  return { device, number };
}

/** The folder a host's data disk is mounted on, as the host itself sees it. */
export async function dataFolder(place: Place): Promise<string> {
  const { device, number } = await dataDiskOf(place);
  const pid = await leaderPid(place.host);
  if (pid === undefined) throw new LabError(`${place.host.name} is off: switch it on first`);
  // Binds of folders in it have longer names.
  const folders = mountsOf(pid, number).map(({ target }) => target);
  const [folder] = folders.sort((one, other) => one.length - other.length);
  if (folder !== undefined) return folder;
  throw new LabError(`${place.host.name} has no file system of ${device} mounted`);
}

/**
 * Limits reads and writes, bytes and operations, of all that runs on the host by now. On cgroup 1 a limit holds for
 * one group alone: containers started afterwards are not slowed down. On cgroup 2 it is one limit for the whole host.
 * @throws NotHere on a machine with cgroup 2 that hands no `io` controller down to the lab
 */
export const slowDown = (place: Place): Promise<void> => limit(place, SLOW);

export const speedUp = (place: Place): Promise<void> => limit(place, undefined);

async function limit(place: Place, limits: typeof SLOW | undefined): Promise<void> {
  const { number } = await dataDiskOf(place);
  if (isUnified()) {
    handDown(place, "io");
    const { bytes, operations } = limits ?? { bytes: "max", operations: "max" };
    const value = `${number} rbps=${bytes} wbps=${bytes} riops=${operations} wiops=${operations}`;
    return setIn(groupOf(place, "io"), "io.max", value);
  }
  for (const group of groupsBelow(groupOf(place, "blkio"))) {
    for (const direction of ["read", "write"]) {
      setIn(group, `blkio.throttle.${direction}_bps_device`, `${number} ${limits?.bytes ?? 0}`);
      setIn(group, `blkio.throttle.${direction}_iops_device`, `${number} ${limits?.operations ?? 0}`);
    }
  }
}

/** Writes of a look whether the disk is slow, past every cache. */
const WRITES = 100;
/** Enters a group and becomes a command. `$0` is the group. */
const IN_GROUP = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

/** Whether small writes of one of the host's processes take as long as the limit has them take. */
export async function isSlow(place: Place): Promise<boolean> {
  const file = `${await dataFolder(place)}/.lab-look`;
  const line = `dd if=/dev/zero of=${file} bs=4k count=${WRITES} oflag=direct 2>&1; rm -f ${file}`;
  const command = await consoleCommand(place.host, ["timeout", "-k", "1", "30", "sh", "-c", line]);
  const own = groupOf(place, "blkio");
  // On cgroup 2 a group that has groups has no processes.
  const group = isUnified() ? path.join(own, "moorage-look") : own;
  fs.mkdirSync(group, { recursive: true });
  try {
    const said = await must("sh", ["-c", IN_GROUP, group, ...command]);
    const seconds = Number(/ copied, ([\d.e-]+) s/.exec(said)?.[1]);
    if (Number.isNaN(seconds)) throw new LabError(`${place.host.name}: ${said.trim()}`);
    return seconds > WRITES / SLOW.operations / 2;
  } finally {
    if (isUnified()) fs.rmdirSync(group);
  }
}

/**
 * What a full disk may have left, in MiB: a push that was under way gives its room back when it ends, after which nobody
 * takes it again.
 */
export const LEFT_MIB = 48;

/** Takes every byte of the data disk, also those kept for root. */
export async function fillUp(place: Place): Promise<void> {
  const file = `${await dataFolder(place)}/${FILL}`;
  const line = [
    `free=$(df --output=avail -B1 "$(dirname ${file})" | tail -n 1)`,
    `fallocate -l "$free" ${file}.1 || fallocate -l "$((free - 33554432))" ${file}.1`,
    `cat /dev/zero > ${file}.2`,
    `[ "$(df --output=avail -B1 "$(dirname ${file})" | tail -n 1)" -lt ${LEFT_MIB * 1024 ** 2} ]`,
  ].join("\n");
  const done = await shellIn(place, `{ ${line}\n} 2>/dev/null`, 60);
  if (done.code !== 0) throw new LabError(`the data disk of ${place.host.name} does not fill up`);
}

export async function empty(place: Place): Promise<void> {
  const file = `${await dataFolder(place)}/${FILL}`;
  const done = await shellIn(place, `rm -f ${file}.1 ${file}.2`);
  if (done.code !== 0) throw new LabError(`${place.host.name}: ${done.output.trim()}`);
}

/**
 * Makes every mount of the data disk read-only, in the host and in each of its containers, and containers made
 * afterwards have it from the host. A mount through which a file is open for writing cannot be made so: etcd's, whose
 * log always is, goes on writing until it is started again.
 */
export async function setReadOnly(place: Place, readOnly: boolean): Promise<void> {
  const { number } = await dataDiskOf(place);
  const mode = readOnly ? "ro" : "rw";
  for (const pid of oneOfEachNamespace(processesOf(groupOf(place, "systemd")))) {
    for (const mount of mountsOf(pid, number)) {
      await remount(mount, mode, mountIn(pid));
    }
  }
}

/** Whether a process sees the host's data disk, and can write through none of its mounts. */
export async function isReadOnly(place: Place, pid: number): Promise<boolean> {
  const mounts = mountsOf(pid, (await dataDiskOf(place)).number);
  return mounts.length > 0 && mounts.every(({ readOnly }) => readOnly);
}

/** How long a file may be open for writing, of a layer that is being pushed; and etcd's, which always is. */
const BUSY_MS = 10_000;
const ALWAYS_BUSY_MS = 1500;
const ETCD = "/etcd/store";

/** Runs a program that mounts, where the mount is; undefined where nobody is there any more. */
type MountProgram = (args: readonly string[]) => Promise<Finished | undefined>;

const mountIn =
  (pid: number): MountProgram =>
  async (args) => {
    // With the processes' names too: what mounts reads /proc.
    const done = await run("nsenter", ["-t", String(pid), "-m", "-p", ...args]);
    return fs.existsSync(`/proc/${pid}`) ? done : undefined;
  };

/**
 * A mount through which a file is open for writing stays as it is: the kernel refuses, and so it says "busy".
 * @throws LabError where it stays so, and is not etcd's
 */
export async function remount(
  { root, target }: Mount,
  mode: "ro" | "rw",
  inPlace: MountProgram,
  busyMs = BUSY_MS,
): Promise<void> {
  const command = ["mount", "-o", `remount,bind,${mode}`, target];
  let said = "";
  const attempt = async (): Promise<true | undefined> => {
    const words: string[] = [];
    for (const program of [[], ["busybox"]]) {
      const done = await inPlace([...program, ...command]);
      if (done === undefined || done.code === 0) return true;
      words.push(done.output.trim());
    }
    said = words.join(" / ");
    return undefined;
  };
  const isEtcds = root === ETCD;
  if (await waitFor(attempt, isEtcds ? Math.min(ALWAYS_BUSY_MS, busyMs) : busyMs)) return;
  if (!isEtcds || !/resource busy|is busy/i.test(said))
    throw new LabError(`${target} cannot be remounted ${mode}: ${said}`);
}

/** One process of every mount namespace among them. */
function oneOfEachNamespace(pids: readonly number[]): number[] {
  const found = new Map<string, number>();
  for (const pid of pids) {
    try {
      const namespace = fs.readlinkSync(`/proc/${pid}/ns/mnt`);
      if (!found.has(namespace)) found.set(namespace, pid);
    } catch {
      // It ended meanwhile.
    }
  }
  return [...found.values()];
}

/** Where a device, or a folder of it, is mounted. */
export interface Mount {
  /** The folder. */
  readonly root: string;
  readonly target: string;
  readonly readOnly: boolean;
}

const plain = (name: string): string =>
  name.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));

/** Where a process sees a device mounted; of several in one place, the uppermost. @param number `MAJOR:MINOR` */
export function mountsIn(mountinfo: string, number: string): Mount[] {
  const rows = mountinfo.split("\n").map((line) => line.split(" "));
  const found = rows
    .filter((row) => row[2] === number)
    .map(([, , , root = "", target = "", options = ""]): Mount => ({
      root: plain(root),
      target: plain(target),
      readOnly: options.split(",").includes("ro"),
    }));
  return [...new Map(found.map((mount) => [mount.target, mount])).values()];
}

const mountsOf = (pid: number, number: string): Mount[] =>
  mountsIn(readIf(`/proc/${pid}/mountinfo`) ?? "", number);
