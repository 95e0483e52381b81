/** Which state of the code a row is of. */
import { LabError, run } from "../../lab/exec";
import { checkout } from "../../lab/instance";

/** What is not of one commit, and of which no two runs are known to be alike. */
const CHANGED = " and uncommitted changes";
const UNKNOWN = "no known commit";

/** The page that a run writes is no change of what it runs. */
const PAGE = ":(exclude)docs/reliability.md";

export async function commitOf(folder = checkout()): Promise<string> {
  const git = (...args: string[]) =>
    run("git", ["-C", folder, ...args]).catch(() => ({ code: 1, stdout: "" }));
  const [head, status] = await Promise.all([
    git("rev-parse", "--short=12", "HEAD"),
    git("status", "--porcelain", "--", ".", PAGE),
  ]);
  if (head.code !== 0 || status.code !== 0) return UNKNOWN;
  return `${head.stdout.trim()}${status.stdout.trim() === "" ? "" : CHANGED}`;
}

/** Whether rows of it are all of the same code. */
export const isOneCommit = (commits: readonly string[]): boolean =>
  commits.length === 1 && commits.every((commit) => /^[0-9a-f]+$/.test(commit));

/** @throws LabError where a run of that code would take hours, and could not be published */
export function mustBePublishable(commit: string): void {
  if (!isOneCommit([commit]))
    throw new LabError(
      `this is ${commit}, of which nothing is published: commit it, or give --only or --out, which write elsewhere`,
    );
}
