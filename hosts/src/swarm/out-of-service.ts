/**
 * Taking a node out of service for a change that stops what runs on it: drained first, back at full strength after
 * it, one node at a time. The first that does not come back stops the row.
 */
import type { Cluster, Connection } from "../contract";
import { HostError, messageOf, RefusedError } from "../errors";
import { disruptionLock } from "../locks";
import { note } from "../log";
import { mc, storageContainer } from "../storage/mc";
import { Deadline, poll } from "../time";
import { isOut } from "./join";
import { dockerInfo, listNodes, onManager } from "./managers";
import { awaitNode, isReady, updateNode } from "./nodes";
import { forgetAbsence, readAbsence, recordAbsence } from "./absence";
import type { Absence } from "./absence";
import type { DockerInfo, SwarmNode, SwarmTask } from "./types";

/** How long the others may take to be strong enough to do without this node. */
const GATE_SECONDS = 600;
const DRAIN_SECONDS = 120;
const READY_SECONDS = 180;
/** How long its tasks may take to run again, and its drive to be healed. */
const STRENGTH_SECONDS = 600;
/** How long a wait may be before it is said what for. */
const PATIENCE_MS = 5000;

/**
 * The row of nodes that this update changes: the one that stopped it, after which all are left as they are. It did not
 * come back into service, unless another reason is given.
 */
export const row: { stoppedBy?: string; reason?: string } = {};

export interface Member {
  readonly connection: Connection;
  readonly cluster: Cluster;
  /** Through whom the node is drained: itself last. */
  readonly managers: readonly Connection[];
  readonly nodeId: string;
}

/** Does `work` while the node is out of service; a node that is in no Swarm, or whose Docker is down, has none. */
export async function outOfService(
  connection: Connection,
  cluster: Cluster,
  work: () => Promise<void>,
): Promise<void> {
  const info = await dockerInfo(connection).catch(() => undefined);
  if (info === undefined || isOut(info)) return work();
  const member = memberOf(connection, cluster, info);
  return inTurn(
    connection.node,
    () => gate(member, managersNeed),
    async () => {
      const absence = await drain(member);
      await work();
      await comeBack(member, absence);
    },
  );
}

/** Puts a node back into service that an interrupted run has left out of it; leaves every other alone. */
export async function endAbsence(connection: Connection, cluster: Cluster): Promise<void> {
  if ((await readAbsence(connection)) === undefined) return;
  await outOfService(connection, cluster, () => Promise.resolve());
}

export function memberOf(connection: Connection, cluster: Cluster, { Swarm }: DockerInfo): Member {
  const isSelf = ({ node }: Connection) => node === connection.node;
  const others = cluster.managers.filter((manager) => !isSelf(manager));
  return {
    connection,
    cluster,
    managers: [...others, ...cluster.managers.filter(isSelf)],
    nodeId: Swarm.NodeID,
  };
}

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
    try {
      return await work();
    } catch (error) {
      row.stoppedBy = node;
      throw error;
    }
  });
}

/** What a node is needed for, in words; nothing where the others can do without it. */
export type Needs = (member: Member) => Promise<string | undefined>;

/** Waits until the others can do without the node, as `needs` says, and until MinIO can. */
export async function gate(member: Member, needs: Needs): Promise<void> {
  const { node } = member.connection;
  const deadline = new Deadline(GATE_SECONDS);
  let reason = "";
  const open = await poll(deadline, 3, async () => {
    const found = await needs(member).catch((error: unknown) => {
      if (error instanceof RefusedError) throw error;
      return messageOf(error);
    });
    if (found === undefined) return true;
    if (found !== reason) note(node, `waits to be changed: ${found}`);
    reason = found;
    return undefined;
  });
  if (!open) {
    throw new HostError(
      node,
      `cannot be taken out of service, for ${GATE_SECONDS} s now: ${reason}. Mend that, and run again`,
    );
  }
  await storageSpares(member, deadline.left(10));
}

export async function managersNeed({ managers, nodeId }: Member): Promise<string | undefined> {
  return quorumNeeds(await onManager(managers, "listing nodes", ({ api }) => listNodes(api)), nodeId);
}

/** Why the managers' quorum needs this node; a lone manager, or one of two, has nothing that could be kept. */
export function quorumNeeds(nodes: readonly SwarmNode[], nodeId: string): string | undefined {
  const managers = nodes.filter(({ Spec }) => Spec.Role === "manager");
  if (managers.length < 3 || !managers.some(({ ID }) => ID === nodeId)) return undefined;
  const missing = managers.filter((manager) => manager.ID !== nodeId && !isReady(manager));
  if (managers.length - missing.length - 1 > managers.length / 2) return undefined;
  const names = missing.map(({ Description }) => Description.Hostname).join(", ");
  return `without it the Swarm would have no quorum of managers, as ${names} is not there`;
}

/**
 * Waits for MinIO's own word that this node may go, which it gives neither while that would break the quorum nor while
 * it heals a drive.
 */
export async function storageSpares(
  { connection, cluster }: Pick<Member, "connection" | "cluster">,
  timeoutSeconds: number,
): Promise<void> {
  if (cluster.storageService === undefined) return;
  const storage = await storageContainer(connection, cluster.storageService).catch(() => undefined);
  // Where none runs there is nothing to go.
  if (storage === undefined) return;
  const patience = setTimeout(
    () => note(connection.node, "waits for MinIO, which needs its drive or is healing one"),
    PATIENCE_MS,
  );
  const argv = ["ready", "local", "--maintenance"];
  await mc(storage, {
    argv,
    purpose: "waiting until MinIO can do without this node",
    timeoutSeconds,
  }).finally(() => clearTimeout(patience));
}

/** Moves tasks away and waits until none runs here. What was so before is noted on the host, to be put back. */
export async function drain(member: Member): Promise<Absence> {
  const { connection, managers, nodeId } = member;
  const earlier = await readAbsence(connection);
  const absence = earlier ?? (await present(member));
  await recordAbsence(connection, absence);
  await updateNode(managers, nodeId, (spec) => ({ ...spec, Availability: "drain" }));
  note(connection.node, "drained, to be changed");
  let left: readonly SwarmTask[] = [];
  const empty = await poll(new Deadline(DRAIN_SECONDS), 1, async () => {
    left = await runningTasks(member);
    return left.length === 0 ? true : undefined;
  });
  if (!empty) {
    throw new HostError(
      connection.node,
      `${left.length} of its tasks still run ${DRAIN_SECONDS} s after it was drained; see \`docker node ps ${connection.node}\``,
    );
  }
  return absence;
}

async function present(member: Member): Promise<Absence> {
  const nodes = await onManager(member.managers, "listing nodes", ({ api }) => listNodes(api));
  const availability = nodes.find(({ ID }) => ID === member.nodeId)?.Spec.Availability ?? "active";
  const services = (await runningTasks(member)).map(({ ServiceID }) => ServiceID);
  return { availability, services: [...new Set(services)] };
}

export async function runningTasks({
  managers,
  nodeId,
}: Pick<Member, "managers" | "nodeId">): Promise<SwarmTask[]> {
  const purpose = "listing the tasks of a node";
  const tasks = await onManager(managers, purpose, ({ api }) =>
    api.get<SwarmTask[]>("/tasks", { query: { filters: { node: [nodeId] } }, purpose }),
  );
  return tasks.filter(({ Status }) => Status.State === "running");
}

/** Takes tasks again, and waits until those it had run here, and MinIO could do without it. */
async function comeBack(member: Member, { availability, services }: Absence): Promise<void> {
  const { connection, managers, nodeId } = member;
  const deadline = new Deadline(STRENGTH_SECONDS);
  await awaitNode(managers, nodeId, READY_SECONDS, "ready", isReady);
  await updateNode(managers, nodeId, (spec) => ({ ...spec, Availability: availability }));
  const wanted = availability === "active" ? services : [];
  await untilWhole(member, () => Promise.resolve(wanted));
  await forgetAbsence(connection);
  note(connection.node, `back in service after ${deadline.elapsed} s`);
}

/** Waits until the services run on a node that it is to have, and until MinIO could do without it, its drive healed. */
export async function untilWhole(
  member: Pick<Member, "connection" | "cluster" | "managers" | "nodeId">,
  wanted: () => Promise<readonly string[]>,
): Promise<void> {
  const deadline = new Deadline(STRENGTH_SECONDS);
  let missing = "";
  const whole = await poll(deadline, 2, async () => {
    missing = await wanted()
      .then((services) => missingFrom(member, services))
      .catch(messageOf);
    return missing === "" ? true : undefined;
  });
  if (!whole) {
    throw new HostError(
      member.connection.node,
      `is not whole ${deadline.seconds} s after its change: ${missing}`,
    );
  }
  await storageSpares(member, deadline.left(10));
}

/** Says how many of the services have no task here, or nothing. */
async function missingFrom(
  member: Pick<Member, "managers" | "nodeId">,
  services: readonly string[],
): Promise<string> {
  const running = new Set((await runningTasks(member)).map(({ ServiceID }) => ServiceID));
  const missing = services.filter((service) => !running.has(service));
  return missing.length === 0
    ? ""
    : `${missing.length} of the ${services.length} services it had do not run there`;
}
