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

describe("without a quorum", () => {
  it("members that never had data form a cluster, also the rest of one that was interrupted", () => {
    expect(nextStep({ members: [lost("a"), lost("b"), lost("c")] })).toEqual({
      kind: "form",
      nodes: ["a", "b", "c"],
    });
    const begun = seen("a", { initial: "new" }, false);
    expect(nextStep({ members: [begun, lost("b"), lost("c")] })).toEqual({ kind: "form", nodes: ["b", "c"] });
  });

  it("a node that cannot be asked may hold the data of all", () => {
    expect(nextStep({ members: [lost("a"), lost("b"), off("c")] })).toMatchObject({ kind: "wait" });
    const unmounted = seen("c", { data: undefined }, false);
    expect(nextStep({ members: [lost("a"), lost("b"), unmounted] })).toMatchObject({ kind: "wait" });
  });

  it("a majority that lost its data is refused, one that may come back is waited for", () => {
    const down = (node: string) => seen(node, {}, false);
    expect(nextStep({ members: [down("a"), lost("b"), lost("c")] })).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("on with what a has") as string,
    });
    expect(nextStep({ members: [down("a"), lost("b"), off("c")] })).toMatchObject({ kind: "wait" });
    expect(nextStep({ members: [down("a"), down("b"), lost("c")] })).toMatchObject({ kind: "wait" });
    const second = seen("b", { data: false, initial: "existing" }, false);
    expect(nextStep({ members: [down("a"), second, lost("c")] })).toMatchObject({ kind: "wait" });
  });
});

describe("with a quorum", () => {
  it("nothing is done where all serve, and a node that is off is only told of", () => {
    expect(nextStep({ members: [seen("a"), seen("b"), seen("c")], listed: abc })).toEqual({
      kind: "done",
      warnings: [],
    });
    expect(nextStep({ members: [seen("a"), seen("b"), off("c")], listed: abc })).toEqual({
      kind: "done",
      warnings: ["c was not looked at: no SSH connection"],
    });
  });

  it("a member without data is removed, added, and admitted", () => {
    const members = [seen("a"), lost("b"), seen("c")];
    expect(nextStep({ members, listed: abc })).toEqual({ kind: "remove", id: "id-b", name: "b" });
    expect(nextStep({ members, listed: listed("a", "c") })).toEqual({ kind: "add", node: "b" });
    const added = [...listed("a", "c"), entry("", { peerUrls: [peer("b")], clientUrls: [] })];
    expect(nextStep({ members, listed: added })).toEqual({ kind: "admit", node: "b" });
    const admitted = [seen("a"), seen("b", { data: false, initial: "existing" }, false), seen("c")];
    expect(nextStep({ members: admitted, listed: added })).toMatchObject({ kind: "wait" });
    const joined = [seen("a"), seen("b", { initial: "existing" }), seen("c")];
    expect(nextStep({ members: joined, listed: abc })).toEqual({ kind: "settle", nodes: ["b"] });
  });

  it("of five, two that lost their data come back one after the other", () => {
    const five = listed("a", "b", "c", "d", "e");
    const members = [seen("a"), seen("b"), seen("c"), lost("d"), lost("e")];
    expect(nextStep({ members, listed: five })).toMatchObject({ kind: "remove", name: "d" });
    const joining = [seen("a"), seen("b"), seen("c"), seen("d", { initial: "existing" }, false), lost("e")];
    expect(nextStep({ members: joining, listed: five })).toMatchObject({ kind: "wait" });
  });

  it("a member in trouble keeps the others as they are", () => {
    const members = [seen("a"), seen("b", {}, false), lost("c")];
    expect(nextStep({ members, listed: abc })).toMatchObject({ kind: "wait" });
  });

  it("members with other settings are restarted while the others hold the quorum", () => {
    const stale = (node: string, healthy = true) => seen(node, { stale: true }, healthy);
    expect(nextStep({ members: [stale("a"), stale("b"), seen("c")], listed: abc })).toEqual({
      kind: "restart",
      node: "a",
    });
    expect(nextStep({ members: [stale("a"), stale("b"), off("c")], listed: abc })).toMatchObject({
      kind: "wait",
    });
    expect(nextStep({ members: [stale("a"), stale("b", false), seen("c")], listed: abc })).toEqual({
      kind: "restart",
      node: "b",
    });
    expect(nextStep({ members: [stale("a")], listed: listed("a") })).toEqual({ kind: "restart", node: "a" });
  });

  it("a member at another address is moved", () => {
    const elsewhere = [entry("a", { peerUrls: ["https://old:2380"] }), entry("b"), entry("c")];
    expect(nextStep({ members: [seen("a"), seen("b"), seen("c")], listed: elsewhere })).toEqual({
      kind: "move",
      node: "a",
      id: "id-a",
    });
  });

  it("a member whose node left the configuration is removed, before the new one where it must", () => {
    const members = [seen("a"), seen("b"), seen("c")];
    expect(nextStep({ members, listed: [...abc, entry("d")] })).toEqual({
      kind: "remove",
      id: "id-d",
      name: "d",
    });
    const swapped = [seen("a"), seen("b"), lost("d")];
    expect(nextStep({ members: swapped, listed: abc })).toEqual({ kind: "remove", id: "id-c", name: "c" });
    expect(nextStep({ members: swapped, listed: listed("a", "b") })).toEqual({ kind: "add", node: "d" });
  });

  it("a cluster of one grows, first to two", () => {
    const members = [seen("a"), lost("b"), lost("c")];
    expect(nextStep({ members, listed: listed("a") })).toEqual({ kind: "add", node: "b" });
  });

  it("data that cannot be read are put aside while the others hold the quorum", () => {
    const broken = (node: string, changes: Partial<Facts> = {}) =>
      seen(node, { broken: "walpb: crc mismatch", active: "activating", ...changes }, false);
    const aside = { kind: "aside", node: "c", broken: "walpb: crc mismatch" };
    expect(nextStep({ members: [seen("a"), seen("b"), broken("c")], listed: abc })).toEqual(aside);
    const stopped = [seen("a"), seen("b"), broken("c", { active: "inactive" })];
    expect(nextStep({ members: stopped, listed: abc })).toMatchObject({ kind: "wait" });
    const alone = [seen("a"), seen("b", {}, false), broken("c")];
    expect(nextStep({ members: alone, listed: abc })).toMatchObject({ kind: "wait" });
    expect(nextStep({ members: [seen("a", {}, false), broken("b"), broken("c")] })).toMatchObject({
      kind: "wait",
    });
    // Not serving any more while it joins, and not broken: nothing is taken from it.
    const recovered = [seen("a"), seen("b"), seen("c", { broken: "walpb: crc mismatch" })];
    expect(nextStep({ members: recovered, listed: abc })).toMatchObject({ kind: "done" });
  });

  it("data of a member that is in no list are put aside", () => {
    const members = [seen("a"), seen("b"), seen("c", {}, false)];
    expect(nextStep({ members, listed: listed("a", "b") })).toEqual({ kind: "aside", node: "c" });
  });
});

const json = (level: string, msg: string, error: string) =>
  `{"level":"${level}","ts":"2026-01-01T00:00:00Z","caller":"x.go:1","msg":"${msg}","error":"${error}","stacktrace":"y"}`;

it.each([
  [3, json("fatal", "discovery failed", "walpb: crc mismatch"), "discovery failed: walpb: crc mismatch"],
  [
    9,
    json("panic", "failed to open database", "invalid database"),
    "failed to open database: invalid database",
  ],
  [
    9,
    "panic: failed to recover v3 backend from snapshot",
    "panic: failed to recover v3 backend from snapshot",
  ],
  [
    9,
    "panic: assertion failed: Page expected to be: 3, but self identifies as 1",
    /^panic: assertion failed/,
  ],
  [
    9,
    "panic: tocommit(8) is out of range [lastIndex(3)]. Was the raft log corrupted, truncated, or lost?",
    /lost\?$/,
  ],
  [9, "panic: cannot use none as id", "panic: cannot use none as id"],
  [
    3,
    json("fatal", "discovery failed", "proto: wrong wireType = 6 for field Type"),
    "discovery failed: proto: wrong wireType = 6 for field Type",
  ],
  [
    3,
    json("fatal", "failed to unmarshal mvccpb.KeyValue", "unexpected EOF"),
    "failed to unmarshal mvccpb.KeyValue: unexpected EOF",
  ],
  [2, json("fatal", "discovery failed", "walpb: crc mismatch"), undefined],
  [9, json("fatal", "discovery failed", "listen tcp 10.0.0.1:2380: bind: address already in use"), undefined],
  [
    9,
    json("fatal", "discovery failed", "cannot access data directory: open /x/.touch: read-only file system"),
    undefined,
  ],
  [9, json("fatal", "failed to save", "write /x/wal/0.wal: wal: no space left on device"), undefined],
  [9, "", undefined],
  [Number.NaN, "panic: freelist", undefined],
])("restarted %s times, and ended with %s", (restarts, ended, expected) => {
  const found = brokenBy(restarts, ended);
  if (expected === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(expected);
});

it("a quorum is more than half", () => {
  expect([1, 2, 3, 4, 5].map(quorumOf)).toEqual([1, 2, 2, 3, 3]);
});
