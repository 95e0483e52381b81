import * as fs from "node:fs";
import type { Reporter, TestModule } from "vitest/node";
import { summaryOf, summaryText } from "./summary";

/** Names the file that a run's summary goes to, for whoever started the run. */
export const summaryVariable = "MOORAGE_TEST_SUMMARY";

/** Adds the summary of the run. */
export default class SummaryReporter implements Reporter {
  private readonly file = process.env[summaryVariable];

  constructor() {
    // A run that a test starts has no such file.
    delete process.env[summaryVariable];
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const summary = summaryOf(modules, errors);
    if (this.file) fs.writeFileSync(this.file, JSON.stringify(summary));
    else console.log(summaryText(summary));
    // vitest counts a skipped test as no failure.
    if (summary.failures.length > 0) process.exitCode = 1;
  }
}
