/** Trials: a node gets something that may lock SSH out, and goes back by itself unless SSH returns and keeps it. */
import type { Cluster, Connection } from "../contract";
import { HostError, reasonOf } from "../errors";
import { withMember } from "../etcd/quorum";
import type { Patience } from "../ssh/connect";
import { outOfService } from "../swarm/out-of-service";
import { row } from "../swarm/turn";

/** For a node that is asked over and over, by a new connection each time. */
export const once: Patience = { attempts: 1, timeoutSeconds: 5, pauseSeconds: 0, forgetful: true };

/** The node has again what it had before. */
export class WentBack extends HostError {}

/**
 * Makes a trial when it is the node's turn, which is drained meanwhile.
 * @param cluster absent: it is made at once
 * @param what the node went back to, as the nodes after it are told: `its former network`
 * @throws HostError where the node went back; it is in service then, and those after it are left as they are.
 */
export async function inTrial(
  connection: Connection,
  cluster: Cluster | undefined,
  what: string,
  trial: () => Promise<void>,
): Promise<void> {
  let wentBack: WentBack | undefined;
  const work = async () => {
    try {
      await trial();
    } catch (error) {
      if (!(error instanceof WentBack)) throw error;
      wentBack = error;
      row.stoppedBy = connection.node;
      row.reason = `went back to ${what}`;
    }
  };
  try {
    await (cluster ? outOfService(connection, cluster, work) : withMember(connection, work));
  } catch (error) {
    if (!wentBack) throw error;
    const { node } = connection;
    throw new HostError(node, `${reasonOf(wentBack, node)}\nAfter that: ${reasonOf(error, node)}`);
  }
  if (wentBack) throw wentBack;
}
