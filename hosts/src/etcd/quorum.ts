/** What a node's member of etcd is needed for, before the node goes down; and that it is back after it. */
import type { Connection } from "../contract";
import { HostError, RefusedError } from "../errors";
import { warn } from "../log";
import { ETCD_CONTAINER, ETCD_SCRIPT } from "../rendered";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import type { Member, Needs } from "../swarm/out-of-service";
import { Deadline, poll, systemClock } from "../time";
import { awaitMember } from "./back";
import { quorumOf } from "./plan";

/** How long a member that has its data may take to serve again, before it is believed that it does not. */
const PATIENCE_SECONDS = 60;
const TARGET = "--target '**:EtcdCluster::*'";

/** A node's member as the node shows it. */
export interface MemberState {
  readonly node: string;
  /** Whether the node is to have a member; unknown where it cannot be asked. */
  readonly has?: boolean;
  /** Whether its data are there; unknown where the data disk is not mounted. */
  readonly data?: boolean;
  readonly serves: boolean;
  /** The names of all members, as one that serves lists them; its address where one has not started yet. */
  readonly listed: readonly string[];
}

const script = `
[ -e "$1" ] || { echo has=no; exit 0; }
echo has=yes
sh "$1" look | grep '^data=' || :
ctl() { timeout 5 docker exec "$2" etcdctl "$3" "$4"; }
ctl "$@" endpoint health >/dev/null 2>&1 || exit 0
members=$(ctl "$@" member list 2>/dev/null) || exit 0
echo serves=yes
echo "$members" | sed 's/^/listed=/'
`;

export async function memberState(connection: Connection): Promise<MemberState> {
  const { node } = connection;
  try {
    const { stdout } = await runScript(connection, script, [ETCD_SCRIPT, ETCD_CONTAINER], {
      sudo: true,
      patience: brief,
      timeoutSeconds: 30,
      purpose: "asking etcd's member for its health",
    });
    const lines = stdout.split("\n");
    const data = lines.includes("data=yes") ? true : lines.includes("data=no") ? false : undefined;
    const listed = lines.filter((line) => line.startsWith("listed=")).map(nameIn);
    return { node, has: lines.includes("has=yes"), data, serves: lines.includes("serves=yes"), listed };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { node, serves: false, listed: [] };
  }
}

/** One line of etcdctl's list: id, state, name, URL for peers, and more. */
function nameIn(line: string): string {
  const [, , name = "", peerUrl = ""] = line.split(", ");
  return name || peerUrl;
}

/** Why the others would have no quorum, and whether there is one to lose. */
export interface Lack {
  readonly reason: string;
  readonly lostAlready: boolean;
}

/** Why etcd's quorum needs the member on a node; of one or two members there is none that could be kept. Pure. */
export function etcdNeeds(states: readonly MemberState[], self: string): Lack | undefined {
  const members = states.filter(({ has }) => has);
  const isOutside = states.some(({ node, has }) => node === self && has === false);
  if (members.length === 0 || isOutside) return undefined;
  const [first] = states.filter(({ serves }) => serves);
  if (!first) {
    const reason = "none of etcd's members serves";
    return members.some(({ data }) => data !== false) ? { reason, lostAlready: true } : undefined;
  }
  const { listed } = first;
  if (Math.max(listed.length, members.length) < 3) return undefined;
  const serves = (name: string) => states.some((state) => state.node === name && state.serves);
  const others = listed.filter((name) => name !== self && serves(name));
  if (others.length >= quorumOf(listed.length)) return undefined;
  const names = [...new Set([...listed, ...members.map(({ node }) => node)])];
  const missing = names.filter((name) => name !== self && !serves(name));
  const why = missing.map((name) => `the one on ${name} ${troubleOf(name, first, states)}`).join(", and ");
  return { reason: `without its member etcd would have no quorum, as ${why}`, lostAlready: false };
}

function troubleOf(name: string, { listed }: MemberState, states: readonly MemberState[]): string {
  const state = states.find(({ node }) => node === name);
  if (state?.has === undefined) return state ? "cannot be asked" : "is not configured any more";
  if (state.data === false) return "has no data";
  return listed.includes(name) ? "does not serve" : "is not in the cluster";
}

/**
 * What the gate asks again and again: it remembers since when the others have had no quorum. Where nobody serves there is
 * none to lose, and the change may be what brings it back.
 * @throws RefusedError where a member is silent for so long that only its replacement, or its owner, brings it back.
 */
export function etcdQuorum(clock = systemClock): Needs {
  let silence: Deadline | undefined;
  return async ({ connection, cluster }: Member) => {
    const { node } = connection;
    const others = cluster.managers.filter((manager) => manager.node !== node);
    const states = await Promise.all([connection, ...others].map(memberState));
    const lack = etcdNeeds(states, node);
    silence = lack && (silence ?? new Deadline(PATIENCE_SECONDS, clock));
    if (!lack || !silence?.passed) return lack?.reason;
    if (!lack.lostAlready) throw refusal(node, lack);
    warn(node, `is changed all the same, as ${lack.reason}, and there is no quorum to lose`);
    return undefined;
  };
}

function refusal(node: string, { reason }: Lack): RefusedError {
  return new RefusedError(
    node,
    `is not taken out of service: ${reason}. It runs on as it was. To do: mend that member first, by ` +
      `\`pulumi up --refresh ${TARGET}\`, which replaces one whose data are gone or broken (docs/etcd.md); then run \`pulumi up\` again`,
  );
}

/** Does `work`, which stops the node's member, and waits until that serves again. */
export async function withMember(
  connection: Connection,
  work: () => Promise<void>,
  clock = systemClock,
): Promise<void> {
  const before = await memberState(connection);
  await work();
  if (before.serves) return awaitMember(connection, clock);
  // Without data it waits for its turn in etcd's own cluster, which comes later.
  if (!before.has || before.data === false) return;
  const serves = await poll(new Deadline(PATIENCE_SECONDS, clock), 1, async () =>
    (await memberState(connection)).serves ? true : undefined,
  );
  if (serves) return;
  warn(
    connection.node,
    `its member of etcd did not serve before it was changed, and does not ${PATIENCE_SECONDS} s after it: see ` +
      "`journalctl -u moorage-etcd` there, and docs/etcd.md",
  );
}
