import type { Reporter, TestModule } from "vitest/node";

/** How a test begins its reason that what it is about cannot be had where it runs. */
export const notRun = "not run, because ";

/**
 * Adds the seconds each group of tests took, and a last line `N passed, N failed`. Where something was not run, the same
 * line goes on with how much and why: `N passed, N failed, N not run, because …`, each reason once.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const seconds = new Map<string, number>();
    let passed = 0;
    let failed = errors.length;
    const reasons = new Map<string, number>();
    for (const module of modules) {
      const group = /tests\/([^/]+)\//.exec(module.moduleId)?.[1] ?? "other";
      seconds.set(group, (seconds.get(group) ?? 0) + module.diagnostic().duration / 1000);
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        const note = result.state === "skipped" ? (result.note ?? "") : "";
        if (result.state === "passed") passed += 1;
        else if (note.startsWith(notRun)) reasons.set(note, (reasons.get(note) ?? 0) + 1);
        // A skipped test proves nothing: without such a reason none here may be.
        else failed += 1;
      }
    }
    for (const [group, took] of seconds) {
      console.log(`${group.padEnd(10)} ${took.toFixed(1).padStart(7)} s`);
    }
    const left = [...reasons].map(([reason, count]) => `${count} ${reason}`);
    console.log([`${passed} passed`, `${failed} failed`, ...left].join(", "));
    // vitest itself takes a skipped test for none, and its exit code is CI's verdict.
    if (failed > 0) process.exitCode = 1;
  }
}
