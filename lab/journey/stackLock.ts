import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Log } from "../../toolchain";
import { LabError, must, startedAt, waitFor } from "../exec";
import { checkout, stackName, type Instance } from "../instance";
import { backendFolder, hasStack } from "./stack";

/** How long an update that is under way may take. */
const UPDATE_MS = 20 * 60_000;
/** What a lock's time may be off from its holder's start, which is known to a hundredth of a second. */
const SLACK_MS = 2000;

interface LockHolder {
  readonly pid: number;
  readonly hostname: string;
  readonly timestamp: string;
}

/**
 * Waits for an update of this machine that is under way, and takes the stack's lock from one that is no longer alive,
 * so that a killed one does not stand in the way of the next. Says whether there was one to take.
 */
export async function releaseStaleLock(
  instance: Instance,
  env: Record<string, string>,
  say: Log = () => undefined,
): Promise<boolean> {
  const files = lockFiles(instance);
  if (files.length === 0) return false;
  const [alive] = files.map(holderOf).filter((holder) => holder !== undefined && isAlive(holder));
  if (alive !== undefined) {
    await ended(instance, alive, say);
    return releaseStaleLock(instance, env, say);
  }
  // `pulumi cancel` cannot read a lock that was cut off while it was written, and knows none of a stack not made yet.
  const isCutOff = (file: string): boolean => !file.endsWith(".json") || holderOf(file) === undefined;
  const others = hasStack(instance) ? files.filter(isCutOff) : files;
  for (const file of others) fs.rmSync(file, { force: true });
  if (lockFiles(instance).length > 0) {
    await must("pulumi", ["cancel", "--yes", "--stack", stackName], { env, cwd: checkout() });
  }
  return true;
}

async function ended(instance: Instance, holder: LockHolder, say: Log): Promise<void> {
  if (holder.hostname !== os.hostname()) {
    throw new LabError(
      `the stack is locked by an update of process ${holder.pid} on ${holder.hostname}, which nothing here can look at: ` +
        "see to it there, or run `pulumi cancel` if it is gone",
    );
  }
  say(`  process ${holder.pid} updates the stack already; waiting for it to end`);
  const over = async (): Promise<true | undefined> => (isAlive(holder) ? undefined : true);
  if (await waitFor(over, UPDATE_MS, 1000)) return;
  throw new LabError(
    `the update of process ${holder.pid} has not ended in ${UPDATE_MS / 60_000} minutes: end it, then run make lab again`,
  );
}

/** All that Pulumi takes for a lock: one that is being written, under another name, as well. */
function lockFiles(instance: Instance): string[] {
  const folder = path.join(backendFolder(instance), ".pulumi", "locks");
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".attrs"))
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** Who holds a lock; undefined where its file is not whole, or gone by now. */
function holderOf(file: string): LockHolder | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as LockHolder;
  } catch {
    return undefined;
  }
}

/** A process that started after the lock was taken is another one with the same number. */
function isAlive({ pid, hostname, timestamp }: LockHolder): boolean {
  if (hostname !== os.hostname()) return true;
  const start = startedAt(pid);
  return start !== undefined && start <= Date.parse(timestamp) + SLACK_MS;
}
