import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { contentCache } from "@moorage/render";
import { afterAll, describe, expect, test, vi } from "vitest";
import { cache } from "../../../ops/cache";
import { canSandbox, Sandbox } from "../hosts/support/sandbox";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-ops-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Stands in for Pulumi's command line. */
function exportsState(resources: readonly object[]): void {
  fs.writeFileSync(path.join(folder, "state.json"), JSON.stringify({ deployment: { resources } }));
  fs.writeFileSync(path.join(folder, "pulumi"), `#!/bin/sh\ncat "${folder}/state.json"\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:${process.env.PATH ?? ""}`);
}

const member = (node: string, connection: object): object => ({
  urn: `urn:pulumi:dev::moorage::x::${node}`,
  type: "pulumi-nodejs:dynamic/moorage:SwarmMember",
  outputs: { node, role: "worker", advertiseAddr: "10.0.2.11", connection: { ...connection, node } },
});

async function clear(...args: string[]): Promise<{ code: number; said: string[] }> {
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
  vi.spyOn(console, "error").mockImplementation((line: string) => void said.push(line));
  try {
    return { code: await cache.run(["clear", ...args]), said };
  } finally {
    vi.restoreAllMocks();
  }
}

describe.skipIf(!canSandbox)("`moorage cache clear`", () => {
  test("removes the files on each node that has a cache, and names one that it does not reach", async () => {
    const [edge, plain] = [
      await Sandbox.start({}, { node: "edge" }),
      await Sandbox.start({}, { node: "plain" }),
    ];
    const file = `${contentCache.node.slice(1)}/a/bc/0123`;
    edge.write(file, "x".repeat(5000));
    exportsState([
      member("edge", edge.server.connection()),
      member("plain", plain.server.connection()),
      member("off", { ...edge.server.connection(), port: 1 }),
    ]);
    expect(await clear("plain")).toEqual({ code: 0, said: ["plain has no cache"] });
    expect(edge.read(file)).toHaveLength(5000);
    const { code, said } = await clear();
    expect([code, said]).toEqual([
      1,
      ["edge: 1 files, 0 MB removed", expect.stringMatching(/^off: no SSH connection to/)],
    ]);
    expect(edge.read(file)).toBeUndefined();
    await expect(clear("other")).rejects.toThrow("other: no such node: the stack has edge, off, plain");
    await expect(clear("edge", "plain")).rejects.toThrow("at most one node");
  });
});
