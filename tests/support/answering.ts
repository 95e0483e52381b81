/** Runs before each file: vitest gives up a worker that is silent for a minute, which several tests that never wait can be. */
import { setImmediate as rest } from "node:timers/promises";
import { afterEach } from "vitest";

afterEach(() => rest());
