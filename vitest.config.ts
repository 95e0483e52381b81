import { defineConfig } from "vitest/config";

/** Groups of `make proof` that share one lab, which is made for the run. */
const onSharedLab = { globalSetup: "tests/support/labSetup.ts", setupFiles: "tests/support/workersLab.ts" };

const patient = { testTimeout: 1_200_000, hookTimeout: 1_200_000 };

/** A group of `make proof` (tests/proof/main.ts). */
const group = (name: string, options: object = {}) => ({
  test: { name, include: [`tests/proof/${name}/*.test.ts`], pool: "forks" as const, ...patient, ...options },
});

export default defineConfig({
  test: {
    // All but the fast tests run one file after the other: tests/support/parts.ts.
    poolOptions: { forks: { minForks: 1, maxForks: 3 } },
    reporters: ["default", "./tests/support/reporter.ts"],
    projects: [
      {
        test: {
          name: "fast",
          include: ["tests/{unit,golden,property,component,provider}/**/*.test.ts"],
          setupFiles: "tests/support/answering.ts",
          pool: "forks",
          // They end hopeless tests; a busy machine comes nowhere near them.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      { test: { ...group("story", onSharedLab).test, include: ["tests/lab/*.test.ts"] } },
      group("lab", onSharedLab),
      group("runbook", onSharedLab),
      group("platforms"),
      group("parity"),
      group("programs"),
      group("setup"),
      group("vm"),
    ],
  },
});
