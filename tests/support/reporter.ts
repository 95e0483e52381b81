import type { Reporter, TestModule } from "vitest/node";

/** Adds the seconds each group of tests took, and a last line `N passed, N failed`. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const seconds = new Map<string, number>();
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      const group = /tests\/([^/]+)\//.exec(module.moduleId)?.[1] ?? "other";
      seconds.set(group, (seconds.get(group) ?? 0) + module.diagnostic().duration / 1000);
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A skipped test proves nothing, and none here may be.
        if (state === "passed") passed += 1;
        else failed += 1;
      }
    }
    for (const [group, took] of seconds) {
      console.log(`${group.padEnd(10)} ${took.toFixed(1).padStart(7)} s`);
    }
    console.log(`${passed} passed, ${failed} failed`);
  }
}
