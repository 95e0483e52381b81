/** What to do next about a cluster: a pure decision, one step at a time, none of which may cost the quorum. */
import type { Listed } from "./client";
import type { Seen, View } from "./look";

export type Step =
  | { readonly kind: "done"; readonly warnings: readonly string[] }
  | { readonly kind: "wait"; readonly detail: string }
  /** Nothing that is done here can help, unless it passes. */
  | { readonly kind: "refused"; readonly detail: string }
  /** Members that never had data form a new cluster. */
  | { readonly kind: "form"; readonly nodes: readonly string[] }
  | { readonly kind: "remove"; readonly id: string; readonly name: string }
  | { readonly kind: "add"; readonly node: string }
  | { readonly kind: "admit"; readonly node: string }
  /** Data of a member that the cluster does not have, or that it cannot read: out of the way. */
  | { readonly kind: "aside"; readonly node: string; readonly broken?: string }
  | { readonly kind: "move"; readonly node: string; readonly id: string }
  | { readonly kind: "restart"; readonly node: string }
  | { readonly kind: "settle"; readonly nodes: readonly string[] };

export const quorumOf = (members: number): number => Math.floor(members / 2) + 1;

/** Without data and not yet told how to start. */
const isWaiting = ({ facts }: Seen): boolean => facts?.data === false && facts.initial === "";

export function nextStep(view: View): Step {
  return view.listed === undefined ? withoutQuorum(view.members) : withQuorum(view.members, view.listed);
}

function withoutQuorum(members: readonly Seen[]): Step {
  const unknown = members.filter(({ facts }) => facts?.data === undefined);
  const waiting = members.filter(isWaiting);
  const holding = members.filter(({ facts }) => facts?.data === true);
  const formed = holding.filter(({ facts }) => facts?.initial !== "new");
  if (formed.length === 0) {
    if (unknown.length > 0) {
      const detail = `whether a member has data must be known of all before a cluster is formed; ${reasons(unknown)}`;
      return { kind: "wait", detail };
    }
    return waiting.length > 0
      ? { kind: "form", nodes: names(waiting) }
      : { kind: "wait", detail: `the members start: ${reasons(members)}` };
  }
  const starting = members.filter(({ facts }) => facts?.data === false && facts.initial !== "");
  if (holding.length + starting.length + unknown.length < quorumOf(members.length)) {
    return { kind: "refused", detail: lostQuorum(members, waiting, holding) };
  }
  const trouble = members.filter(({ healthy }) => !healthy);
  return { kind: "wait", detail: `no quorum answers; ${reasons(trouble)}` };
}

function lostQuorum(members: readonly Seen[], lost: readonly Seen[], holding: readonly Seen[]): string {
  const [survivor] = holding;
  return (
    `${lost.length} of ${members.length} members have lost their data (${names(lost).join(", ")}), and the quorum with ` +
    "it, so nothing was changed: only you can say that no member with newer data comes back. To do: bring back one of " +
    `them with its data; or go on with what ${survivor?.node ?? "the last one"} has, by \`sudo sh /etc/moorage/etcd/member ` +
    "alone` there and another `pulumi up`, which adds the others to it one by one (docs/etcd.md)"
  );
}

function withQuorum(members: readonly Seen[], listed: readonly Listed[]): Step {
  const healthy = members.filter((member) => member.healthy).length;
  const step =
    first(members, (member) => setAside(member, listed)) ??
    first(members, (member) => brokenAside(member, listed, healthy)) ??
    first(members, (member) => replaced(member, members, listed, healthy)) ??
    first(unhealthyFirst(members), (member) => brought(member, members, listed));
  if (step) return step;
  const troubled = members.filter((member) => member.facts && !member.healthy);
  if (troubled.length > 0) return { kind: "wait", detail: reasons(troubled) };
  const stranger = strangers(members, listed)[0];
  if (stranger && healthy >= quorumOf(listed.length - 1)) return removal(stranger);
  const unsettled = members.filter(({ facts }) => facts && facts.initial !== "");
  if (unsettled.length > 0) return { kind: "settle", nodes: names(unsettled) };
  const unknown = members.filter(({ facts }) => !facts);
  return { kind: "done", warnings: unknown.map(({ node, why }) => `${node} was not looked at: ${why}`) };
}

/** A name it has once it has started; before, its peer URL alone tells it. */
function entryOf({ node, peerUrl }: Seen, listed: readonly Listed[]): Listed | undefined {
  return (
    listed.find(({ name }) => name === node) ??
    listed.find(({ name, peerUrls }) => name === "" && peerUrls.includes(peerUrl))
  );
}

function strangers(members: readonly Seen[], listed: readonly Listed[]): Listed[] {
  const ours = new Set(members.map((member) => entryOf(member, listed)?.id));
  return listed.filter(({ id }) => !ours.has(id));
}

function setAside(member: Seen, listed: readonly Listed[]): Step | undefined {
  const orphaned = member.facts?.data === true && !member.healthy && !entryOf(member, listed);
  return orphaned ? { kind: "aside", node: member.node } : undefined;
}

/** One that cannot read its data comes in as a new one as well, while the others hold the quorum without it. */
function brokenAside(member: Seen, listed: readonly Listed[], healthy: number): Step | undefined {
  return isBroken(member) && healthy >= quorumOf(listed.length)
    ? { kind: "aside", node: member.node, broken: member.facts?.broken }
    : undefined;
}

/** A unit that its owner has stopped is left alone. */
export const isBroken = ({ facts, healthy }: Seen): boolean =>
  !healthy && facts?.data === true && facts.broken !== undefined && facts.active !== "inactive";

/** A member without data comes in as a new one; the one it was goes first, as the two share a name and an address. */
function replaced(
  member: Seen,
  members: readonly Seen[],
  listed: readonly Listed[],
  healthy: number,
): Step | undefined {
  if (!isWaiting(member)) return undefined;
  const entry = entryOf(member, listed);
  if (entry && entry.clientUrls.length === 0) return { kind: "admit", node: member.node };
  const joining = members.find((other) => other.facts && !other.healthy && !isWaiting(other));
  if (joining) return { kind: "wait", detail: `one member at a time; ${reasons([joining])}` };
  if (entry) {
    return healthy >= quorumOf(listed.length)
      ? { kind: "remove", id: entry.id, name: member.node }
      : { kind: "wait", detail: `without ${member.node} there would be no quorum; ${reasons(members)}` };
  }
  // The second member of all can only come while the first is alone.
  if (healthy >= quorumOf(listed.length + 1) || (listed.length === 1 && healthy === 1))
    return { kind: "add", node: member.node };
  const stranger = strangers(members, listed)[0];
  if (stranger && healthy >= quorumOf(listed.length - 1)) return removal(stranger);
  return {
    kind: "wait",
    detail: `with ${member.node} as well there would be no quorum; ${reasons(members)}`,
  };
}

/** Its address or its settings changed. One that is down anyway loses nothing; one that serves must be spared. */
function brought(member: Seen, members: readonly Seen[], listed: readonly Listed[]): Step | undefined {
  const entry = entryOf(member, listed);
  if (member.facts?.data !== true || !entry) return undefined;
  const moved = !entry.peerUrls.includes(member.peerUrl);
  if (!moved && !member.facts.stale) return undefined;
  const others = members.filter((other) => other !== member && other.facts && !isWaiting(other));
  const down = others.find((other) => !other.healthy && !other.facts?.stale);
  const serving = others.filter((other) => other.healthy).length;
  if (member.healthy && listed.length > 1 && (down || serving < quorumOf(listed.length))) {
    return { kind: "wait", detail: `${member.node} is restarted once the others serve; ${reasons(others)}` };
  }
  return moved ? { kind: "move", node: member.node, id: entry.id } : { kind: "restart", node: member.node };
}

const removal = ({ id, name }: Listed): Step => ({ kind: "remove", id, name: name || id });
const names = (members: readonly Seen[]): string[] => members.map(({ node }) => node);
const unhealthyFirst = (members: readonly Seen[]): Seen[] =>
  [...members].sort((a, b) => Number(a.healthy) - Number(b.healthy));

function first(members: readonly Seen[], of: (member: Seen) => Step | undefined): Step | undefined {
  for (const member of members) {
    const step = of(member);
    if (step) return step;
  }
  return undefined;
}

/** Each member in trouble with its reason, and its last word in the journal where it says more. */
function reasons(members: readonly Seen[]): string {
  const told = members
    .filter(({ healthy }) => !healthy)
    .map(({ node, why, facts }) => {
      const last = facts?.journal.at(-1);
      return `${node}: ${why}${last === undefined ? "" : ` (${last.trim().slice(0, 300)})`}`;
    });
  return told.join("; ") || "all that were asked serve";
}
