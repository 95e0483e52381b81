/** Whatever a test starts is stopped after it, whether it passed or not. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as rest } from "node:timers/promises";
import { afterEach, vi } from "vitest";
import { setLog } from "../../../../hosts/src/log";
import { closeConnections } from "../../../../hosts/src/ssh";
import { systemClock } from "../../../../hosts/src/time";
import { TestServer } from "./ssh-server";
import type { TestServerOptions } from "./ssh-server";

/** What the code under test has noted and warned of in this test. */
export const logged: string[] = [];
setLog((line) => logged.push(line));

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  closeConnections();
  logged.length = 0;
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export function afterwards(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

/**
 * Lets pauses of code that waits take no time for the rest of the test, while its deadlines come as much nearer. Not for
 * waits that something real has to end.
 * @param meanwhile what happens during each pause
 * @param pace by how much deadlines come nearer than the pauses are long
 */
export function hurry(meanwhile: () => unknown = () => undefined, pace = 1): void {
  let slept = 0;
  const now = vi.spyOn(systemClock, "now").mockImplementation(() => performance.now() + slept);
  const sleep = vi.spyOn(systemClock, "sleep").mockImplementation(async (milliseconds) => {
    slept += milliseconds * pace;
    await rest();
    await meanwhile();
  });
  afterwards(() => [now, sleep].map((spy) => spy.mockRestore()));
}

export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await TestServer.start(options);
  afterwards(() => server.stop());
  return server;
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "moorage-test-"));
  afterwards(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
