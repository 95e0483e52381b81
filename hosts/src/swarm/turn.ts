/** The turns that nodes take: nobody is changed while another is away, nor after one that did not come back. */
import { HostError } from "../errors";
import { disruptionLock } from "../locks";

/**
 * The row of nodes that this update changes: the one that stopped it, after which all are left as they are. It did not
 * come back into service, unless another reason is given.
 */
export const row: { stoppedBy?: string; reason?: string } = {};

/** What is under way on nodes that get what all have to agree on. */
const agreeing = new Set<Promise<unknown>>();

/** What the others are told of a node that failed; by default, that it did not come back into service. */
type Why = (error: unknown) => string | undefined;

/** @throws HostError where the row was stopped. */
export function mayGo(node: string): void {
  if (row.stoppedBy === undefined) return;
  throw new HostError(
    node,
    `is left as it is, as ${row.stoppedBy} ${row.reason ?? "did not come back into service"}. Mend that one and run again: the update goes on from there`,
  );
}

/**
 * Does on a node at once what all do who have to agree, and keeps every turn from beginning meanwhile.
 * @param work takes no turn itself.
 */
export async function beforeTurns(work: () => Promise<void>): Promise<void> {
  const done = work();
  agreeing.add(done);
  try {
    await done;
  } finally {
    agreeing.delete(done);
  }
}

/**
 * Does `work` when nobody else is away or about to agree with others, and `may` says so; one that fails stops all behind
 * it.
 */
export async function inTurn<T>(
  node: string,
  may: () => Promise<void>,
  work: () => Promise<T>,
  why?: Why,
): Promise<T> {
  return disruptionLock.use(async () => {
    while (agreeing.size > 0) await Promise.allSettled(agreeing);
    mayGo(node);
    await may();
    return orStop(node, work, why);
  });
}

/** A node that fails stops all that are behind it. */
export async function orStop<T>(node: string, work: () => Promise<T>, why?: Why): Promise<T> {
  try {
    return await work();
  } catch (error) {
    row.stoppedBy = node;
    row.reason = why?.(error);
    throw error;
  }
}
