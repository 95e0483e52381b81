import * as fs from "node:fs";
import type { Reporter, TestModule } from "vitest/node";
import { summaryOf, summaryText } from "./summary";

/** Names the file that a run's summary goes to where it is one of several. */
export const summaryVariable = "MOORAGE_TEST_SUMMARY";

/** Adds what the run came to. */
export default class SummaryReporter implements Reporter {
  private readonly file = process.env[summaryVariable];

  constructor() {
    // Runs that tests start are none of the several.
    delete process.env[summaryVariable];
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const summary = summaryOf(modules, errors);
    if (this.file) fs.writeFileSync(this.file, JSON.stringify(summary));
    else console.log(summaryText(summary));
    // vitest itself takes a skipped test for none, and its exit code is CI's verdict.
    if (summary.failures.length > 0) process.exitCode = 1;
  }
}
