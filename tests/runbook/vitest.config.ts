import { defineConfig } from "vitest/config";

/** `make runbook`: more than an hour, most of it waiting for what mends itself; no part of `make test`. */
export default defineConfig({
  test: {
    include: ["tests/runbook/*.test.ts"],
    reporters: ["verbose", "./tests/support/reporter.ts"],
    globalSetup: "tests/support/labSetup.ts",
    setupFiles: "tests/support/workersLab.ts",
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 1 } },
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
  },
});
