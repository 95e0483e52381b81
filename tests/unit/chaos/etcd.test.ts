import { describe, expect, test } from "vitest";
import { describeInstance } from "../../../lab/instance";
import { EtcdLoad, lostOn, pairsIn, writtenIn } from "../../chaos/etcd";
import type { Place } from "../../../lab/faults/place";

const instance = describeInstance(3);
const members = instance.hosts
  .filter(({ kind }) => kind === "node")
  .slice(0, 3)
  .map((host) => ({ instance, host }));
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** An etcd of which each member may have forgotten something. */
class Etcd {
  readonly asked: string[] = [];
  readonly data = new Map<string, string>();
  readonly down = new Set<string>();
  readonly forgot = new Map<string, string>();

  readonly shell = ({ host }: Place, line: string) => {
    const [, verb = "", rest = ""] = /etcdctl --command-timeout=5s (\w+) (.*)$/.exec(line) ?? [];
    this.asked.push(`${host.name} ${verb}`);
    if (this.down.has(host.name)) return Promise.resolve({ code: 1, stdout: "" });
    const [key = "", value = ""] = rest.replace("--print-value-only ", "").split(" ");
    if (verb === "put") this.data.set(key, value);
    if (verb === "del") this.data.clear();
    const pairs = [...this.data].filter(([name]) => name !== this.forgot.get(host.name));
    const all = rest.includes("--prefix") ? pairs.flat().join("\n") : (this.data.get(key) ?? "");
    return Promise.resolve({ code: 0, stdout: verb === "get" ? `${all}\n` : "OK\n" });
  };
}

describe("writes to etcd", () => {
  test("go to the members that are not hurt, in turn, and each is read back", async () => {
    const etcd = new Etcd();
    const load = new EtcdLoad(members, etcd.shell, 5);
    const stop = load.start(["coreos2"]);
    await wait(60);
    const writes = await stop();
    expect(writes.length).toBeGreaterThan(2);
    expect(writtenIn(writes, { from: 0, to: Infinity })).toEqual({ ok: writes.length, failed: 0 });
    expect(writtenIn(writes, { from: 0, to: 1 })).toEqual({ ok: 0, failed: 0 });
    expect(etcd.asked.slice(0, 4)).toEqual(["coreos1 put", "coreos1 get", "coreos3 put", "coreos3 get"]);
    expect(await load.lost(10)).toEqual([]);
    await load.clear();
    expect(etcd.data.size).toBe(0);
  });

  test("that nobody takes are counted, and none of them is missed", async () => {
    const etcd = new Etcd();
    etcd.down.add("coreos1").add("coreos2").add("coreos3");
    const load = new EtcdLoad(members, etcd.shell, 5);
    const stop = load.start([]);
    await wait(20);
    expect(writtenIn(await stop(), { from: 0, to: Infinity }).ok).toBe(0);
    etcd.down.clear();
    expect(await load.lost(10)).toEqual([]);
  });

  test("that were acknowledged have to be with every member, of its own", async () => {
    const etcd = new Etcd();
    const load = new EtcdLoad(members, etcd.shell, 5);
    const stop = load.start([]);
    await wait(20);
    await stop();
    etcd.forgot.set("coreos2", "/chaos/0");
    etcd.down.add("coreos3");
    expect(await load.lost(10)).toEqual([
      expect.stringMatching(/^etcd on coreos2: \/chaos\/0 is nothing in place of [0-9a-f]{32}$/),
      "etcd on coreos3 does not answer",
    ]);
  });
});

test("a member's keys are told with their values, and one with another value is lost", () => {
  const has = pairsIn("/chaos/0\nabc\n/chaos/1\ndef\n");
  expect([...has]).toEqual([
    ["/chaos/0", "abc"],
    ["/chaos/1", "def"],
  ]);
  expect(lostOn("n1", new Map([["/chaos/0", "abc"]]), has)).toEqual([]);
  expect(lostOn("n1", new Map([["/chaos/1", "abc"]]), has)).toEqual([
    "etcd on n1: /chaos/1 is def in place of abc",
  ]);
});
