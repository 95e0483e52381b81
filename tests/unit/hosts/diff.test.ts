import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection, SwarmMemberInputs } from "../../../hosts/src/contract";
import { UNKNOWN, diffOf } from "../../../hosts/src/diff";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { nodeFiles } from "../../../hosts/src/node-files";
import { installation } from "../../../hosts/src/installation";

const connection = (changes: Partial<Connection> = {}): Connection => ({
  node: "a",
  host: "10.0.2.11",
  port: 22,
  user: "core",
  privateKey: "one",
  ...changes,
});

/** The same value with the keys of all its objects the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversed(item)]),
  );
}

describe("a diff", () => {
  it("finds nothing in equal values, in whatever order their keys come", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        expect(diffOf(value, reversed(value) as object).changes).toBe(false);
      }),
    );
  });

  it("takes absent for null, and the order of lists for a difference", () => {
    expect(diffOf({ a: null, b: 1 }, { b: 1 }).changes).toBe(false);
    expect(diffOf({ a: [1, 2] }, { a: [2, 1] }).changedKeys).toEqual(["a"]);
  });

  it("leaves Pulumi's provider code and outputs out", () => {
    expect(
      diffOf(
        { a: 1, nodeId: "x", __provider: "old" },
        { a: 1, __provider: "new" },
        { outputOnly: ["nodeId"] },
      ).changes,
    ).toBe(false);
  });

  it("takes an unknown value for a change, wherever it is", () => {
    expect(diffOf({ a: { b: [1] } }, { a: { b: [UNKNOWN] } }).changedKeys).toEqual(["a"]);
    expect(diffOf({ a: UNKNOWN }, { a: UNKNOWN }).changes).toBe(true);
  });

  it("finds a key that is gone, and one that is new", () => {
    expect(diffOf({ a: 1, b: 2 }, { b: 2, c: 3 }).changedKeys).toEqual(["a", "c"]);
  });
});

describe("what a change means", () => {
  const files = { connection: connection(), part: "base", files: {}, units: {} };

  it("another way to the same host is a change in place", () => {
    const moved = { ...files, connection: connection({ host: "10.0.2.12", privateKey: "two", port: 2011 }) };
    expect(nodeFiles.diff(files, moved)).toEqual({
      changes: true,
      changedKeys: ["connection"],
      replaces: [],
    });
  });

  it("another node is a replacement, the old one removed first", () => {
    const other = { ...files, connection: connection({ node: "b" }) };
    expect(nodeFiles.diff(files, other)).toMatchObject({
      replaces: ["connection"],
      deleteBeforeReplace: true,
    });
  });

  it("an unknown connection replaces nothing by guess", () => {
    expect(nodeFiles.diff(files, { ...files, connection: UNKNOWN as never })).toMatchObject({
      changes: true,
      replaces: [],
    });
  });

  it("a member's labels and role change in place, its address does not", () => {
    const inputs: SwarmMemberInputs = {
      connection: connection(),
      node: "a",
      role: "worker",
      labels: {},
      advertiseAddr: "10.0.2.11",
      managers: [connection()],
      founder: false,
      autolock: false,
    };
    const member = { ...inputs, nodeId: "abc" };
    expect(swarmMember.diff(member, inputs).changes).toBe(false);
    expect(swarmMember.diff(member, { ...inputs, role: "manager", labels: { region: "dc1" } })).toMatchObject(
      {
        changedKeys: ["labels", "role"],
        replaces: [],
      },
    );
    expect(swarmMember.diff(member, { ...inputs, advertiseAddr: "10.0.2.12" }).replaces).toEqual([
      "advertiseAddr",
    ]);
  });

  it("an installation with another hash is done in place, on another disk anew", () => {
    const inputs = {
      node: "a",
      installer: connection(),
      target: connection(),
      userData: "{}",
      installHash: "1",
      disk: "/dev/sda",
      timeoutSeconds: 600,
    };
    const state = { ...inputs, firstBootId: "x" };
    expect(installation.diff(state, { ...inputs, installHash: "2" }).replaces).toEqual([]);
    expect(installation.diff(state, { ...inputs, disk: "/dev/sdb" }).replaces).toEqual(["disk"]);
  });
});
