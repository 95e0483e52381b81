import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { TestModule } from "vitest/node";
import SummaryReporter, { notRun } from "../../support/reporter";

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(String(line)));
});
afterEach(() => vi.restoreAllMocks());

/** A module of tests with these results. */
function module(...results: object[]): TestModule {
  const tests = results.map((result) => ({ result: () => result }));
  return {
    moduleId: "/project/tests/unit/a.test.ts",
    diagnostic: () => ({ duration: 1500 }),
    errors: () => [],
    children: { allTests: () => tests },
  } as unknown as TestModule;
}

function summary(...results: object[]): string[] {
  new SummaryReporter().onTestRunEnd([module(...results)], []);
  return lines;
}

const skipped = (note?: string) => ({ state: "skipped", note });

it("ends with passed and failed", () => {
  expect(summary({ state: "passed" }, { state: "failed" })).toEqual([
    "unit           1.5 s",
    "1 passed, 1 failed",
  ]);
});

it("counts what cannot be had where it runs by its reason, in the same last line", () => {
  const reason = `${notRun}there is no archive`;
  expect(summary({ state: "passed" }, skipped(reason), skipped(reason), { state: "failed" })).toEqual([
    "unit           1.5 s",
    "1 passed, 1 failed, 2 not run, because there is no archive",
  ]);
  lines = [];
  const other = `${notRun}there is no kernel`;
  expect(summary({ state: "passed" }, skipped(other), skipped(reason), skipped(other)).at(-1)).toBe(
    "1 passed, 0 failed, 2 not run, because there is no kernel, 1 not run, because there is no archive",
  );
});

it("counts a test that was skipped for no such reason as failed", () => {
  expect(summary({ state: "passed" }, skipped(), skipped("later")).at(-1)).toBe("1 passed, 2 failed");
});
