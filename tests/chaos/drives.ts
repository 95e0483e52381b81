/** Which version of each object a drive of MinIO has, read past the node and past MinIO. */
import * as fs from "node:fs";
import * as path from "node:path";
import { leaderPid } from "../../lab/hosts";
import type { Place } from "../../lab/faults/place";

/** The beginning of an `xl.meta`: when its latest version was written, and the checksum of what is noted about it. */
const HEAD_BYTES = 64;
/** After so many files whatever else waits has its turn. */
const AT_A_TIME = 100;

/** The head of each object's file, by its path below the drive's folder; one that is gone by now has none. */
export async function headsOn(
  { host }: Place,
  drive: string,
  objects: readonly string[],
): Promise<Map<string, string>> {
  const pid = await leaderPid(host);
  if (pid === undefined) return new Map();
  const root = path.join(`/proc/${pid}/root`, drive);
  return headsIn(root, objects);
}

export async function headsIn(folder: string, objects: readonly string[]): Promise<Map<string, string>> {
  const heads = new Map<string, string>();
  for (const object of objects) {
    if (heads.size % AT_A_TIME === 0) await new Promise(setImmediate);
    heads.set(object, headOf(path.join(folder, object)));
  }
  return heads;
}

export function headOf(file: string): string {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const descriptor = fs.openSync(file, "r");
    try {
      fs.readSync(descriptor, head, 0, HEAD_BYTES, 0);
    } finally {
      fs.closeSync(descriptor);
    }
    return head.toString("hex");
  } catch {
    return "";
  }
}

/** Objects of which drives have different versions. What is gone from one meanwhile was of an upload that ended. */
export function unlike(drives: readonly ReadonlyMap<string, string>[]): string[] {
  const [first = new Map<string, string>()] = drives;
  return [...first.keys()].filter((object) => {
    const heads = drives.map((drive) => drive.get(object) ?? "");
    return !heads.includes("") && new Set(heads).size > 1;
  });
}
