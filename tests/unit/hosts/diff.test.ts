import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection, SwarmMemberInputs } from "../../../hosts/src/contract";
import { UNKNOWN, diffOf } from "../../../hosts/src/diff";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { nodeFiles } from "../../../hosts/src/node-files";

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

  it.each<[string, object, object, string[]]>([
    ["absent is null", { a: null, b: 1 }, { b: 1 }, []],
    ["lists have an order", { a: [1, 2] }, { a: [2, 1] }, ["a"]],
    [
      "Pulumi's provider code and outputs do not count",
      { a: 1, nodeId: "x", __provider: "1" },
      { a: 1, __provider: "2" },
      [],
    ],
    ["an unknown value is a change, at any depth", { a: { b: [1] } }, { a: { b: [UNKNOWN] } }, ["a"]],
    ["two unknown values are a change", { a: UNKNOWN }, { a: UNKNOWN }, ["a"]],
    ["a key is gone, and one is new", { a: 1, b: 2 }, { b: 2, c: 3 }, ["a", "c"]],
  ])("%s", (_what, state, inputs, changedKeys) => {
    expect(diffOf(state, inputs, { outputOnly: ["nodeId"] }).changedKeys).toEqual(changedKeys);
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
});
