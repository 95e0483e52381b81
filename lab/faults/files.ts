/** Files of a node's data disk: their bytes changed, or gone; and a host lost with all it had. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { discardAll } from "../disks";
import { LabError, must, waitFor } from "../exec";
import { leaderPid, switchOff } from "../hosts";
import { platformOf } from "../lab";
import { accessFile } from "../ssh";
import { hypervisorFolder } from "../virtualbox/hypervisor";
import { programOf } from "../virtualbox/service";
import { dataFolder } from "./dataDisk";
import type { Place } from "./place";

/** Folders of the data disk whose owner can lose them. */
export const owners = ["minio", "etcd"] as const;
export type Owner = (typeof owners)[number];

export function ownerNamed(text: string | undefined): Owner {
  const known = owners.find((name) => name === (text ?? "minio"));
  if (known) return known;
  throw new LabError(`nobody called "${text}" has files on a data disk: give one of ${owners.join(", ")}`);
}

/** An owner's folder in a host that runs, as this machine reaches it. */
async function folderOf(place: Place, owner: Owner): Promise<string> {
  const pid = await leaderPid(place.host);
  if (pid === undefined) throw new LabError(`${place.host.name} is off: switch it on first`);
  return path.join(`/proc/${pid}/root`, await dataFolder(place), owner);
}

/**
 * What of MinIO's own files rots with the others: settings, users and their policies, and what it notes about buckets. Not
 * `format.json`, without which a drive is none of MinIO's until somebody empties it, nor what is being written.
 */
const OF_MINIO = /\/\.minio\.sys\/(config|buckets)\//;

export const canRot = (file: string): boolean => !file.includes("/.minio.sys/") || OF_MINIO.test(file);

/**
 * Changes some bytes in the middle of what every file of an owner holds that can rot. Says how many.
 * @throws LabError where there is none
 */
export async function corrupt(place: Place, owner: Owner): Promise<number> {
  const files = filesBelow(await folderOf(place, owner)).filter(canRot);
  const damaged = files.filter(damage).length;
  if (damaged === 0) throw new LabError(`${place.host.name} has no files of ${owner} to corrupt`);
  return damaged;
}

/** Files come and go while their owner works. */
function damage(file: string): boolean {
  try {
    const descriptor = fs.openSync(file, "r+");
    try {
      const size = writtenOf(descriptor);
      const bytes = randomBytes(Math.min(64, size));
      fs.writeSync(descriptor, bytes, 0, bytes.length, Math.floor((size - bytes.length) / 2));
    } finally {
      fs.closeSync(descriptor);
    }
    return true;
  } catch {
    return false;
  }
}

/** A file's size without the zeros at its end: a log is as long as it may become from the beginning. */
function writtenOf(descriptor: number): number {
  const piece = Buffer.alloc(1024 ** 2);
  for (let { size: end } = fs.fstatSync(descriptor); end > 0;) {
    const start = Math.max(0, end - piece.length);
    const length = fs.readSync(descriptor, piece, 0, end - start, start);
    for (let at = length - 1; at >= 0; at -= 1) if (piece[at] !== 0) return start + at + 1;
    end = start;
  }
  return 0;
}

export function filesBelow(folder: string): string[] {
  const entries = fs.existsSync(folder) ? fs.readdirSync(folder, { withFileTypes: true }) : [];
  return entries.flatMap((entry) => {
    const found = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(found);
    return entry.isFile() ? [found] : [];
  });
}

/** Takes everything in an owner's folder away, under its feet. @throws LabError where there is nothing */
export async function wipe(place: Place, owner: Owner): Promise<void> {
  const folder = await folderOf(place, owner);
  if (filesBelow(folder).length === 0)
    throw new LabError(`${place.host.name} has no files of ${owner} to lose`);
  for (const name of fs.readdirSync(folder)) await removeInUse(path.join(folder, name));
}

/** Rounds are short, and one of them meets a moment in which nothing is written. */
const REMOVAL_MS = 20_000;

/**
 * Removes a folder that somebody goes on writing into: what comes while it is emptied goes in another round.
 * `maxRetries` of Node.js's own would remove the folder alone again. @throws the last round's error
 */
export async function removeInUse(folder: string): Promise<void> {
  let left: unknown;
  const round = async (): Promise<true | undefined> => {
    try {
      await fs.promises.rm(folder, { recursive: true, force: true });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
      left = error;
      return undefined;
    }
  };
  if (!(await waitFor(round, REMOVAL_MS, 0))) throw left;
}

/**
 * Takes a node's power and both its disks: what comes on in its place is another, empty machine. A guest is gone from its
 * hypervisor with them, and an update makes another one.
 */
export async function lose({ instance, host }: Place): Promise<void> {
  if (host.kind !== "node") throw new LabError(`${host.name} is no node: clients have nothing to lose`);
  await switchOff(instance, host);
  if (platformOf(instance) === "virtualbox") {
    await must(programOf(hypervisorFolder(instance)), ["unregistervm", host.name, "--delete"]);
  } else await discardAll(host);
  fs.rmSync(accessFile(instance, host), { force: true });
}
