import { afterEach, describe, expect, it, vi } from "vitest";
import type { Cluster } from "../../../hosts/src/contract";
import { etcdNeeds, memberState, type MemberState } from "../../../hosts/src/etcd/quorum";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import { Deadline } from "../../../hosts/src/time";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { logged } from "./support/stop";

const serving = (node: string, ...listed: string[]): MemberState => ({
  node,
  has: true,
  data: true,
  serves: true,
  listed,
});
const silent = (node: string, changes: Partial<MemberState> = {}): MemberState => ({
  node,
  has: true,
  data: true,
  serves: false,
  listed: [],
  ...changes,
});
const all = (node: string) => serving(node, "a", "b", "c");

describe("what etcd's quorum needs", () => {
  it.each<[string, MemberState[], string, RegExp | undefined]>([
    ["one of three, all there", [all("a"), all("b"), all("c")], "a", undefined],
    [
      "one of three, another without data",
      [all("a"), silent("b", { data: false }), all("c")],
      "a",
      /no quorum, as the one on b has no data$/,
    ],
    [
      "one of three, another silent",
      [all("a"), silent("b"), all("c")],
      "c",
      /as the one on b does not serve$/,
    ],
    ["the one of three that is down itself", [all("a"), silent("b"), all("c")], "b", undefined],
    [
      "one of three, another node off",
      [all("a"), { node: "b", serves: false, listed: [] }, all("c")],
      "a",
      /as the one on b cannot be asked$/,
    ],
    [
      "one of three, another taken off the list and not added yet",
      [serving("a", "a", "c"), silent("b", { data: false }), serving("c", "a", "c")],
      "a",
      /as the one on b has no data$/,
    ],
    [
      "one of three, and one that left the configuration still counts",
      ["a", "b", "c"].map((name) => serving(name, "a", "b", "c", "d")),
      "a",
      /as the one on d is not configured any more$/,
    ],
    [
      "one of five, another silent",
      [..."abcd"].map((name) => serving(name, ..."abcde")).concat(silent("e")),
      "a",
      undefined,
    ],
    [
      "one of five, two silent",
      [..."abc"].map((name) => serving(name, ..."abcde")).concat(silent("d"), silent("e")),
      "a",
      /as the one on d does not serve, and the one on e does not serve$/,
    ],
    [
      "a node without a member",
      [all("a"), silent("b"), all("c"), silent("w", { has: false })],
      "w",
      undefined,
    ],
    [
      "a node that cannot be asked, and another member silent",
      [{ node: "a", serves: false, listed: [] }, silent("b"), all("c")],
      "a",
      /as the one on b does not serve$/,
    ],
    [
      "a node that cannot be asked where there is no etcd",
      [{ node: "a", serves: false, listed: [] }, silent("b", { has: false }), silent("c", { has: false })],
      "a",
      undefined,
    ],
    [
      "a worker that cannot be asked, beside two members",
      [serving("a", "a", "b"), silent("b"), { node: "w", serves: false, listed: [] }],
      "w",
      undefined,
    ],
    ["the only member", [serving("a", "a")], "a", undefined],
    ["one of two", [serving("a", "a", "b"), silent("b")], "a", undefined],
    [
      "members that were never formed",
      [..."abc"].map((name) => silent(name, { data: false })),
      "a",
      undefined,
    ],
    ["a cluster that nobody serves", [..."abc"].map((name) => silent(name)), "a", /^none of etcd's members/],
  ])("%s", (_what, states, self, expected) => {
    const lack = etcdNeeds(states, self);
    if (expected === undefined) expect(lack).toBeUndefined();
    else expect(lack?.reason).toMatch(expected);
  });
});

/** A member that serves while the file `serves` is there. Whoever serves lists all three. */
const docker = `#!/bin/sh
[ -e "$FAKE/serves" ] || { echo "no answer" >&2; exit 1; }
case "$*" in
  "exec moorage-etcd etcdctl endpoint health") ;;
  "exec moorage-etcd etcdctl member list")
    for name in a b c; do echo "8e9e05c52164694d, started, $name, https://$name:2380, https://$name:2379, false"; done ;;
  *) exit 64 ;;
esac
`;

/** Managers a, b and c with a member of etcd each, and a worker d. */
async function whole() {
  row.stoppedBy = undefined;
  const nodes = (await engines("a", "b", "c", "d")) as [Engine, Engine, Engine, Engine];
  const managers = nodes.slice(0, 3);
  for (const engine of nodes) await swarmMember.create(memberInputs(engine, managers));
  for (const { sandbox } of managers) {
    sandbox.tool("docker", docker);
    sandbox.write("etc/moorage/etcd/member", "echo data=$(cat $FAKE/data)\n");
    sandbox.write("data", "yes");
    sandbox.write("serves", "");
  }
  const cluster: Cluster = { managers: managers.map(({ connection }) => connection) };
  const swarm = nodes[0].cluster;
  if (!swarm) throw new Error("no Swarm was made");
  return { nodes, cluster, swarm };
}

const end = ({ sandbox }: Engine, data = "yes"): void => {
  sandbox.remove("serves");
  sandbox.write("data", data);
};

/** Limits of a minute, and no others: what watches a connection would take a jump of the clock for silence. */
const MINUTE = 60;

/** A limit of a minute has passed at once. */
function later(): void {
  vi.spyOn(Deadline.prototype, "passed", "get").mockImplementation(function (this: Deadline) {
    return this.seconds === MINUTE || this.left() === 0;
  });
}

/** From now on a minute takes three seconds. */
function hurry(): void {
  const left = Deadline.prototype.left;
  vi.spyOn(Deadline.prototype, "left").mockImplementation(function (this: Deadline, floor = 0) {
    const seconds = left.call(this);
    return Math.max(floor, this.seconds === MINUTE ? seconds - 19 * (MINUTE - seconds) : seconds);
  });
}

afterEach(() => void vi.restoreAllMocks());

describe.skipIf(!canSandbox)("a node with a member of etcd", () => {
  it("says of its member what the gate asks for", async () => {
    const { nodes } = await whole();
    const [a, b, , d] = nodes;
    expect(await memberState(a.connection)).toEqual(all("a"));
    end(b, "no");
    expect(await memberState(b.connection)).toEqual(silent("b", { data: false }));
    expect(await memberState(d.connection)).toMatchObject({ has: false, serves: false });
    expect(await memberState({ ...a.connection, port: 1 })).toEqual({ node: "a", serves: false, listed: [] });
  }, 60_000);

  it("is not taken out of service while another's member has no data; the other one may be, and a worker", async () => {
    const { nodes, cluster, swarm } = await whole();
    const [a, b, , d] = nodes;
    end(b, "no");
    const changed: string[] = [];
    const change = ({ connection, name }: Engine) =>
      outOfService(connection, cluster, async () => void changed.push(name));
    const refused = expect(change(a)).rejects.toThrow(
      /^a: is not taken out of service: without its member etcd would have no quorum, as the one on b has no data\. .*To do: .*`pulumi up --refresh --target '\*\*:EtcdCluster::\*'`/,
    );
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/a: waits to be changed: without its member etcd/);
    later();
    await refused;
    expect(swarm.moves).toEqual([]);
    vi.restoreAllMocks();
    await change(b);
    await change(d);
    expect(changed).toEqual(["b", "d"]);
  }, 60_000);

  it("waits for another's member that comes back by itself", async () => {
    const { nodes, cluster, swarm } = await whole();
    const [a, , c] = nodes;
    end(c);
    const done = outOfService(a.connection, cluster, () => Promise.resolve());
    await expect
      .poll(() => logged.join("\n"), { timeout: 15_000 })
      .toMatch(/a: waits to be changed: .* as the one on c does not serve/);
    expect(swarm.moves).toEqual([]);
    c.sandbox.write("serves", "");
    await done;
    expect(swarm.moves).toEqual(["a drain", "a active"]);
  }, 60_000);

  it("is changed where there is no quorum to lose, and says so", async () => {
    const { nodes, cluster, swarm } = await whole();
    const [a, b, c] = nodes;
    for (const each of [a, b, c]) end(each);
    const done = outOfService(a.connection, cluster, () => {
      for (const { sandbox } of [a, b]) sandbox.write("serves", "");
      return Promise.resolve();
    });
    await expect.poll(() => logged.join("\n"), { timeout: 15_000 }).toMatch(/none of etcd's members serves/);
    later();
    await done;
    expect(logged).toContain(
      "warning: a: is changed all the same, as none of etcd's members serves, and there is no quorum to lose",
    );
    expect(swarm.moves).toEqual(["a drain", "a active"]);
  }, 60_000);

  it("is back in service once its member serves, also where that did not before", async () => {
    const { nodes, cluster, swarm } = await whole();
    const [, b] = nodes;
    end(b);
    const done = outOfService(b.connection, cluster, () => {
      setTimeout(() => b.sandbox.write("serves", ""), 2500);
      return Promise.resolve();
    });
    await expect.poll(() => swarm.moves, { timeout: 10_000 }).toEqual(["b drain"]);
    expect(b.sandbox.read("serves")).toBeUndefined();
    await done;
    expect(b.sandbox.read("serves")).toBe("");
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 60_000);

  it("is back in service also where its member, which did not serve before, does not: a warning says so", async () => {
    const { nodes, cluster, swarm } = await whole();
    const [, b] = nodes;
    end(b);
    await outOfService(b.connection, cluster, () => {
      hurry();
      return Promise.resolve();
    });
    expect(logged.join("\n")).toMatch(/warning: b: its member of etcd did not serve before it was changed/);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 60_000);

  it("whose member served before, and does not afterwards, stops the row", async () => {
    const { nodes, cluster } = await whole();
    const [a, b] = nodes;
    const change = outOfService(a.connection, cluster, () => {
      end(a);
      hurry();
      return Promise.resolve();
    });
    await expect(change).rejects.toThrow(/^a: its member of etcd served before/);
    const next = outOfService(b.connection, cluster, () => Promise.resolve());
    await expect(next).rejects.toThrow(/^b: is left as it is, as a did not come back/);
  }, 60_000);
});
