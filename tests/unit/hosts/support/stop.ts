/** Whatever a test starts is stopped after it, whether it passed or not. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { setLog } from "../../../../hosts/src/log";
import { closeConnections } from "../../../../hosts/src/ssh";
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
