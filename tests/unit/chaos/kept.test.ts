import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect, test } from "vitest";
import { betweenRows, END, joined, keep, keptIn, nothing, without, type Found } from "../../chaos/kept";
import { shortly } from "../../chaos/recover";
import { plainChange, plainRow } from "./rows";

const counts = (all: number) => ({ all, before: 2, after: 1 });
const between = { before: "power: the VIP's holder", pushes: counts(5), pulls: counts(9), reasons: ["x"] };
const found = {
  ...nothing,
  rows: [{ ...plainRow, slowestMs: Infinity, commit: "0123456789ab" }],
  between: [between],
  parts: [{ count: 7, bytes: 70, lostAtEnd: ["y"] }],
} satisfies Found;

test("what was found is there again for another run, also what never came", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  try {
    const file = path.join(folder, "rows.json");
    expect(() => keptIn(file)).toThrow(/no run has kept anything in .*rows\.json: leave --from out/);
    keep(file, found);
    expect(keptIn(file)).toEqual(found);
    const { longestOfTwoMs, ...less } = found.rows[0] ?? plainRow;
    expect(longestOfTwoMs).toBe(0);
    fs.writeFileSync(file, JSON.stringify({ ...found, rows: [less] }));
    expect(() => keptIn(file)).toThrow(/are of another time, with fewer figures: leave --from out/);
    const { parts, ...former } = found;
    expect(parts).toHaveLength(1);
    fs.writeFileSync(file, JSON.stringify({ ...former, atEnd: { bytes: 1, lost: [] } }));
    expect(() => keptIn(file)).toThrow(/are of another time/);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("two runs that went on with each other are one", () => {
  expect(joined(found, nothing)).toEqual(found);
  const both = joined(found, found);
  expect(both.rows).toHaveLength(2);
  expect(both.between).toEqual([between, between]);
  expect(both.parts).toEqual([...found.parts, ...found.parts]);
});

test("of a run that is gone on with, rows that are done again are left out, and what failed before them", () => {
  const commit = "0123456789ab";
  const drop = { fault: "drop", role: "holder" } as const;
  const before = (name: string) => ({ ...between, before: name });
  const former: Found = {
    ...found,
    rows: [...found.rows, { ...plainRow, step: drop, commit }],
    changes: ["one", "two"].map((name) => ({ ...plainChange, name, commit })),
    notRun: [{ step: { fault: "slow-disk", role: "holder" }, because: "x", commit }],
    notChanged: [{ name: "three", because: "x", commit }],
    between: [
      before("change: one"),
      before("change: two"),
      between,
      before("drop: the VIP's holder"),
      before(END),
    ],
  };
  const left = without(former, [
    "change: two",
    "change: three",
    "drop: the VIP's holder",
    "slow-disk: the VIP's holder",
  ]);
  expect(left.rows).toEqual(found.rows);
  expect(left.changes.map(({ name }) => name)).toEqual(["one"]);
  expect([...left.notRun, ...left.notChanged]).toEqual([]);
  // What came after the last row that is kept is done again, too.
  expect(left.between.map((one) => one.before)).toEqual(["change: one", "power: the VIP's holder"]);
  // It was acknowledged all the same.
  expect(left.parts).toEqual(found.parts);
});

test("requests between rows belong to the row that was next", () => {
  const pull = (start: number, ok: boolean) =>
    ({
      kind: "pull",
      client: "c",
      retries: 0,
      start,
      end: start + 1,
      ok,
      ...(ok ? {} : { error: "EOF" }),
    }) as const;
  const rows = [
    { name: "one", from: 100 },
    { name: "two", from: 200 },
    { name: "three", from: 300 },
  ];
  const found = betweenRows([pull(50, true), pull(150, false), pull(160, true), pull(400, false)], rows);
  expect(found.map(({ before, pulls }) => [before, pulls.all, pulls.after])).toEqual([
    ["one", 1, 0],
    ["two", 2, 1],
    [END, 1, 1],
  ]);
  expect(found[1]?.reasons).toEqual(["1× pull: the connection ended with its front"]);
});

test("of an error of many lines, the first and what was wrong is told", () => {
  const lines = ["pulumi up failed:", "  + creating", "error: no such host", "  ~ updating", "2 failed"];
  expect(shortly(new Error(lines.join("\n")))).toBe("pulumi up failed: / error: no such host / 2 failed");
  expect(shortly("x".repeat(700))).toHaveLength(600);
});
