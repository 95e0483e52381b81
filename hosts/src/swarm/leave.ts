/** How a node gets out of the Swarm, in the order that never costs the others their quorum. */
import type { Connection, SwarmMemberOutputs } from "../contract";
import { dockerApi, isMissing } from "../docker/api";
import type { DockerApi } from "../docker/api";
import { DockerError, HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { couldNotAsk } from "../ssh/pool";
import { forgetAbsence } from "./absence";
import { allOut, forgetNode, isOut, leave, otherManagers } from "./join";
import { dockerInfo, listNodes, onManager, workingManager } from "./managers";
import { foreignSwarm, removeMark } from "./mark";
import { Deadline, poll } from "../time";
import { awaitNode, findNode, isDown, nameOf, removeNode, retrying, updateNode } from "./nodes";
import type { DockerInfo, SwarmNode } from "./types";

/** How long Swarm may take to see that a manager is down. */
const QUORUM_SECONDS = 45;
/** How long a node may take to become a worker. */
const DEMOTED_SECONDS = 60;
/** How long a manager may take to know a leader. */
const ELECTION_SECONDS = 20;
/** How long the containers of a node that has left may take to be gone. */
const CONTAINERS_SECONDS = 30;

type Leaving = Pick<SwarmMemberOutputs, "connection" | "managers" | "node" | "nodeId">;

/**
 * Demotes, leaves, and is taken off the list. Only the last member takes the Swarm with it. A host that cannot be
 * reached is taken off the list by the others, with a warning.
 */
export async function removeMember(state: Leaving): Promise<void> {
  const { connection } = state;
  const others = otherManagers(state);
  let info: DockerInfo;
  try {
    info = await dockerInfo(connection);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    await removeAbsent(state, error);
    return;
  }
  const foreign = await foreignTo(state, info);
  const isIn = !isOut(info) && foreign === undefined;
  // One that is out or locked names none.
  const nodeId = isIn && info.Swarm.NodeID !== "" ? info.Swarm.NodeID : state.nodeId;
  const listed = nodeId === "" ? undefined : await listedBy(others, nodeId);
  if (listed?.ManagerStatus) await demote(state.node, others, nodeId);
  if (isIn) {
    if (listed === undefined && !isWorker(info)) await stepDown(state, nodeId);
    await leave(connection);
    await removeTaskContainers(connection, nodeId);
  }
  if (listed !== undefined) await removeNode(others, nodeId);
  await removeMark(connection);
  await forgetAbsence(connection);
  if (foreign === undefined) note(connection.node, "left the Swarm");
  else warn(connection.node, `stays in a Swarm that is not this stack's (${foreign})`);
}

async function foreignTo(state: Leaving, info: DockerInfo): Promise<string | undefined> {
  if (isOut(info) || info.Swarm.NodeID === state.nodeId) return undefined;
  return foreignSwarm(state.connection, otherManagers(state), info);
}

/** As it leaves, Docker removes the containers of a node's tasks, but not one that it was making or removing just then. */
async function removeTaskContainers(connection: Connection, nodeId: string): Promise<void> {
  const api = dockerApi(connection);
  const filters = { label: [`com.docker.swarm.node.id=${nodeId}`] };
  const gone = await poll(new Deadline(CONTAINERS_SECONDS), 1, async () => {
    const left = await api.get<{ Id: string }[]>("/containers/json", {
      query: { all: "true", filters },
      purpose: "looking for containers of the Swarm's tasks",
    });
    await Promise.all(left.map(({ Id }) => removeContainer(api, Id)));
    return left.length === 0 ? true : undefined;
  });
  if (!gone) {
    warn(connection.node, "containers of the Swarm's tasks are still there; see `docker ps --all` on it");
  }
}

async function removeContainer(api: DockerApi, id: string): Promise<void> {
  try {
    await api.delete(`/containers/${id}`, {
      query: { force: "true" },
      purpose: "removing a task's container",
    });
  } catch (error) {
    const underWay = error instanceof DockerError && error.status === 409;
    if (!underWay && !isMissing(error)) throw error;
  }
}

/** The node as another manager lists it; `undefined` when none does, or none can be asked. */
async function listedBy(others: readonly Connection[], nodeId: string): Promise<SwarmNode | undefined> {
  try {
    return await findNode(others, nodeId);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return undefined;
  }
}

/** Whether it is certain that the node has no part in the managers' quorum. */
const isWorker = ({ Swarm }: DockerInfo): boolean =>
  Swarm.LocalNodeState === "active" && !Swarm.ControlAvailable;

/**
 * Ends the node's part as manager by its own API, where no other manager that can be reached lists it: that a manager
 * cannot be reached from here does not mean that it is gone.
 * @throws HostError where the Swarm would lose its quorum, or its only manager.
 */
async function stepDown(state: Leaving, nodeId: string): Promise<void> {
  const { connection, node } = state;
  let members: SwarmNode[];
  try {
    members = await retrying(ELECTION_SECONDS, () => listNodes(dockerApi(connection)));
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (await allOut(otherManagers(state))) return;
    throw new HostError(
      node,
      `cannot leave the Swarm: it may be one of its managers, and no manager can be asked: ${messageOf(error)}\n` +
        "Switch on the other managers and run again. If they are gone for good, run `docker swarm leave --force` there first",
    );
  }
  const others = members.filter((each) => each.ID !== nodeId && !isDown(each));
  if (others.length === 0) return;
  if (!others.some(({ Spec }) => Spec.Role === "manager")) {
    throw new HostError(
      node,
      `cannot leave the Swarm: it is its only manager, and ${others.map(nameOf).join(", ")} is still in it. ` +
        "Remove those nodes first, by `pulumi destroy --target` or `docker swarm leave` on them, and run again",
    );
  }
  await demote(node, [connection], nodeId);
  warn(
    node,
    `stays on the Swarm's list, as no other manager could be reached; take it off with \`docker node rm ${nodeId}\` on one of them`,
  );
}

/** @param managers where it is the node itself alone, its own word counts that it is none any more. */
async function demote(node: string, managers: readonly Connection[], nodeId: string): Promise<void> {
  const done = await poll(new Deadline(QUORUM_SECONDS), 2, async () => {
    try {
      await updateNode(managers, nodeId, (spec) => ({ ...spec, Role: "worker" }));
      return true;
    } catch (error) {
      if (!(error instanceof DockerError && /loss of quorum/.test(error.reason))) throw error;
      await forgetAbsentManagers(node, managers);
      return undefined;
    }
  });
  if (!done)
    throw new HostError(node, `cannot leave the Swarm: it has no quorum of managers without this one`);
  const own = managers.find((each) => each.node === node);
  if (own === undefined) {
    await awaitNode(managers, nodeId, DEMOTED_SECONDS, "demoted", (found) => !found?.ManagerStatus);
    return;
  }
  const demoted = await poll(new Deadline(DEMOTED_SECONDS), 1, async () =>
    (await dockerInfo(own)).Swarm.ControlAvailable ? undefined : true,
  );
  if (!demoted) throw new HostError(node, `is not demoted after ${DEMOTED_SECONDS} s`);
}

/**
 * While a manager is down, another one cannot leave without costing the quorum. Where services run that is refused;
 * in a Swarm that is empty, as when a stack is destroyed, the manager that is down is given up.
 */
async function forgetAbsentManagers(node: string, others: readonly Connection[]): Promise<void> {
  const { api } = await workingManager(others, `letting ${node} go`);
  const absent = (await listNodes(api)).filter(
    ({ Spec, Status, ManagerStatus }) =>
      Spec.Role === "manager" && (Status.State !== "ready" || ManagerStatus?.Reachability === "unreachable"),
  );
  const names = absent.map((each) => each.Description.Hostname).join(", ");
  const services = await api.get<unknown[]>("/services", { purpose: "listing services" });
  if (services.length > 0) {
    throw new HostError(
      node,
      `cannot leave the Swarm now: its services would lose their quorum of managers, as ${names || "another manager"} is down. ` +
        "Switch that one on and run again",
    );
  }
  for (const each of absent) {
    warn(each.Description.Hostname, "is down, and taken off the list of the empty Swarm");
    await forgetNode(others, each);
  }
}

async function removeAbsent(state: Leaving, reason: HostError): Promise<void> {
  const others = otherManagers(state);
  try {
    const nodes = await onManager(others, "listing nodes", ({ api }) => listNodes(api));
    // Its id is not known of one that died half way through joining, or once a refresh found it to be no member.
    const entries = nodes.filter((each) =>
      state.nodeId === "" ? nameOf(each) === state.node && isDown(each) : each.ID === state.nodeId,
    );
    for (const each of entries) await forgetNode(others, each);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (others.length === 0 || !(await allOut(others))) throw stuck(state.node, reason, error);
  }
  const left = couldNotAsk(reason) ? "it cannot be reached" : "its Docker does not answer";
  warn(
    state.node,
    `is out of the Swarm, but ${left} to be told; when it is back, the next update sees to that`,
  );
}

function stuck(node: string, reason: HostError, error: HostError): HostError {
  return new HostError(
    node,
    `cannot leave the Swarm: ${messageOf(reason)}\n${messageOf(error)}\n` +
      "Switch on one of the managers and run again, or forget the member with `pulumi state delete`",
  );
}
