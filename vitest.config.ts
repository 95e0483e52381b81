import { defineConfig } from "vitest/config";
import PathSequencer from "./tests/support/sequencer";

/** Tests on real hosts share one lab, so they run one after the other, in the order of their names. */
export default defineConfig({
  test: {
    sequence: { sequencer: PathSequencer },
    reporters: ["default", "./tests/support/reporter.ts"],
    // Most tests wait for a process or for time to pass: more at once than processors.
    poolOptions: { forks: { minForks: 1, maxForks: 3 } },
    projects: [
      {
        test: {
          name: "quick",
          include: [
            "tests/{unit,golden,property,component,provider}/**/*.test.ts",
            "tests/parity/{light,refusals}.test.ts",
          ],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Plugins against their stand-ins, with a Docker daemon of its own.
        test: {
          name: "parity",
          include: ["tests/parity/{docker,engine}.test.ts"],
          pool: "forks",
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        // What the set-up of a lab fetches, on a network of its own.
        test: {
          name: "setup",
          include: ["tests/setup/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
      {
        // With labs of their own, one after the other.
        test: {
          name: "platforms",
          include: ["tests/platforms/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 1_200_000,
        },
      },
      {
        test: {
          name: "lab",
          include: ["tests/lab/*.test.ts"],
          globalSetup: "tests/support/labSetup.ts",
          // Vitest runs its pools side by side: these wait most of the time, while forks take the others' tests.
          pool: "threads",
          poolOptions: { threads: { singleThread: true } },
          testTimeout: 600_000,
          hookTimeout: 1_200_000,
        },
      },
    ],
  },
});
