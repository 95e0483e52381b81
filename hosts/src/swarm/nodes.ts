/** The Swarm's list of nodes, read and changed through any manager that works. */
import type { Connection } from "../contract";
import { equal } from "../diff";
import { isMissing } from "../docker/api";
import { DockerError, HostError, messageOf } from "../errors";
import { Deadline, poll } from "../time";
import { onManager } from "./managers";
import type { Manager } from "./managers";
import type { NodeSpec, SwarmNode } from "./types";

/** Errors that pass by themselves: an election, a spec changed by somebody else at the same time. */
function passes(error: unknown): boolean {
  if (error instanceof DockerError) {
    if (/loss of quorum/.test(error.reason)) return false;
    return error.status >= 500 || /out of sequence|no elected|deadline exceeded|raft/i.test(error.reason);
  }
  return error instanceof HostError;
}

/** Tries again, on whichever manager works then, while what is in the way passes by itself. */
export async function retrying<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  const deadline = new Deadline(seconds);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!passes(error) || deadline.passed) throw error;
      await deadline.clock.sleep(1000);
    }
  }
}

/** The node as a manager knows it; `undefined` when a manager says that there is none. */
export async function findNode(
  managers: readonly Connection[],
  nodeId: string,
): Promise<SwarmNode | undefined> {
  const purpose = `looking up node ${nodeId}`;
  try {
    return await onManager(managers, purpose, ({ api }) =>
      api.get<SwarmNode>(`/nodes/${encodeURIComponent(nodeId)}`, { purpose, timeoutSeconds: 5 }),
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export type NodeChange = (spec: NodeSpec) => NodeSpec;

/** Changes a node's spec; when somebody else changed it meanwhile, reads it again. Does nothing when nothing changes. */
export function updateNode(
  managers: readonly Connection[],
  nodeId: string,
  change: NodeChange,
): Promise<void> {
  const work = async ({ api }: Manager): Promise<void> => {
    const node = await api.get<SwarmNode>(`/nodes/${nodeId}`, { purpose: `looking up node ${nodeId}` });
    const spec = change(node.Spec);
    if (equal(spec, node.Spec)) return;
    await api.post(`/nodes/${nodeId}/update`, {
      query: { version: String(node.Version.Index) },
      json: spec,
      purpose: `changing node ${node.Description.Hostname}`,
    });
  };
  return retrying(30, () => onManager(managers, `changing node ${nodeId}`, work));
}

/** Whether the node takes tasks. */
export function setAvailability(
  managers: readonly Connection[],
  nodeId: string,
  availability: NodeSpec["Availability"],
): Promise<void> {
  return updateNode(managers, nodeId, (spec) => ({ ...spec, Availability: availability }));
}

/** Takes a node off the list, whatever its state. */
export function removeNode(managers: readonly Connection[], nodeId: string): Promise<void> {
  const purpose = `removing node ${nodeId}`;
  const work = async ({ api }: Manager): Promise<void> => {
    try {
      await api.delete(`/nodes/${nodeId}`, { query: { force: "true" }, purpose });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  };
  return retrying(30, () => onManager(managers, purpose, work));
}

/**
 * Waits until a manager shows the node as wanted.
 * @param what the state in words: "ready"
 */
export async function awaitNode(
  managers: readonly Connection[],
  nodeId: string,
  seconds: number,
  what: string,
  wanted: (node: SwarmNode | undefined) => boolean,
): Promise<void> {
  let last = "";
  const done = await poll(new Deadline(seconds), 1, async () => {
    try {
      const node = await findNode(managers, nodeId);
      if (wanted(node)) return true;
      last = node ? `it is ${node.Status.State}, as ${node.Spec.Role}` : "no manager knows it";
    } catch (error) {
      if (!passes(error)) throw error;
      last = messageOf(error);
    }
    return undefined;
  });
  if (!done) throw new HostError("swarm", `node ${nodeId} is not ${what} after ${seconds} s: ${last}`);
}

export const isReady = (node: SwarmNode | undefined): boolean =>
  node?.Status.State === "ready" &&
  (node.Spec.Role === "worker"
    ? !node.ManagerStatus
    : node.ManagerStatus?.Reachability === "reachable" && node.ManagerStatus.Addr !== "");

export const isDown = ({ Status }: SwarmNode): boolean => Status.State === "down";

/** Whose an entry of the Swarm's list is: by our label, or by its host's name while it has none yet. */
export const nameOf = ({ Spec, Description }: SwarmNode): string =>
  Spec.Labels?.["moorage.node"] ?? Description.Hostname;
