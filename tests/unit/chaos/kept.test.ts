import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect, test } from "vitest";
import { joined, keep, keptIn, nothing, type Found } from "../../chaos/kept";
import { shortly } from "../../chaos/recover";
import { plainRow } from "./rows";

const counts = (all: number) => ({ all, before: 2, after: 1 });
const found = {
  ...nothing,
  rows: [{ ...plainRow, slowestMs: Infinity, commit: "0123456789ab" }],
  between: { pushes: counts(5), pulls: counts(9), reasons: ["x"] },
  acknowledged: { count: 7, bytes: 70 },
  atEnd: { bytes: 70, lost: ["y"] },
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
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("two runs that went on with each other are one", () => {
  expect(joined(found, nothing)).toEqual(found);
  const both = joined(found, found);
  expect(both.rows).toHaveLength(2);
  expect(both.between).toEqual({
    pushes: { all: 10, before: 4, after: 2 },
    pulls: { all: 18, before: 4, after: 2 },
    reasons: ["x", "x"],
  });
  expect(both.acknowledged).toEqual({ count: 14, bytes: 140 });
  expect(both.atEnd).toEqual({ bytes: 140, lost: ["y", "y"] });
});

test("of an error of many lines, the first and what was wrong is told", () => {
  const lines = ["pulumi up failed:", "  + creating", "error: no such host", "  ~ updating", "2 failed"];
  expect(shortly(new Error(lines.join("\n")))).toBe("pulumi up failed: / error: no such host / 2 failed");
  expect(shortly("x".repeat(700))).toHaveLength(600);
});
