/** nginx's content cache on nodes. */
import { HostError } from "./errors";
import { brief } from "./ssh/connect";
import { runScript } from "./ssh/exec";
import { closeConnections } from "./ssh/pool";
import { recordedStack, type RecordedNode } from "./verify/recorded";

/** Prints the blocks of each file, of 512 bytes. nginx fetches again what it does not find. */
const clearScript = `[ ! -d "$1" ] || { echo; find "$1" -type f -printf '%b\\n' -delete; }`;

export interface ClearedCache {
  readonly node: string;
  readonly files: number;
  /** On the disk. */
  readonly bytes: number;
}

/**
 * Empties the content cache of a node, or of every node of the stack that has one.
 * @param folder of the cache, on the nodes
 * @param stack the selected one by default
 * @returns what was removed, or why it was not; nothing for a node without a cache.
 * @throws HostError if there is no such node, Error if the stack's state cannot be read.
 */
export async function clearCaches(
  folder: string,
  { stack, node }: { readonly stack?: string; readonly node?: string },
): Promise<(ClearedCache | HostError)[]> {
  const { nodes } = await recordedStack(stack);
  const chosen = nodes.filter(({ name }) => node === undefined || name === node);
  if (node !== undefined && chosen.length === 0)
    throw new HostError(node, `no such node: the stack has ${nodes.map(({ name }) => name).join(", ")}`);
  try {
    const results = await Promise.all(chosen.map((each) => clear(each, folder)));
    return results.filter((result) => result !== undefined);
  } finally {
    closeConnections();
  }
}

async function clear(
  { name: node, connection }: RecordedNode,
  folder: string,
): Promise<ClearedCache | HostError | undefined> {
  try {
    const options = { sudo: true, patience: brief, timeoutSeconds: 600, purpose: "emptying the cache" };
    const { stdout } = await runScript(connection, clearScript, [folder], options);
    if (stdout === "") return undefined;
    const blocks = stdout.split("\n").filter(Boolean).map(Number);
    return { node, files: blocks.length, bytes: 512 * blocks.reduce((sum, each) => sum + each, 0) };
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
}
