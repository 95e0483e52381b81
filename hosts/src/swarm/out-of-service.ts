/**
 * Taking a node out of service for a change that stops what runs on it: drained first, back at full strength after
 * it, one node at a time. The first that does not come back stops the row.
 */
import type { Cluster, Connection } from "../contract";
import { HostError, messageOf, reasonOf, RefusedError } from "../errors";
import { etcdQuorum, withMember } from "../etcd/quorum";
import { membershipLock } from "../locks";
import { note, warn } from "../log";
import { isFor } from "../services/placement";
import { storageSpares } from "../storage/spare";
import { Deadline, poll } from "../time";
import { forgetNode, isOut } from "./join";
import { awaitDocker, dockerIfThere, dockerInfo, listNodes, onManager } from "./managers";
import { awaitNode, findNode, isDown, isReady, nameOf, setAvailability } from "./nodes";
import { forgetAbsence, readAbsence, recordAbsence } from "./absence";
import type { Absence } from "./absence";
import { endFirst } from "./ends-first";
import { inTurn, orStop } from "./turn";
import { isLocked, unlockKey, unlockManagers } from "./unlock";
import type { DockerInfo, SwarmNode, SwarmService, SwarmTask } from "./types";

/** How long the others may take to be strong enough to do without this node. */
const GATE_SECONDS = 600;
/** How old their answers may be when it goes. */
const FRESH_MS = 60_000;
const DRAIN_SECONDS = 120;
const READY_SECONDS = 180;
/** How long its tasks may take to run again, and its drive to be healed. */
const STRENGTH_SECONDS = 600;
/** How long its drive may take to be healed where nobody else is about to go. */
const HEAL_SECONDS = 300;

export interface Member {
  readonly connection: Connection;
  readonly cluster: Cluster;
  /** Through whom the node is drained: itself last. */
  readonly managers: readonly Connection[];
  readonly nodeId: string;
}

/**
 * Does `work` while the node is out of service; a node that is in no Swarm has none.
 * @param unasked what is done where Docker does not say whether it is in one. @default `work`, as where it is down
 */
export async function outOfService(
  connection: Connection,
  cluster: Cluster,
  work: () => Promise<void>,
  unasked: (error: HostError) => Promise<void> = () => withMember(connection, work),
): Promise<void> {
  const info = await dockerIfThere(connection);
  if (info instanceof HostError) return unasked(info);
  const member = await membership(connection, cluster, info);
  if (member === undefined) return withMember(connection, work);
  await takeTasksMeanwhile(member);
  const etcdNeeds = etcdQuorum();
  return inTurn(
    connection.node,
    () => gate(member, async () => (await managersNeed(member)) ?? etcdNeeds(member)),
    async () => {
      // Where no other manager serves, nobody has it once this one has restarted.
      const key = await onManager(member.managers, "reading the unlock key", (manager) =>
        unlockKey(manager.connection),
      );
      const absence = await drain(member);
      await withMember(connection, work);
      await comeBack(member, absence, (left) => storageSpares(connection.node, cluster.store, left), key);
    },
  );
}

/**
 * Puts a node back into service that an interrupted run has left out of it; leaves every other alone. Whoever else is
 * away is no reason to leave it out, and nobody's turn is waited for: others may wait for this very node in theirs.
 */
export async function endAbsence(connection: Connection, cluster: Cluster): Promise<void> {
  const absence = await readAbsence(connection);
  if (absence === undefined) return;
  await orStop(connection.node, async () => {
    // It may just have been started.
    await awaitDocker(connection);
    const member = await membership(connection, cluster, await dockerInfo(connection));
    if (member !== undefined) await comeBack(member, absence, () => storageHeals(member));
  });
}

/**
 * What an interrupted run has left drained takes tasks again until its turn comes: those before it may wait for what
 * runs here. Whether it is whole is not waited for, as the change may be what makes it so.
 */
async function takeTasksMeanwhile({ connection, managers, nodeId }: Member): Promise<void> {
  const absence = await readAbsence(connection);
  if (absence === undefined) return;
  const { node } = connection;
  try {
    await setAvailability(managers, nodeId, absence.availability);
    note(node, "was left drained by a change that was cut off; takes tasks again until its turn");
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    warn(node, `stays drained until its turn: ${reasonOf(error, node)}`);
  }
}

async function membership(
  connection: Connection,
  cluster: Cluster,
  info: DockerInfo,
): Promise<Member | undefined> {
  const known = isLocked(info) ? await unlocked(connection, cluster) : info;
  return isOut(known) ? undefined : memberOf(connection, cluster, known);
}

/** With autolock Docker starts locked, and knows nothing of its Swarm until it has the key. */
async function unlocked(
  connection: Connection,
  { managers }: Cluster,
  knownKey?: string,
): Promise<DockerInfo> {
  await unlockManagers({ node: connection.node, managers }, knownKey);
  await awaitDocker(connection);
  return dockerInfo(connection);
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

/** What a node is needed for, in words; nothing where the others can do without it. */
export type Needs = (member: Member) => Promise<string | undefined>;

/**
 * Waits until the others can do without the node, as `needs` says, and until MinIO can. That may take MinIO an hour: so
 * nobody goes by an answer that is older than a minute.
 */
export async function gate(member: Member, needs: Needs): Promise<void> {
  let asked: number;
  do {
    await untilNotNeeded(member, needs);
    asked = performance.now();
    await storageSpares(member.connection.node, member.cluster.store);
  } while (performance.now() - asked > FRESH_MS);
}

async function untilNotNeeded(member: Member, needs: Needs): Promise<void> {
  const { node } = member.connection;
  let reason = "";
  const open = await poll(new Deadline(GATE_SECONDS), 3, async () => {
    const found = await needs(member).catch((error: unknown) => {
      if (error instanceof RefusedError) throw error;
      return messageOf(error);
    });
    if (found === undefined) return true;
    if (found !== reason) note(node, `waits to be changed: ${found}`);
    reason = found;
    return undefined;
  });
  if (open) return;
  throw new HostError(
    node,
    `cannot be taken out of service, for ${GATE_SECONDS} s now: ${reason}. Mend that, and run again`,
  );
}

/** Why the managers' quorum needs the node. One that is down, and not configured any more, is given up for it. */
export async function managersNeed(member: Member): Promise<string | undefined> {
  const { cluster, managers, nodeId } = member;
  const nodes = await onManager(managers, "listing nodes", ({ api }) => listNodes(api));
  const kept = nodes.filter((node) => !isGivenUp(node, cluster));
  const reason = quorumNeeds(nodes, nodeId);
  if (reason === undefined || kept.length === nodes.length) return reason;
  for (const node of nodes.filter((each) => !kept.includes(each))) {
    note(nameOf(node), "is down, and not configured any more; taken off the Swarm's list");
    await membershipLock.use(() => forgetNode(managers, node));
  }
  return quorumNeeds(kept, nodeId);
}

/** An update takes it off the list at its very end: what comes before would wait for it in vain. */
function isGivenUp(node: SwarmNode, { members }: Cluster): boolean {
  const isOurs = node.Spec.Labels?.["moorage.node"] !== undefined;
  return isOurs && isDown(node) && members !== undefined && !members.includes(nameOf(node));
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

/** Waits for the same, but not for others that are away: what is missing is a warning, and keeps nobody from going on. */
export async function storageHeals(
  member: Pick<Member, "connection" | "cluster" | "managers">,
): Promise<void> {
  const { node } = member.connection;
  const deadline = new Deadline(HEAL_SECONDS);
  try {
    await storageSpares(node, member.cluster.store, HEAL_SECONDS);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const missing = await missingElsewhere(member).catch(() => []);
    const why = missing.length > 0 ? missing.join(", ") : reasonOf(error, node);
    warn(
      node,
      `serves, but MinIO does not say that all its drives are whole (waited ${deadline.elapsed} s): ${why}`,
    );
  }
}

/** Nodes and services that are not there, in words. */
async function missingElsewhere({ managers }: Pick<Member, "managers">): Promise<string[]> {
  const purpose = "looking for what is missing";
  return onManager(managers, purpose, async ({ api }) => {
    const nodes = await listNodes(api);
    const services = await api.get<SwarmService[]>("/services", { purpose });
    const query = { filters: { "desired-state": ["running"] } };
    const tasks = await api.get<SwarmTask[]>("/tasks", { query, purpose });
    const runs = (service: SwarmService, node: SwarmNode) =>
      tasks.some(
        ({ ServiceID, NodeID, Status }) =>
          ServiceID === service.ID && NodeID === node.ID && Status.State === "running",
      );
    return nodes.flatMap((node) => {
      const { Hostname } = node.Description;
      if (!isReady(node)) return [`${Hostname} is not ready in the Swarm`];
      const idle = services.filter((service) => isFor(service, node) && !runs(service, node));
      return idle.map(({ Spec }) => `${Spec.Name} does not run on ${Hostname}`);
    });
  });
}

/** Moves tasks away and waits until none runs here. What was so before is noted on the host, to be put back. */
export async function drain(member: Member): Promise<Absence> {
  const { connection, managers, nodeId } = member;
  const earlier = await readAbsence(connection);
  const absence = earlier ?? (await present(member));
  await recordAbsence(connection, absence);
  await endFirst(member);
  await setAvailability(managers, nodeId, "drain");
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

/**
 * Takes tasks again, and waits until those it had run here and its drive is `healed`.
 * @param knownKey unlocks it where no manager serves any more.
 */
async function comeBack(
  member: Member,
  { availability, services }: Absence,
  healed: (secondsLeft: number) => Promise<void>,
  knownKey?: string,
): Promise<void> {
  const { connection, cluster, managers, nodeId } = member;
  const deadline = new Deadline(STRENGTH_SECONDS);
  const info = await dockerInfo(connection).catch(() => undefined);
  if (info && isLocked(info)) await unlocked(connection, cluster, knownKey);
  await awaitNode(managers, nodeId, READY_SECONDS, "ready", isReady);
  await setAvailability(managers, nodeId, availability);
  // A service that was replaced or removed meanwhile has another id, or none.
  await untilServing(member, async () =>
    (await placedOn(member)).map(({ ID }) => ID).filter((id) => services.includes(id)),
  );
  await healed(deadline.left(10));
  await forgetAbsence(connection);
  note(connection.node, `back in service after ${deadline.elapsed} s`);
}

/** A member as the Swarm's managers know it. */
type Listed = Pick<Member, "managers" | "nodeId">;

/** Services that are to have a task on this very node, as they are now: none where it takes no tasks. */
export async function placedOn({ managers, nodeId }: Listed): Promise<SwarmService[]> {
  const purpose = "listing services";
  const services = await onManager(managers, purpose, ({ api }) =>
    api.get<SwarmService[]>("/services", { purpose }),
  );
  const node = await findNode(managers, nodeId);
  if (node?.Spec.Availability !== "active") return [];
  return services.filter((service) => isFor(service, node));
}

/** Waits until the services run on a node that it is to have. */
export async function untilServing(
  member: Pick<Member, "connection" | "managers" | "nodeId">,
  wanted: () => Promise<readonly string[]>,
): Promise<void> {
  const deadline = new Deadline(STRENGTH_SECONDS);
  let missing = "";
  const serves = await poll(deadline, 2, async () => {
    missing = await wanted()
      .then((services) => missingFrom(member, services))
      .catch(messageOf);
    return missing === "" ? true : undefined;
  });
  if (serves) return;
  throw new HostError(
    member.connection.node,
    `is not whole ${deadline.seconds} s after its change: ${missing}`,
  );
}

/** Names the services that have no task here, with what Swarm says of one that failed; or nothing. */
async function missingFrom({ managers, nodeId }: Listed, services: readonly string[]): Promise<string> {
  const purpose = "looking for what does not run on a node";
  return onManager(managers, purpose, async ({ api }) => {
    const query = { filters: { node: [nodeId] } };
    const tasks = await api.get<SwarmTask[]>("/tasks", { query, purpose });
    const of = (service: string) => tasks.filter(({ ServiceID }) => ServiceID === service);
    const missing = services.filter(
      (service) => !of(service).some(({ Status }) => Status.State === "running"),
    );
    if (missing.length === 0) return "";
    const known = await api.get<SwarmService[]>("/services", { purpose });
    const named = missing.map((service) => {
      const name = known.find(({ ID }) => ID === service)?.Spec.Name ?? service;
      const failed = of(service).filter(({ Status }) => Status.Err);
      const last = failed.sort((a, b) => a.Status.Timestamp.localeCompare(b.Status.Timestamp)).at(-1);
      return last === undefined ? name : `${name} (${last.Status.Err ?? ""})`;
    });
    return `${missing.length} of the ${services.length} services it is to have do not run there: ${named.join(", ")}`;
  });
}
