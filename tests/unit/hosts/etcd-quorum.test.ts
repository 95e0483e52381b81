import { describe, expect, it } from "vitest";
import type { Connection } from "../../../hosts/src/contract";
import { etcdNeeds, etcdQuorum, memberState, withMember } from "../../../hosts/src/etcd/quorum";
import type { MemberState } from "../../../hosts/src/etcd/quorum";
import { canSandbox, Sandbox } from "./support/sandbox";
import { logged } from "./support/stop";
import { VirtualClock } from "./support/virtual-clock";

const serving = (node: string, listed: readonly string[] = ["a", "b", "c"]): MemberState => ({
  node,
  has: true,
  data: true,
  serves: true,
  listed,
});
const silent = (node: string, changes: Partial<MemberState> = {}): MemberState => {
  return { ...serving(node, []), serves: false, ...changes };
};

/** Of a node: `+` its member serves, `-` it does not, `0` it has no data, `x` there is none, `?` it cannot be asked. */
const shown = (node: string, sign: string, listed: readonly string[]): MemberState => {
  if (sign === "+") return serving(node, listed);
  if (sign === "?") return { node, serves: false, listed: [] };
  return silent(node, sign === "0" ? { data: false } : { has: sign === "-" });
};

describe("what etcd's quorum needs", () => {
  it.each<[string, string, string, string, RegExp | undefined]>([
    ["one of three, all there", "a+ b+ c+", "abc", "a", undefined],
    ["one of three, another without data", "a+ b0 c+", "abc", "a", /no quorum, as the one on b has no data$/],
    ["one of three, another silent", "a+ b- c+", "abc", "c", /as the one on b does not serve$/],
    ["the one of three that is down itself", "a+ b- c+", "abc", "b", undefined],
    ["one of three, another node off", "a+ b? c+", "abc", "a", /as the one on b cannot be asked$/],
    ["one of three, another not added yet", "a+ b0 c+", "ac", "a", /as the one on b has no data$/],
    ["one of three, one not configured", "a+ b+ c+", "abcd", "a", /on d is not configured any more$/],
    ["one of five, another silent", "a+ b+ c+ d+ e-", "abcde", "a", undefined],
    [
      "one of five, two silent",
      "a+ b+ c+ d- e-",
      "abcde",
      "a",
      /on d does not serve, and the one on e does not/,
    ],
    ["a node without a member", "a+ b- c+ wx", "abc", "w", undefined],
    ["a node that cannot be asked, another member silent", "a? b- c+", "abc", "a", /on b does not serve$/],
    ["a node that cannot be asked, without etcd", "a? bx cx", "", "a", undefined],
    ["a worker that cannot be asked, beside two members", "a+ b- w?", "ab", "w", undefined],
    ["the only member", "a+", "a", "a", undefined],
    ["one of two", "a+ b-", "ab", "a", undefined],
    ["members that were never formed", "a0 b0 c0", "", "a", undefined],
    ["a cluster that nobody serves", "a- b- c-", "", "a", /^none of etcd's members/],
  ])("%s: %s", (_what, states, listed, self, expected) => {
    const members = states.split(" ").map(([name = "", sign = ""]) => shown(name, sign, [...listed]));
    const lack = etcdNeeds(members, self);
    if (expected === undefined) expect(lack).toBeUndefined();
    else expect(lack?.reason).toMatch(expected);
  });
});

/** A member that serves while the file `serves` exists, in a cluster of three. */
const docker = `#!/bin/sh
[ -e "$FAKE/serves" ] || { echo "no answer" >&2; exit 1; }
case "$*" in
  "exec moorage-etcd etcdctl endpoint health") ;;
  "exec moorage-etcd etcdctl member list")
    for name in a b c; do echo "8e9e05c52164694d, started, $name, https://$name:2380, https://$name:2379, false"; done ;;
  *) exit 64 ;;
esac
`;

async function member(node: string): Promise<Sandbox> {
  const sandbox = await Sandbox.start({ docker }, { node });
  sandbox.write("etc/moorage/etcd/member", "echo data=$(cat $FAKE/data)\n");
  sandbox.write("data", "yes");
  sandbox.write("serves", "");
  return sandbox;
}

const stop = (sandbox: Sandbox, data = "yes"): void => {
  sandbox.remove("serves");
  sandbox.write("data", data);
};

describe.skipIf(!canSandbox)("a node with a member of etcd", () => {
  it("is needed while another's member has no data, and the update stops after a minute", async () => {
    const nodes = await Promise.all(["a", "b", "c"].map(member));
    const managers = nodes.map(({ server }) => server.connection());
    const [a, b] = managers as [Connection, Connection, Connection];
    const [, second] = nodes as [Sandbox, Sandbox, Sandbox];
    const clock = new VirtualClock();
    const asMember = (connection: Connection) => ({
      connection,
      cluster: { managers },
      managers,
      nodeId: "",
    });
    const needs = etcdQuorum(clock);
    expect(await memberState(a)).toEqual(serving("a"));
    expect(await memberState({ ...a, port: 1 })).toEqual({ node: "a", serves: false, listed: [] });
    expect(await needs(asMember(a))).toBeUndefined();

    stop(second, "no");
    expect(await memberState(b)).toEqual(silent("b", { data: false }));
    expect(await needs(asMember(a))).toMatch(/no quorum, as the one on b has no data$/);
    expect(await etcdQuorum(clock)(asMember(b))).toBeUndefined();
    await clock.sleep(60_000);
    await expect(needs(asMember(a))).rejects.toThrow(
      /^a: is not taken out of service: without its member etcd would have no quorum, as the one on b has no data\. .*To do: .*`pulumi up --refresh --target '\*\*:EtcdCluster::\*'`/,
    );

    // Without a quorum there is none to lose.
    for (const each of nodes) stop(each);
    const withoutQuorum = etcdQuorum(clock);
    expect(await withoutQuorum(asMember(a))).toBe("none of etcd's members serves");
    await clock.sleep(60_000);
    expect(await withoutQuorum(asMember(a))).toBeUndefined();
    expect(logged).toContain(
      "warning: a: is changed all the same, as none of etcd's members serves, and there is no quorum to lose",
    );
  });

  it("is back once its member serves again", async () => {
    const a = await member("a");
    const connection = a.server.connection();
    const work = () => Promise.resolve(stop(a));
    await withMember(connection, work, new VirtualClock(() => a.write("serves", "")));
    await expect(withMember(connection, work, new VirtualClock(undefined, 20))).rejects.toThrow(
      /^a: its member of etcd served before, and does not 60 s after/,
    );
  });
});
