/** How a node gets into the Swarm: by starting one, or by joining the one that is there. */
import type { Connection, SwarmMemberInputs } from "../contract";
import { dockerApi } from "../docker/api";
import { DockerError, HostError, messageOf } from "../errors";
import { membershipLock } from "../locks";
import { note, warn } from "../log";
import { patient } from "../ssh/connect";
import { Deadline, poll } from "../time";
import { foreignSwarm, readMark, writeMark } from "./mark";
import { dockerInfo, listNodes, workingManager } from "./managers";
import type { Manager } from "./managers";
import { findNode, isDown, nameOf, removeNode, retrying, updateNode } from "./nodes";
import type { DockerInfo, SwarmNode } from "./types";
import { isLocked, unlockManagers } from "./unlock";

const JOIN_SECONDS = 90;
/** How long a manager may take to find its Swarm again after a restart. */
const WAKE_SECONDS = 30;
/** The same where the manager was its Swarm's only one. */
const ALONE_SECONDS = 8;
/** How long Swarm may take to see that a machine is gone. */
const FORMER_SECONDS = 40;

/** Managers other than this node. */
export function otherManagers({
  connection,
  managers,
}: Pick<SwarmMemberInputs, "connection" | "managers">): Connection[] {
  return managers.filter((manager) => manager.node !== connection.node);
}

/**
 * Makes the node an active member of our Swarm, and returns its info. Adopts a membership of ours that is there.
 * @param recordedKey unlocks managers that have all restarted locked.
 */
export async function enter(inputs: SwarmMemberInputs, recordedKey?: string): Promise<DockerInfo> {
  const { connection } = inputs;
  let info = await dockerInfo(connection, patient);
  if (isLocked(info)) {
    await unlockManagers(inputs, recordedKey);
    info = await settled(connection);
  }
  if (info.Swarm.LocalNodeState === "pending") info = await woken(inputs, info);
  if (!isOut(info)) {
    await mustBeOurs(inputs, info);
    if (info.Swarm.LocalNodeState === "active") {
      if (await isKnown(inputs, info)) return info;
      note(connection.node, "is not on the managers' list any more; joining anew");
    }
    await leave(connection);
  }
  const manager = await existingSwarm(inputs);
  await writeMark(connection, { joining: true, cluster: manager?.info.Swarm.Cluster?.ID });
  if (manager) {
    await join(inputs, manager, info.Name);
    return settled(connection);
  }
  await init(inputs);
  const founded = await settled(connection);
  await writeMark(connection, { joining: true, cluster: founded.Swarm.Cluster?.ID });
  return founded;
}

/** A node on its way in; or one whose Swarm has gone while it was off, which would wait for its managers for ever. */
async function woken(inputs: SwarmMemberInputs, info: DockerInfo): Promise<DockerInfo> {
  const { connection } = inputs;
  try {
    return await settled(connection, ALONE_SECONDS);
  } catch {
    const others = otherManagers(inputs);
    if (others.length === 0 || !(await allOut(others))) return settled(connection, WAKE_SECONDS);
    await mustBeOurs(inputs, info);
    await leave(connection);
    return dockerInfo(connection, patient);
  }
}

async function mustBeOurs(inputs: SwarmMemberInputs, info: DockerInfo): Promise<void> {
  const { connection } = inputs;
  const foreign = await foreignSwarm(connection, otherManagers(inputs), info);
  if (foreign === undefined) return;
  throw new HostError(
    connection.node,
    `is in a Swarm that is not this stack's (${foreign}). If that one is not needed, run \`docker swarm leave --force\` there`,
  );
}

/**
 * Whether the node is a member of the Swarm that the other managers are in. Where none of them serves, a manager's
 * own word counts, unless its Swarm has no leader and all others say that they are in none: then it is what an
 * earlier stack left behind on a host that was off.
 */
async function isKnown(inputs: SwarmMemberInputs, { Swarm }: DockerInfo): Promise<boolean> {
  const others = otherManagers(inputs);
  if (!Swarm.ControlAvailable)
    return (await retrying(20, () => findNode(others, Swarm.NodeID))) !== undefined;
  try {
    return (await findNode(others, Swarm.NodeID)) !== undefined;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  try {
    await retrying(20, () => listNodes(dockerApi(inputs.connection)));
    return true;
  } catch (error) {
    if (error instanceof HostError && (await allOut(others))) return false;
    throw error;
  }
}

/** Whether every one of these hosts answers, and is in no Swarm. */
export async function allOut(managers: readonly Connection[]): Promise<boolean> {
  const answers = await Promise.allSettled(managers.map((manager) => dockerInfo(manager)));
  return answers.every((answer) => answer.status === "fulfilled" && isOut(answer.value));
}

export const isOut = ({ Swarm }: DockerInfo): boolean =>
  Swarm.LocalNodeState === "inactive" || Swarm.LocalNodeState === "";

export async function leave(connection: Connection): Promise<void> {
  try {
    await dockerApi(connection).post("/swarm/leave", {
      query: { force: "true" },
      timeoutSeconds: 60,
      purpose: "leaving the Swarm",
    });
  } catch (error) {
    if (!(error instanceof DockerError && /not part of a swarm/i.test(error.reason))) throw error;
  }
}

/**
 * A manager of our Swarm among the others; `undefined` when this node is to start one.
 * A Swarm is started only when every other manager has said that it is in none: else there might be two.
 */
async function existingSwarm(inputs: SwarmMemberInputs): Promise<Manager | undefined> {
  const others = otherManagers(inputs);
  let unsure: string[] = [];
  const found = await poll(new Deadline(JOIN_SECONDS), 2, async () => {
    if (others.length === 0) return "none" as const;
    const answers = await Promise.allSettled(others.map((manager) => dockerInfo(manager)));
    if (answers.some((answer) => answer.status === "fulfilled" && answer.value.Swarm.ControlAvailable)) {
      return workingManager(others, `letting ${inputs.node} join`).catch((error: unknown) => {
        unsure = [messageOf(error)];
        return undefined;
      });
    }
    unsure = answers.flatMap((answer) =>
      answer.status === "rejected" ? [messageOf(answer.reason)] : undecided(answer.value),
    );
    return inputs.founder && unsure.length === 0 ? ("none" as const) : undefined;
  });
  if (found === undefined) throw new HostError(inputs.node, notEntered(inputs, unsure));
  if (found === "none") return undefined;
  await mustBeMarked(found);
  return found;
}

function undecided(info: DockerInfo): string[] {
  return isOut(info) ? [] : [`${info.Name} is in a Swarm, but no manager (${info.Swarm.LocalNodeState})`];
}

function notEntered({ founder }: SwarmMemberInputs, unsure: readonly string[]): string {
  const reasons = unsure.map((reason) => `\n  ${reason}`).join("");
  return founder
    ? `a new Swarm is started only when no other manager has one, and that cannot be told:${reasons}`
    : `there is no Swarm to join yet; no manager has one${reasons === "" ? "" : `:${reasons}`}`;
}

async function mustBeMarked({ connection, info }: Manager): Promise<void> {
  const mark = await readMark(connection);
  const cluster = info.Swarm.Cluster?.ID;
  if (cluster && mark.cluster === cluster) return;
  throw new HostError(
    connection.node,
    `is a manager of a Swarm that is not this stack's (${cluster || "unknown"}), so nothing joins it. ` +
      "If that one is not needed, run `docker swarm leave --force` there",
  );
}

function addresses({ advertiseAddr, dataPathAddr }: SwarmMemberInputs): object {
  return {
    ListenAddr: "0.0.0.0:2377",
    AdvertiseAddr: advertiseAddr,
    ...(dataPathAddr === undefined ? {} : { DataPathAddr: dataPathAddr }),
  };
}

async function init(inputs: SwarmMemberInputs): Promise<void> {
  note(inputs.node, "starting the Swarm");
  await dockerApi(inputs.connection).post("/swarm/init", {
    json: {
      ...addresses(inputs),
      Spec: { EncryptionConfig: { AutoLockManagers: inputs.autolock } },
    },
    timeoutSeconds: 60,
    purpose: "starting the Swarm",
  });
}

async function join(inputs: SwarmMemberInputs, manager: Manager, hostname: string): Promise<void> {
  const work = () => retrying(JOIN_SECONDS, () => joinOnce(inputs, manager, hostname));
  note(inputs.node, `joining the Swarm as ${inputs.role}`);
  if (inputs.role === "manager") await membershipLock.use(work);
  else await work();
}

async function joinOnce(inputs: SwarmMemberInputs, manager: Manager, hostname: string): Promise<void> {
  const { connection, role } = inputs;
  const { LocalNodeState: state, NodeID } = await triedBefore(connection);
  if (state === "active") return;
  if (state === "error" || state === "pending") {
    await leave(connection);
    await forgetAttempt(otherManagers(inputs), NodeID);
  }
  await forgetEarlier(inputs, hostname);
  const { JoinTokens } = await manager.api.get<{ JoinTokens: { Manager: string; Worker: string } }>(
    "/swarm",
    {
      purpose: "reading the join token",
    },
  );
  const { Swarm } = await dockerInfo(manager.connection);
  await dockerApi(connection).post("/swarm/join", {
    json: {
      ...addresses(inputs),
      RemoteAddrs: (Swarm.RemoteManagers ?? []).map(({ Addr }) => Addr),
      JoinToken: role === "manager" ? JoinTokens.Manager : JoinTokens.Worker,
    },
    timeoutSeconds: 60,
    purpose: "joining the Swarm",
  });
}

/** What became of an attempt before: Docker answers after 20 s, and goes on with it. */
async function triedBefore(connection: Connection): Promise<DockerInfo["Swarm"]> {
  const { Swarm } = await dockerInfo(connection, patient);
  if (Swarm.LocalNodeState !== "pending") return Swarm;
  note(connection.node, "is slow to get into the Swarm; Docker goes on with it");
  const done = await settled(connection, WAKE_SECONDS).catch(() => undefined);
  return done?.Swarm ?? (await dockerInfo(connection, patient)).Swarm;
}

/** Takes the entry of an attempt that was given up off the list: it has no host's name where it did not get that far. */
async function forgetAttempt(managers: readonly Connection[], nodeId: string): Promise<void> {
  const entry = nodeId === "" ? undefined : await findNode(managers, nodeId);
  if (entry) await forgetNode(managers, entry);
}

/**
 * A node that is another machine now, or was installed anew, has left its former self on the list, which as a manager
 * counts against the quorum. One that died a moment ago is not seen to be down yet.
 */
async function forgetEarlier(inputs: SwarmMemberInputs, hostname: string): Promise<void> {
  const { node } = inputs;
  const managers = otherManagers(inputs);
  let alive: SwarmNode[] = [];
  await poll(new Deadline(FORMER_SECONDS), 2, async () => {
    const { api } = await workingManager(managers, "looking for earlier entries of the node");
    const former = (await listNodes(api)).filter((each) => isFormer(each, node, hostname));
    for (const each of former.filter(isDown)) {
      note(node, `taking its former entry ${each.ID} off the Swarm's list`);
      await forgetNode(managers, each);
    }
    alive = former.filter((each) => !isDown(each));
    return alive.length === 0 ? true : undefined;
  });
  for (const { ID, Status } of alive) {
    warn(
      node,
      `another machine is in the Swarm by its name, at ${Status.Addr ?? "an unknown address"}. Switch that one off, and run ` +
        `\`docker node demote ${ID}; docker node rm --force ${ID}\` on a manager`,
    );
  }
}

/** An entry without our label is of a host that never got so far. */
const isFormer = (entry: SwarmNode, node: string, hostname: string): boolean =>
  nameOf(entry) === (entry.Spec.Labels?.["moorage.node"] === undefined ? hostname : node);

/**
 * Demotes a node that is gone, then removes it. A manager that has no part in the Swarm's log any more, as after
 * `docker swarm init --force-new-cluster`, can be removed as it is, and not be demoted.
 */
export async function forgetNode(
  managers: readonly Connection[],
  { ID, Spec, ManagerStatus }: SwarmNode,
): Promise<void> {
  if (Spec.Role === "manager" && ManagerStatus)
    await updateNode(managers, ID, (spec) => ({ ...spec, Role: "worker" }));
  await removeNode(managers, ID);
}

/** Until the node says that it is in, or out. */
async function settled(connection: Connection, seconds = JOIN_SECONDS): Promise<DockerInfo> {
  let state = "";
  const info = await poll(new Deadline(seconds), 1, async () => {
    const found = await dockerInfo(connection, patient);
    state = `${found.Swarm.LocalNodeState}${found.Swarm.Error === "" ? "" : `: ${found.Swarm.Error}`}`;
    return found.Swarm.LocalNodeState === "pending" || found.Swarm.NodeID === "" ? undefined : found;
  });
  if (info) return info;
  throw new HostError(connection.node, `did not get into the Swarm within ${seconds} s (state: ${state})`);
}
