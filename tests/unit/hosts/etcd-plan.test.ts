import { describe, expect, it } from "vitest";
import type { Listed } from "../../../hosts/src/etcd/client";
import { brokenBy, type Facts, type Seen } from "../../../hosts/src/etcd/look";
import { nextStep, quorumOf } from "../../../hosts/src/etcd/plan";

const peer = (node: string) => `https://${node}:2380`;

function seen(node: string, facts: Partial<Facts> | undefined = {}, healthy = true): Seen {
  const whole = { data: true, initial: "", active: "active", stale: false, journal: [], ...facts };
  return { node, peerUrl: peer(node), facts: whole, healthy, why: healthy ? "" : "it is down" };
}
const off = (node: string): Seen => ({ node, peerUrl: peer(node), healthy: false, why: "no SSH connection" });
const lost = (node: string): Seen => seen(node, { data: false }, false);

const entry = (name: string, changes: Partial<Listed> = {}): Listed => ({
  id: `id-${name}`,
  name,
  peerUrls: [peer(name)],
  clientUrls: [`https://${name}:2379`],
  ...changes,
});
const listed = (...names: string[]) => names.map((name) => entry(name));
const abc = listed("a", "b", "c");
const five = listed("a", "b", "c", "d", "e");

/** Its settings changed. */
const stale = (node: string, healthy = true): Seen => seen(node, { stale: true }, healthy);
const down = (node: string): Seen => seen(node, {}, false);
const joining = (node: string, data: boolean): Seen => seen(node, { data, initial: "existing" }, false);
const broken = (node: string, changes: Partial<Facts> = {}): Seen =>
  seen(node, { broken: "walpb: crc mismatch", active: "activating", ...changes }, false);
const added = [...listed("a", "c"), entry("", { peerUrls: [peer("b")], clientUrls: [] })];
const elsewhere = [entry("a", { peerUrls: ["https://old:2380"] }), entry("b"), entry("c")];
const [a, b, c] = [seen("a"), seen("b"), seen("c")];
const wait = { kind: "wait" };
const remove = (name: string) => ({ kind: "remove", id: `id-${name}`, name });

describe("the next step without a quorum", () => {
  it.each<[string, Seen[], object]>([
    ["no node has data", [lost("a"), lost("b"), lost("c")], { kind: "form", nodes: ["a", "b", "c"] }],
    [
      "an interrupted forming",
      [seen("a", { initial: "new" }, false), lost("b"), lost("c")],
      { kind: "form", nodes: ["b", "c"] },
    ],
    ["a node that cannot be asked may hold the data of all", [lost("a"), lost("b"), off("c")], wait],
    [
      "so may a disk that is not mounted",
      [lost("a"), lost("b"), seen("c", { data: undefined }, false)],
      wait,
    ],
    [
      "a majority without data",
      [down("a"), lost("b"), lost("c")],
      { kind: "refused", detail: expect.stringContaining("on with what a has") as string },
    ],
    ["one of them may come back", [down("a"), lost("b"), off("c")], wait],
    ["a majority that is down", [down("a"), down("b"), lost("c")], wait],
    ["one that joins", [down("a"), joining("b", false), lost("c")], wait],
    ["broken data, which stay", [down("a"), broken("b"), broken("c")], wait],
  ])("%s", (_what, members, expected) => {
    expect(nextStep({ members })).toMatchObject(expected);
  });
});

describe("the next step with a quorum", () => {
  it.each<[string, Seen[], Listed[], object]>([
    ["all serve", [a, b, c], abc, { kind: "done", warnings: [] }],
    [
      "a node is off",
      [a, b, off("c")],
      abc,
      { kind: "done", warnings: ["c was not looked at: no SSH connection"] },
    ],
    ["a member without data is removed", [a, lost("b"), c], abc, remove("b")],
    ["and added", [a, lost("b"), c], listed("a", "c"), { kind: "add", node: "b" }],
    ["and admitted", [a, lost("b"), c], added, { kind: "admit", node: "b" }],
    ["and awaited", [a, joining("b", false), c], added, wait],
    ["and settled", [a, seen("b", { initial: "existing" }), c], abc, { kind: "settle", nodes: ["b"] }],
    ["of two in five the first comes back first", [a, b, c, lost("d"), lost("e")], five, remove("d")],
    ["the second waits for it", [a, b, c, joining("d", true), lost("e")], five, wait],
    ["a member in trouble keeps the others as they are", [a, down("b"), lost("c")], abc, wait],
    ["other settings", [stale("a"), stale("b"), c], abc, { kind: "restart", node: "a" }],
    ["other settings, without quorum meanwhile", [stale("a"), stale("b"), off("c")], abc, wait],
    [
      "other settings, of one that is down",
      [stale("a"), stale("b", false), c],
      abc,
      { kind: "restart", node: "b" },
    ],
    ["other settings of the only one", [stale("a")], listed("a"), { kind: "restart", node: "a" }],
    ["another address", [a, b, c], elsewhere, { kind: "move", node: "a", id: "id-a" }],
    ["a member whose node left the configuration", [a, b, c], [...abc, entry("d")], remove("d")],
    ["a node in another's place: that one goes first", [a, b, lost("d")], abc, remove("c")],
    ["then it comes", [a, b, lost("d")], listed("a", "b"), { kind: "add", node: "d" }],
    ["a cluster of one grows to two", [a, lost("b"), lost("c")], listed("a"), { kind: "add", node: "b" }],
    [
      "broken data are put aside",
      [a, b, broken("c")],
      abc,
      { kind: "aside", node: "c", broken: "walpb: crc mismatch" },
    ],
    ["not if its owner stopped the unit", [a, b, broken("c", { active: "inactive" })], abc, wait],
    ["not without the others' quorum", [a, down("b"), broken("c")], abc, wait],
    ["not once it serves again", [a, b, seen("c", { broken: "walpb: crc mismatch" })], abc, { kind: "done" }],
    [
      "data of a member that is not listed are put aside",
      [a, b, down("c")],
      listed("a", "b"),
      { kind: "aside", node: "c" },
    ],
  ])("%s", (_what, members, known, expected) => {
    expect(nextStep({ members, listed: known })).toMatchObject(expected);
  });
});

const fatal = (msg: string, error: string) =>
  `{"level":"fatal","ts":"2026-01-01T00:00:00Z","caller":"x.go:1","msg":"${msg}","error":"${error}","stacktrace":"y"}`;
const failed = (error: string) => fatal("discovery failed", error);

describe("data are taken for broken", () => {
  it.each([
    [3, failed("walpb: crc mismatch"), "discovery failed: walpb: crc mismatch"],
    [3, failed("proto: wrong wireType = 6 for field Type"), /wireType = 6 for field Type$/],
    [3, fatal("failed to unmarshal mvccpb.KeyValue", "unexpected EOF"), /KeyValue: unexpected EOF$/],
    [9, fatal("failed to open database", "invalid database"), "failed to open database: invalid database"],
    [9, "panic: failed to recover v3 backend from snapshot", /^panic: failed to recover/],
    [9, "panic: assertion failed: Page expected to be: 3, but self identifies as 1", /^panic: assertion/],
    [9, "panic: tocommit(8) is out of range [lastIndex(3)]. Was the raft log corrupted or lost?", /lost\?$/],
    [9, "panic: cannot use none as id", "panic: cannot use none as id"],
  ])("after %s starts that ended with %s", (restarts, ended, expected) => {
    expect(brokenBy(restarts, ended)).toMatch(expected);
  });

  it.each([
    [2, failed("walpb: crc mismatch")],
    [9, failed("listen tcp 10.0.0.1:2380: bind: address already in use")],
    [9, failed("cannot access data directory: open /x/.touch: read-only file system")],
    [9, fatal("failed to save", "write /x/wal/0.wal: wal: no space left on device")],
    [9, ""],
    [Number.NaN, "panic: freelist"],
  ])("but not after %s starts that ended with %s", (restarts, ended) => {
    expect(brokenBy(restarts, ended)).toBeUndefined();
  });
});

it("a quorum is more than half", () => {
  expect([1, 2, 3, 4, 5].map(quorumOf)).toEqual([1, 2, 2, 3, 3]);
});
