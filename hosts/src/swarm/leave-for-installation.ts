/** A node that serves leaves the Swarm before it is reinstalled: only while all others are there, and one at a time. */
import type { Cluster, Connection } from "../contract";
import { messageOf, PutOffError, RefusedError } from "../errors";
import { hasMemberData, memberServes } from "../etcd/back";
import { membershipLock } from "../locks";
import { note } from "../log";
import { Deadline } from "../time";
import { forgetAbsence } from "./absence";
import { isOut } from "./join";
import { removeMember } from "./leave";
import { dockerInfo, listNodes, onManager } from "./managers";
import { isReady, updateNode } from "./nodes";
import { drain, gate, managersNeed, memberOf } from "./out-of-service";
import type { Member, Needs } from "./out-of-service";
import { inTurn } from "./turn";
import type { SwarmNode } from "./types";

/** How long what comes back by itself may take, such as a member of etcd that has its data. */
const PATIENCE_SECONDS = 60;

/**
 * Does `work`, which reinstalls the node, when nobody else is away. A member of a Swarm is drained, demoted and taken
 * off the list first; with `stays` it is only made sure that it could be.
 * @throws PutOffError where something that comes later in this update has to be done first.
 */
export async function awayForInstallation<T>(
  connection: Connection,
  cluster: Cluster,
  { stays }: { readonly stays: boolean },
  work: () => Promise<T>,
): Promise<T> {
  const info = await dockerInfo(connection);
  const member = isOut(info) ? undefined : memberOf(connection, cluster, info);
  const may = () => (member ? gate(member, needsOf()) : Promise.resolve());
  return inTurn(connection.node, may, async () => {
    if (member && !stays) await leaveSwarm(member);
    return work();
  });
}

async function leaveSwarm(member: Member): Promise<void> {
  const { connection, cluster, managers, nodeId } = member;
  const absence = await drain(member);
  try {
    const { node } = connection;
    await membershipLock.use(() => removeMember({ connection, node, managers: cluster.managers, nodeId }));
  } catch (error) {
    // Still a member: it serves on, as before.
    const { availability } = absence;
    await updateNode(managers, nodeId, (spec) => ({ ...spec, Availability: availability })).catch(
      (second: unknown) => note(connection.node, `stays drained: ${messageOf(second)}`),
    );
    await forgetAbsence(connection);
    throw error;
  }
}

/** What the gate asks again and again; it remembers for how long a member of etcd has been silent. */
function needsOf(): Needs {
  const silence = new Deadline(PATIENCE_SECONDS);
  return async (member) => {
    const nodes = await onManager(member.managers, "listing nodes", ({ api }) => listNodes(api));
    refuseLast(member, nodes);
    if (silence.passed) putOffForMissing(member, nodes);
    return (
      (await managersNeed(member)) ??
      awayFrom(nodes, member.cluster.members ?? [], member.connection.node) ??
      (await etcdNeeds(member, silence))
    );
  };
}

function refuseLast({ connection, nodeId }: Member, nodes: readonly SwarmNode[]): void {
  const managers = nodes.filter(({ Spec }) => Spec.Role === "manager");
  if (managers.length > 1 || managers[0]?.ID !== nodeId) return;
  throw new RefusedError(
    connection.node,
    "must be reinstalled, and is the Swarm's only manager: with it all services would go. Run `pulumi destroy`, boot its " +
      "live installer, and `pulumi up`; data disks are kept. If the change was not meant, take it back in the configuration",
  );
}

/** What an earlier update has taken out, or what is new, joins later in this one: to wait for it would be for ever. */
function putOffForMissing({ connection, cluster }: Member, nodes: readonly SwarmNode[]): void {
  const { node } = connection;
  const missing = cluster.members?.find((name) => name !== node && entriesOf(nodes, name).length === 0);
  if (missing === undefined) return;
  throw new PutOffError(
    node,
    `is reinstalled by the next update, as ${missing} is not in the Swarm, and joins it in this one. Run \`pulumi up\` again`,
  );
}

const entriesOf = (nodes: readonly SwarmNode[], name: string): SwarmNode[] =>
  nodes.filter(({ Spec, Description }) =>
    [Spec.Labels?.["moorage.node"], Description.Hostname].includes(name),
  );

/** Which of the others is not there, in words. Pure. */
export function awayFrom(
  nodes: readonly SwarmNode[],
  names: readonly string[],
  self: string,
): string | undefined {
  for (const name of names.filter((each) => each !== self)) {
    const entries = entriesOf(nodes, name);
    if (entries.length === 0) return `${name} is not in the Swarm`;
    if (!entries.some(isReady)) return `${name} is not ready in the Swarm`;
  }
  return undefined;
}

async function etcdNeeds({ connection, cluster }: Member, silence: Deadline): Promise<string | undefined> {
  const answers = await Promise.all(
    cluster.managers.map(async (manager) => ({ node: manager.node, serves: await memberServes(manager) })),
  );
  const isMember = answers.some(({ node }) => node === connection.node);
  if (!isMember) return undefined;
  if (!answers.some(({ serves }) => serves)) {
    // There may be no etcd. Where there is, the data here may be the last.
    return (await hasMemberData(connection)) ? "none of etcd's members serves" : undefined;
  }
  const silent = answers.find(({ node, serves }) => !serves && node !== connection.node)?.node;
  if (silent === undefined) return undefined;
  if (silence.passed) {
    // Reinstalled by this update or by one before, it waits for what comes at an update's end.
    throw new PutOffError(
      connection.node,
      `is reinstalled by the next update, as etcd's member on ${silent} does not serve: one that has lost its data with ` +
        "an installation is added again at the end of this one. Run `pulumi up` again",
    );
  }
  return `etcd's member on ${silent} does not serve`;
}
