import * as fs from "node:fs";
import * as path from "node:path";
import { must, readIf } from "../../lab/exec";
import type { Instance } from "../../lab/instance";
import { forwards } from "../../lab/network";

const nspawnLocks = "/run/systemd/nspawn/locks";

/** What there is of a lab on this machine, one line each; and what a lab may change of the machine but has to give back. */
export interface Traces {
  readonly lab: readonly string[];
  readonly machine: Readonly<Record<string, string>>;
  /** Lock files of systemd-nspawn that nobody holds; other labs may have left some, and take theirs away. */
  readonly staleLocks: readonly string[];
}

export async function tracesOf(instance: Instance): Promise<Traces> {
  const lab = [
    ...mounts(instance),
    ...processes(instance),
    ...cgroups(instance),
    ...(await loopDevices(instance)),
    ...listening(instance),
    ...files(instance),
  ];
  return { lab: lab.sort(), machine: await machine(), staleLocks: staleLocks() };
}

function mounts({ dir, prefix }: Instance): string[] {
  return lines("/proc/self/mountinfo")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(`${dir}/`) || target.includes(`/${prefix}-`))
    .map((target) => `mount ${target}`);
}

/** Whatever runs in the lab's cgroups, or names the lab in its command line. */
function processes({ dir, prefix }: Instance): string[] {
  return entries("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = (readIf(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim();
      const inside = (readIf(`/proc/${pid}/cgroup`) ?? "").includes(`/${prefix}/`);
      const named = command.includes(`${dir}/`) || command.includes(`${prefix}-`);
      return inside || named ? [`process ${command}`] : [];
    });
}

function cgroups({ prefix }: Instance): string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...entries(root).map((name) => path.join(root, name))]
    .map((folder) => path.join(folder, prefix))
    .filter((folder) => fs.existsSync(folder))
    .map((folder) => `cgroup ${folder}`);
}

async function loopDevices({ dir }: Instance): Promise<string[]> {
  const listed = await must("losetup", ["--list", "--noheadings", "--raw", "--output", "BACK-FILE"]);
  return listed
    .split("\n")
    .filter((file) => file.startsWith(`${dir}/`))
    .map((file) => `loop device of ${file}`);
}

function listening(instance: Instance): string[] {
  const ports = new Set([...forwards(instance, "metal").map(({ port }) => port), instance.hypervisorPort]);
  return lines("/proc/net/tcp")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A")
    .map(([, local]) => parseInt(local?.split(":")[1] ?? "", 16))
    .filter((port) => ports.has(port))
    .map((port) => `port ${port}`);
}

/** Its folder, and files of other programs that have its name; /run is four folders deep at the most. */
function files({ dir, prefix }: Instance): string[] {
  const named = (folder: string, depth: number): string[] =>
    entries(folder, true).flatMap((name) => {
      const file = path.join(folder, name);
      if (name.startsWith(`${prefix}-`)) return [`file ${file}`];
      return depth > 0 ? named(file, depth - 1) : [];
    });
  return [...(fs.existsSync(dir) ? [`file ${dir}`] : []), ...named("/run", 3)];
}

async function machine(): Promise<Record<string, string>> {
  return {
    "fs.inotify.max_user_instances": readIf("/proc/sys/fs/inotify/max_user_instances") ?? "",
    routes: await must("ip", ["route", "show", "table", "all"]),
    links: entries("/sys/class/net").join(" "),
  };
}

function staleLocks(): string[] {
  const held = new Set(lines("/proc/locks").map((line) => line.split(/\s+/).at(-3)?.split(":")[2]));
  return entries(nspawnLocks).filter(
    (name) => !held.has(String(fs.statSync(path.join(nspawnLocks, name)).ino)),
  );
}

const lines = (file: string): string[] => (readIf(file) ?? "").split("\n").filter((line) => line !== "");

/** Names in a folder, sorted; what goes away meanwhile, or is no folder, has none. */
function entries(folder: string, foldersOnly = false): string[] {
  try {
    if (foldersOnly && !fs.lstatSync(folder).isDirectory()) return [];
    return fs.readdirSync(folder).sort();
  } catch {
    return [];
  }
}
