import * as fs from "node:fs";
import * as path from "node:path";
import { must, run } from "./exec";
import { exclusively, type Host } from "./instance";

const GIB = 1024 ** 3;
const SYSTEM_BYTES = 8 * GIB;
const DATA_BYTES = 4 * GIB;

/** The label of a system disk that boots; the installer's stand-in writes it last. */
export const ROOT_LABEL = "MOORAGE-LAB-ROOT";

/** One disk of a host: its stable name under /dev/disk/by-id, its file, its size. */
export interface Disk {
  readonly id: string;
  readonly file: string;
  readonly bytes: number;
}

/** A disk with the loop device it is attached to. */
export interface AttachedDisk extends Disk {
  readonly device: string;
}

/** The disks of a host: the system disk first; a node has a data disk too. */
export function disksOf(host: Host): readonly Disk[] {
  const disk = (role: string, bytes: number): Disk => ({
    id: `lab-${host.name}-${role}`,
    file: path.join(host.dir, `${role}.img`),
    bytes,
  });
  const system = disk("system", SYSTEM_BYTES);
  return host.kind === "node" ? [system, disk("data", DATA_BYTES)] : [system];
}

/** The loop device a file is attached to, or undefined. */
export async function loopOf(file: string): Promise<string | undefined> {
  const listed = await run("losetup", ["--associated", file, "--noheadings", "--output", "NAME"]);
  return listed.stdout.trim().split("\n")[0]?.trim() || undefined;
}

/** Makes and attaches a host's disks where that is not done yet. */
export async function ensureDisks(host: Host): Promise<readonly AttachedDisk[]> {
  fs.mkdirSync(host.dir, { recursive: true });
  return exclusively("loop", "attaching disks", async () => {
    const attached: AttachedDisk[] = [];
    for (const disk of disksOf(host)) {
      if (!fs.existsSync(disk.file)) await must("truncate", ["-s", String(disk.bytes), disk.file]);
      const device =
        (await loopOf(disk.file)) ?? (await must("losetup", ["--find", "--show", disk.file])).trim();
      attached.push({ ...disk, device });
    }
    return attached;
  });
}

/** The label on a device, or undefined where it has none. */
export async function labelOf(device: string): Promise<string | undefined> {
  const probed = await run("blkid", ["-p", "-o", "value", "-s", "LABEL", device]);
  return probed.stdout.trim() || undefined;
}

/** Makes an empty system disk one that boots without an installation (clients, existing hosts). */
export async function preinstall(device: string): Promise<void> {
  if ((await labelOf(device)) === ROOT_LABEL) return;
  await must("mkfs.ext4", ["-q", "-F", "-E", "nodiscard", "-L", ROOT_LABEL, device]);
}

/**
 * Takes a host's system disk away: it comes back empty, and the host boots its live installer next. The device is
 * another one, since mount namespaces of other hosts may hold on to the old one.
 */
export async function discardSystem(host: Host): Promise<void> {
  const [system] = disksOf(host);
  if (system) await discard(system);
}

/** The same with all that a host has. */
export async function discardAll(host: Host): Promise<void> {
  for (const disk of disksOf(host)) await discard(disk);
}

async function discard({ file }: { readonly file: string }): Promise<void> {
  const device = await loopOf(file);
  fs.rmSync(file, { force: true });
  if (device !== undefined) await must("losetup", ["--detach", device]);
}

/** Detaches every loop device whose file lies in `dir`. */
export async function detachAll(dir: string): Promise<void> {
  const listed = await run("losetup", ["--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"]);
  for (const line of listed.stdout.split("\n")) {
    const [device, file] = line.split(" ");
    if (device && file?.startsWith(`${dir}/`)) await run("losetup", ["--detach", device]);
  }
}
