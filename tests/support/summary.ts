/** What a run of tests came to. */
import type { TestModule } from "vitest/node";

/** How a test begins its reason that what it is about cannot be had where it runs. */
export const notRun = "not run, because ";

export interface Summary {
  /** Seconds by group of tests, which is a folder of tests/. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly passed: number;
  readonly failed: number;
  /** Why tests were not run, and how many. */
  readonly reasons: Readonly<Record<string, number>>;
}

export function summaryOf(modules: readonly TestModule[], errors: readonly unknown[]): Summary {
  const seconds: Record<string, number> = {};
  const reasons: Record<string, number> = {};
  let passed = 0;
  let failed = errors.length;
  for (const module of modules) {
    const group = /tests\/([^/]+)\//.exec(module.moduleId)?.[1] ?? "other";
    seconds[group] = (seconds[group] ?? 0) + module.diagnostic().duration / 1000;
    failed += module.errors().length;
    // Nobody came to it: the run was broken off.
    if (module.state() === "queued" || module.state() === "pending") failed += 1;
    for (const test of module.children.allTests()) {
      const result = test.result();
      const note = result.state === "skipped" ? (result.note ?? "") : "";
      if (result.state === "passed") passed += 1;
      else if (note.startsWith(notRun)) reasons[note] = (reasons[note] ?? 0) + 1;
      // A skipped test proves nothing: without such a reason none here may be.
      else failed += 1;
    }
  }
  return { seconds, passed, failed, reasons };
}

function sum(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const one of all)
    for (const [name, count] of Object.entries(one)) total[name] = (total[name] ?? 0) + count;
  return total;
}

/** Runs beside each other, as one. */
export function together(summaries: readonly Summary[]): Summary {
  return {
    seconds: sum(summaries.map(({ seconds }) => seconds)),
    passed: summaries.reduce((total, { passed }) => total + passed, 0),
    failed: summaries.reduce((total, { failed }) => total + failed, 0),
    reasons: sum(summaries.map(({ reasons }) => reasons)),
  };
}

/** The seconds of each group, and a last line `N passed, N failed`, which goes on with what was not run, and why. */
export function summaryText({ seconds, passed, failed, reasons }: Summary): string {
  const groups = Object.entries(seconds).map(
    ([group, took]) => `${group.padEnd(10)} ${took.toFixed(1).padStart(7)} s`,
  );
  const left = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`);
  return [...groups, [`${passed} passed`, `${failed} failed`, ...left].join(", ")].join("\n");
}
