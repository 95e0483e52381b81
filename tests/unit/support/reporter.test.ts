import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { TestModule } from "vitest/node";
import SummaryReporter from "../../support/reporter";
import { notRun, summaryText, together, type Summary } from "../../support/summary";

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  vi.spyOn(console, "log").mockImplementation((text) => void lines.push(...String(text).split("\n")));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** A module of tests with these results. */
function module(...results: object[]): TestModule {
  const tests = results.map((result) => ({ fullName: "a group > a test", result: () => result }));
  return {
    moduleId: "/project/tests/unit/a.test.ts",
    diagnostic: () => ({ duration: 1500 }),
    errors: () => [],
    state: () => "passed",
    children: { allTests: () => tests, allSuites: () => [] },
  } as unknown as TestModule;
}

function summary(...results: object[]): string[] {
  new SummaryReporter().onTestRunEnd([module(...results)], []);
  return lines;
}

const skipped = (note?: string) => ({ state: "skipped", note });

it("ends with passed and failed", () => {
  expect(summary({ state: "passed" }, { state: "passed" })).toEqual([
    "unit           1.5 s",
    "2 passed, 0 failed",
  ]);
});

it("says before it what failed, and why, a line each", () => {
  const errors = [{ message: "\u001b[31mexpected 1\n  to be 2\u001b[39m" }, { message: "another" }];
  const long = [{ message: "x".repeat(400) }];
  expect(summary({ state: "failed", errors }, { state: "failed", errors: long }, skipped())).toEqual([
    "unit           1.5 s",
    "failed: tests/unit/a.test.ts: a group > a test: expected 1 to be 2",
    `failed: tests/unit/a.test.ts: a group > a test: ${"x".repeat(300)} ...`,
    "failed: tests/unit/a.test.ts: a group > a test: skipped without a reason",
    "0 passed, 3 failed",
  ]);
});

it("says the error that a command ended with before all else that it printed", () => {
  const waiting = " +  Stack dev nginx: 0 of 3 tasks run; last task error: coreos1: none\n@ updating.\n";
  const message = `pulumi up failed:\n${waiting.repeat(50)}    error: service nginx: no\n`;
  const [, line] = summary({ state: "failed", errors: [{ message }] });
  expect(line).toMatch(
    /^failed: tests\/unit\/a\.test\.ts: a group > a test: pulumi up failed: .{42} \.\.\. error: service nginx: no$/,
  );
});

it("has the seconds of several runs beside each other, where it is told them", () => {
  const one: Summary = { seconds: { "tests/unit/a.test.ts": 1.5 }, passed: 1, failures: [], reasons: {} };
  expect(summaryText(together([one, one]), 2).split("\n")).toEqual([
    "unit           3.0 s",
    "all of it      2.0 s",
    "2 passed, 0 failed",
  ]);
});

it("counts what cannot be had where it runs by its reason, in the same last line", () => {
  const reason = `${notRun}there is no archive`;
  expect(summary({ state: "passed" }, skipped(reason), skipped(reason))).toEqual([
    "unit           1.5 s",
    "1 passed, 0 failed, 2 not run, because there is no archive",
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

it("counts files that nobody came to as failed", () => {
  const left = { ...module(), state: () => "queued" } as TestModule;
  new SummaryReporter().onTestRunEnd([module({ state: "passed" }), left], []);
  expect(lines.slice(1)).toEqual([
    "failed: tests/unit/a.test.ts: nobody came to it; the run was broken off",
    "1 passed, 1 failed",
  ]);
});

it("counts what a group does before and after its tests", () => {
  const errors = [{ message: "a request was refused" }];
  const around = module({ state: "passed" });
  const suites = [{ fullName: "a group", errors: () => errors }];
  const children = { ...around.children, allSuites: () => suites };
  new SummaryReporter().onTestRunEnd([{ ...around, children } as unknown as TestModule], []);
  expect(lines.slice(1)).toEqual([
    "failed: tests/unit/a.test.ts: a group: a request was refused",
    "1 passed, 1 failed",
  ]);
});

it("names the slowest files of all runs", () => {
  const of = (seconds: Summary["seconds"]): Summary => ({ seconds, passed: 1, failures: [], reasons: {} });
  const others = of({ "tests/lab/b.test.ts": 300.4, "tests/unit/fast.test.ts": 59 });
  expect(summaryText(together([of({ "tests/lab/a.test.ts": 61 }), others])).split("\n")).toEqual([
    "lab          361.4 s",
    "unit          59.0 s",
    "slowest: lab/b 300 s, lab/a 61 s",
    "2 passed, 0 failed",
  ]);
});

it("tells of several runs as of one", () => {
  const reason = `${notRun}there is no archive`;
  const one: Summary = {
    seconds: { "tests/lab/a.test.ts": 2, "tests/unit/a.test.ts": 1 },
    passed: 3,
    failures: [],
    reasons: { [reason]: 1 },
  };
  const other: Summary = {
    seconds: { "tests/unit/b.test.ts": 4.25 },
    passed: 2,
    failures: ["failed: b"],
    reasons: { [reason]: 2 },
  };
  expect(summaryText(together([one, other])).split("\n")).toEqual([
    "lab            2.0 s",
    "unit           5.3 s",
    "failed: b",
    "5 passed, 1 failed, 3 not run, because there is no archive",
  ]);
});

it("ends a run with that count, so that CI's verdict is the last line's", () => {
  const project = path.join(__dirname, "..", "..", "..");
  const folder = fs.mkdtempSync(path.join(project, "tests", "unit", "support", "reported-"));
  const ends = (body: string) => {
    fs.writeFileSync(path.join(folder, "one.test.ts"), `import { expect, it } from "vitest";\n${body}`);
    const config = {
      test: { include: ["**/*.test.ts"], reporters: [path.join(project, "tests/support/reporter.ts")] },
    };
    fs.writeFileSync(path.join(folder, "vitest.config.mjs"), `export default ${JSON.stringify(config)};\n`);
    const args = ["run", "--root", folder, "--config", path.join(folder, "vitest.config.mjs")];
    const { status, stdout } = spawnSync(path.join(project, "node_modules/.bin/vitest"), args, {
      cwd: project,
      encoding: "utf8",
    });
    return [status, stdout.trim().split("\n").at(-1)];
  };
  try {
    const passes = 'it("passes", () => expect(1).toBe(1));\n';
    expect(ends(passes)).toEqual([0, "1 passed, 0 failed"]);
    expect(ends(`${passes}it.skip("does not run", () => undefined);\n`)).toEqual([1, "1 passed, 1 failed"]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
