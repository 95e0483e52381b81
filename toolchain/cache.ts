import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { lastWords, run, ToolError, type Log } from "./run";

/** The folder of what can be made again: tools, links to them, logs. */
export function cacheRoot(env: NodeJS.ProcessEnv): string {
  if (env.MOORAGE_CACHE) return path.resolve(env.MOORAGE_CACHE);
  return path.join(env.XDG_CACHE_HOME || path.join(env.HOME || os.homedir(), ".cache"), "moorage");
}

/**
 * Does `work` while holding a lock that other runs on this machine respect. The lock is held by a
 * child process that ends when this process ends, in whatever way, so a killed run leaves none behind.
 */
export async function withLock<T>(file: string, what: string, log: Log, work: () => Promise<T>): Promise<T> {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const release = (await tryLock(file, ["--nonblock"])) ?? (await waitForLock(file, what, log));
  try {
    return await work();
  } finally {
    await release();
  }
}

async function waitForLock(file: string, what: string, log: Log): Promise<Release> {
  log(`${what}: waiting for another run that is at it`);
  const release = await tryLock(file, []);
  if (release === undefined) throw new ToolError(`${what}: cannot lock ${file}`);
  return release;
}

/** Lets a lock go; done once somebody else can have it. */
type Release = () => Promise<void>;

function tryLock(file: string, options: readonly string[]): Promise<Release | undefined> {
  return new Promise((resolve, reject) => {
    const held = spawn("flock", [...options, file, "sh", "-c", "echo held; exec cat"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    held.on("error", (error) =>
      reject(new ToolError(`cannot lock ${file}: ${error.message} (flock is in util-linux)`)),
    );
    held.stdin.on("error", () => undefined);
    const closed = new Promise<void>((done) => held.on("close", () => done()));
    const release = (): Promise<void> => {
      held.stdin.end();
      return closed;
    };
    held.stdout.once("data", () => resolve(release));
    void closed.then(() => resolve(undefined));
  });
}

/**
 * Makes a folder that is either whole or not there: `fill` works in a temporary folder beside it,
 * which takes its place at the end. A second run waits for the first, and uses its result.
 */
export async function madeOnce(
  target: string,
  what: string,
  log: Log,
  fill: (temporary: string) => Promise<void>,
): Promise<string> {
  if (fs.existsSync(target)) return target;
  const name = path.basename(target);
  const folder = path.dirname(target);
  return withLock(path.join(folder, `.${name}.lock`), what, log, async () => {
    if (fs.existsSync(target)) return target;
    const temporary = path.join(folder, `.${name}.tmp`);
    await removeTree(temporary);
    fs.mkdirSync(temporary);
    try {
      await fill(temporary);
      fs.renameSync(temporary, target);
    } finally {
      // What cannot be removed now is told by the next run; this one has something else to tell.
      await removeTree(temporary).catch(() => undefined);
    }
    return target;
  });
}

/** Node's own removal would go into whatever a run that was cut off left mounted there. */
async function removeTree(folder: string): Promise<void> {
  const done = await run("rm", ["-rf", "--one-file-system", folder], { env: process.env });
  if (done.code !== 0) throw new ToolError(`${folder} cannot be removed: ${lastWords(done.output, 1)}`);
}

/** Points `link` to `target`, in one step; a link that is right is left alone. */
export function pointTo(link: string, target: string): void {
  try {
    if (fs.readlinkSync(link) === target) return;
  } catch {
    // not there yet, or not a link
  }
  replaceInOneStep(link, (temporary) => fs.symlinkSync(target, temporary));
}

/** Has something made beside its place, and then there: another run may be using what is there. */
export function replaceInOneStep(file: string, make: (temporary: string) => void): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.rmSync(temporary, { force: true });
  make(temporary);
  fs.renameSync(temporary, file);
}
