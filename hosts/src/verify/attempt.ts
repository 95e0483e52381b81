/** Checks that end in time, and whose failures are findings. */
import { HostError, messageOf, reasonOf } from "../errors";
import { within } from "../time";
import type { Check } from "./report";

/** However something hangs, what is asked of it is given up after this. */
const CHECK_SECONDS = 60;

/** The check's own finding, or a red one with what it threw. */
export async function attempt(name: string, check: () => Promise<Check>): Promise<Check> {
  const late = () => new HostError("check", `no end within ${CHECK_SECONDS} s`);
  try {
    return await within(CHECK_SECONDS, check(), late);
  } catch (error) {
    const [detail = "", ...more] = messageOf(error).split("\n");
    return { name, green: false, detail, ...(more.length > 0 ? { more } : {}) };
  }
}

/** Why something did not go well; nothing when it did. */
export async function asked(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return reasonOf(error, error.node).split("\n")[0];
  }
}

/** The first node's answer; every node's reason where none gives one. */
export async function firstThat<T>(
  nodes: readonly string[],
  none: string,
  work: (node: string) => Promise<T>,
): Promise<T> {
  const reasons: string[] = [];
  for (const node of nodes) {
    try {
      return await work(node);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      reasons.push(messageOf(error));
    }
  }
  throw new HostError("check", reasons.join("; ") || none);
}
