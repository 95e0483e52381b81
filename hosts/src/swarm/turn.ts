/** The turns that nodes take: nobody is changed while another is away, nor after one that did not come back. */
import { HostError } from "../errors";
import { disruptionLock } from "../locks";

/**
 * The row of nodes that this update changes: the one that stopped it, after which all are left as they are. It did not
 * come back into service, unless another reason is given.
 */
export const row: { stoppedBy?: string; reason?: string } = {};

/** Does `work` when nobody else is away and `may` says so; one that fails stops all behind it. */
export async function inTurn<T>(node: string, may: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  return disruptionLock.use(async () => {
    if (row.stoppedBy !== undefined) {
      throw new HostError(
        node,
        `is left as it is, as ${row.stoppedBy} ${row.reason ?? "did not come back into service"}. Mend that one and run again: the update goes on from there`,
      );
    }
    await may();
    return orStop(node, work);
  });
}

/** A node that fails stops all that are behind it. */
export async function orStop<T>(node: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    row.stoppedBy = node;
    throw error;
  }
}
