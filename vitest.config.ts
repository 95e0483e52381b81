import { defineConfig } from "vitest/config";
import PathSequencer from "./tests/support/sequencer";

export default defineConfig({
  test: {
    sequence: { sequencer: PathSequencer },
    reporters: ["default", "./tests/support/reporter.ts"],
    // Tests on a lab share one.
    poolOptions: { forks: { minForks: 1, maxForks: 1 } },
    projects: [
      {
        test: {
          name: "quick",
          include: [
            "tests/{unit,golden,property,component,provider}/**/*.test.ts",
            "tests/parity/{light,reads,refusals}.test.ts",
          ],
          setupFiles: "tests/support/answering.ts",
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
          // The published plugin waits for a second or two wherever it asks Docker.
          maxConcurrency: 16,
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
      {
        // What the set-up of a lab fetches, on a network of its own.
        test: {
          name: "setup",
          include: ["tests/setup/*.test.ts"],
          pool: "forks",
          setupFiles: "tests/support/leastPriority.ts",
          // Where Go has compiled none of it before, it takes as long as in `make lab`.
          testTimeout: 1_200_000,
          hookTimeout: 300_000,
        },
      },
      {
        // On real hosts: one file after the other, on a lab that they share.
        test: {
          name: "lab",
          include: ["tests/lab/*.test.ts"],
          globalSetup: "tests/support/labSetup.ts",
          setupFiles: "tests/support/workersLab.ts",
          pool: "forks",
          testTimeout: 600_000,
          hookTimeout: 1_200_000,
        },
      },
      {
        // With labs of their own, one after the other.
        test: {
          name: "platforms",
          include: ["tests/platforms/*.test.ts"],
          pool: "forks",
          testTimeout: 600_000,
          hookTimeout: 1_200_000,
        },
      },
    ],
  },
});
