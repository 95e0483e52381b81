import { defineConfig } from "vitest/config";

/** `make test-vm`: slow, as every instruction of two machines is emulated; no part of `make test`. */
export default defineConfig({
  test: {
    include: ["tests/vm/*.test.ts"],
    reporters: ["verbose", "./tests/support/reporter.ts"],
    // Machines end with the process that started them.
    pool: "forks",
    // Each test goes on from where the one before it left the machines.
    bail: 1,
    testTimeout: 300_000,
    hookTimeout: 900_000,
    teardownTimeout: 30_000,
  },
});
