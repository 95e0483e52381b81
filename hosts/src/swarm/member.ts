/** One node's membership of the Swarm, by Docker's API alone: tokens pass from engine to engine. */
import type { Operation, ReadResult, SwarmMemberInputs, SwarmMemberOutputs } from "../contract";
import { diffOf } from "../diff";
import { dockerApi } from "../docker/api";
import { HostError } from "../errors";
import { present } from "../loaded-images";
import { membershipLock } from "../locks";
import { note } from "../log";
import { isReinstalled, readOrRecorded, recording, withoutProvider } from "../operation";
import { isBound, isOfStack } from "../services/placement";
import { Deadline } from "../time";
import { enter, isOut } from "./join";
import { removeMember } from "./leave";
import { dockerInfo } from "./managers";
import { writeMark } from "./mark";
import { awaitNode, findNode, isReady, updateNode } from "./nodes";
import { placedOn, storageHeals, untilServing } from "./out-of-service";
import type { DockerInfo, NodeSpec, SwarmNode, SwarmService } from "./types";
import { isLocked, unlockKey } from "./unlock";

const READY_SECONDS = 90;

async function ensure(inputs: SwarmMemberInputs, recordedKey?: string): Promise<SwarmMemberOutputs> {
  const { connection, role, managers, autolock } = inputs;
  const info = await enter(inputs, recordedKey);
  const nodeId = info.Swarm.NodeID;
  await setAutolock(inputs);
  await membershipLock.use(() => updateNode(managers, nodeId, (spec) => wantedSpec(spec, inputs)));
  await awaitNode(managers, nodeId, READY_SECONDS, `ready as ${role}`, isReady);
  const cluster = (await clusterId(inputs, info)) ?? "";
  await writeMark(connection, { joining: false, cluster, node: nodeId });
  const key = autolock && role === "manager" ? { unlockKey: await unlockKey(connection) } : {};
  return { ...withoutProvider(inputs), nodeId, ...key };
}

function wantedSpec(spec: NodeSpec, { role, labels, availability }: SwarmMemberInputs): NodeSpec {
  return { ...spec, Role: role, Labels: labels, Availability: availability ?? spec.Availability };
}

/** Makes the node a member; one that has come back to its services is waited for. */
async function join(inputs: SwarmMemberInputs, state?: SwarmMemberOutputs): Promise<SwarmMemberOutputs> {
  const outs = await ensure(inputs, state?.unlockKey);
  if (await isBack(outs, state)) await untilPlaced(outs);
  return outs;
}

/**
 * Whether the node was reinstalled. A refresh meanwhile has forgotten the member: then services that are bound to the
 * node show that it is not new.
 */
async function isBack(outs: SwarmMemberOutputs, state: SwarmMemberOutputs | undefined): Promise<boolean> {
  if (state !== undefined && isReinstalled(state, outs)) return true;
  return outs.nodeId !== state?.nodeId && (await ownOn(outs)).some(isBound);
}

/** The stack's services that are placed on the node: what else its owner has placed there is the owner's to see to. */
async function ownOn(outs: SwarmMemberOutputs): Promise<SwarmService[]> {
  return (await placedOn(outs)).filter(isOfStack);
}

/**
 * Those of them that can run there. A service that still names an image which came from an archive, and is not loaded
 * there, is yet to be changed, after all members are in.
 */
async function startable(outs: SwarmMemberOutputs): Promise<SwarmService[]> {
  const own = await ownOn(outs);
  const images = own.map(({ Spec }) => Spec.TaskTemplate.ContainerSpec?.Image ?? "");
  const there = await Promise.all(
    images.map((image) => !image.startsWith("sha256:") || present(outs.connection, image)),
  );
  return own.filter((_, at) => there[at]);
}

/** Until the services that are placed on the node run there again, and MinIO has healed its drive. */
async function untilPlaced(outs: SwarmMemberOutputs): Promise<void> {
  const { connection, managers, store } = outs;
  const elapsed = new Deadline(0);
  await untilServing(outs, async () => (await startable(outs)).map(({ ID }) => ID));
  await storageHeals({ connection, managers, cluster: { managers, store } });
  note(connection.node, `serves again, ${elapsed.elapsed} s after it joined anew`);
}

interface SwarmCluster {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly EncryptionConfig?: { readonly AutoLockManagers?: boolean } };
}

/** The founder keeps the Swarm's one setting that is not a node's. */
async function setAutolock({ connection, founder, autolock }: SwarmMemberInputs): Promise<void> {
  if (!founder) return;
  const api = dockerApi(connection);
  const info = await dockerInfo(connection);
  if (!info.Swarm.ControlAvailable) return;
  const swarm = await api.get<SwarmCluster>("/swarm", { purpose: "reading the Swarm's settings" });
  if ((swarm.Spec.EncryptionConfig?.AutoLockManagers ?? false) === autolock) return;
  await api.post("/swarm/update", {
    query: { version: String(swarm.Version.Index) },
    json: { ...swarm.Spec, EncryptionConfig: { AutoLockManagers: autolock } },
    purpose: "changing the Swarm's autolock",
  });
}

async function clusterId(
  { managers }: SwarmMemberInputs,
  { Swarm }: DockerInfo,
): Promise<string | undefined> {
  if (Swarm.Cluster) return Swarm.Cluster.ID;
  const answers = await Promise.allSettled(managers.map((manager) => dockerInfo(manager)));
  const ids = answers.flatMap((answer) =>
    answer.status === "fulfilled" ? [answer.value.Swarm.Cluster?.ID] : [],
  );
  return ids.find((id) => id !== undefined && id !== "");
}

/** The managers list a host that left by itself as one that is down: only the host can tell the two apart. */
async function ownWord(
  state: SwarmMemberOutputs,
  listed: SwarmNode | undefined,
): Promise<DockerInfo | undefined> {
  try {
    return await dockerInfo(state.connection);
  } catch (error) {
    if (listed === undefined || !(error instanceof HostError)) throw error;
    return undefined;
  }
}

async function read(id: string, state: SwarmMemberOutputs): Promise<ReadResult<SwarmMemberOutputs>> {
  if (state.autolock && isLocked(await dockerInfo(state.connection))) {
    // Shown as drift, so that an update unlocks it.
    return { id, outs: { ...state, labels: { locked: "" } } };
  }
  const node = await findNode(state.managers, state.nodeId);
  const own = await ownWord(state, node);
  if (own !== undefined && isOut(own)) return undefined;
  if (node === undefined || (own !== undefined && own.Swarm.NodeID !== state.nodeId)) {
    // Host and managers disagree on whether it is a member: shown as drift, so that an update mends it.
    return { id, outs: { ...state, nodeId: "", labels: { "not-a-member": "" } } };
  }
  const { Role, Labels, Availability } = node.Spec;
  return {
    id,
    outs: {
      ...state,
      role: Role,
      labels: { ...(Labels ?? {}) },
      ...(state.availability === undefined ? {} : { availability: Availability }),
    },
  };
}

/**
 * Membership with role and labels. The founder starts the Swarm when no other manager has one.
 * @throws when the host is in a Swarm that is not ours, or no manager is in reach.
 */
export const swarmMember: Operation<SwarmMemberInputs, SwarmMemberOutputs> = {
  async create(inputs) {
    const id = inputs.node;
    return { id, outs: await recording(id, { ...inputs, nodeId: "" }, () => join(inputs)) };
  },
  read(id, state) {
    return readOrRecorded(state.node, id, state, () => read(id, state));
  },
  diff(state, inputs) {
    return diffOf(state, inputs, {
      outputOnly: ["nodeId", "unlockKey"],
      ignored: ["store"],
      replace: ["node", "advertiseAddr", "dataPathAddr"],
      connections: ["connection"],
    });
  },
  update(_id, state, inputs) {
    return join(inputs, state);
  },
  async delete(_id, state) {
    await membershipLock.use(() => removeMember(state));
  },
};
