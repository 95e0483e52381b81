import { chmodSync, rmSync, statSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { NodeFilesInputs } from "../../../hosts/src/contract";
import { nodeFiles } from "../../../hosts/src/node-files";
import { newUpdate } from "../../support/newUpdate";
import { Sandbox, canSandbox } from "./support/sandbox";

const file = "/etc/paint/studio.json";
const kept = `etc/paint/studio.json.before-moorage`;
const owners = '{"lamp": "on",\n   "colour": "green"}';

function inputs(sandbox: Sandbox, keys: object = { colour: "blue", size: 3 }): NodeFilesInputs {
  return {
    connection: sandbox.server.connection(),
    part: "base",
    files: {
      [file]: {
        content: `${JSON.stringify(keys, null, 2)}\n`,
        mode: 0o644,
        apply: { action: "restart", unit: "painter.service" },
        shared: true,
      },
    },
    units: { "painter.service": { enabled: true } },
  };
}

async function studio(content?: string): Promise<Sandbox> {
  const sandbox = await Sandbox.start();
  sandbox.write("units/painter.service.exists", "");
  sandbox.write("units/painter.service.enabled", "");
  sandbox.write("units/painter.service.active", "");
  if (content !== undefined) {
    sandbox.write(file, content);
    chmodSync(sandbox.at(file), 0o600);
  }
  return sandbox;
}

const keysIn = (sandbox: Sandbox) => JSON.parse(sandbox.read(file) ?? "null") as unknown;

beforeEach(newUpdate);

describe.skipIf(!canSandbox)("a file that its owner changes, too", () => {
  it("gets our keys, keeps the others, and comes back as it was", async () => {
    const sandbox = await studio(owners);
    const { id, outs } = await nodeFiles.create(inputs(sandbox));
    expect(keysIn(sandbox)).toEqual({ lamp: "on", colour: "blue", size: 3 });
    expect(statSync(sandbox.at(file)).mode & 0o777).toBe(0o600);
    expect(sandbox.told()).toEqual(["restart painter.service"]);
    expect((await nodeFiles.read(id, outs))?.outs).toEqual(outs);

    await nodeFiles.delete(id, outs);
    expect(sandbox.read(file)).toBe(owners);
    expect(statSync(sandbox.at(file)).mode & 0o777).toBe(0o600);
    expect(sandbox.read(kept)).toBeUndefined();
    expect(sandbox.told()).toEqual(["restart painter.service"]);
  });

  it("keeps what its owner set meanwhile, and only what is ours is drift", async () => {
    const sandbox = await studio(owners);
    const { id, outs } = await nodeFiles.create(inputs(sandbox));
    sandbox.write(file, JSON.stringify({ lamp: "off", colour: "blue", size: 3, window: "open" }));
    expect((await nodeFiles.read(id, outs))?.outs).toEqual(outs);
    sandbox.write(file, JSON.stringify({ lamp: "off", colour: "red", window: "open" }));
    const drift = (await nodeFiles.read(id, outs))?.outs ?? outs;
    expect(JSON.parse(drift.files[file]?.content ?? "")).toEqual({ colour: "red" });
    expect(nodeFiles.diff(drift, inputs(sandbox)).changedKeys).toEqual(["files"]);
    await nodeFiles.update(id, drift, inputs(sandbox));
    expect(keysIn(sandbox)).toEqual({ lamp: "off", colour: "blue", size: 3, window: "open" });
    await nodeFiles.delete(id, outs);
    expect(keysIn(sandbox)).toEqual({ lamp: "off", colour: "green", window: "open" });
  });

  it("gives back a key that is not ours any more, after an interruption too", async () => {
    const sandbox = await studio(owners);
    sandbox.write("units/painter.service.fail", "");
    // Cut off before it is recorded.
    await expect(nodeFiles.create(inputs(sandbox))).rejects.toThrow(/restart of painter.service failed/);
    rmSync(sandbox.at("units/painter.service.fail"));
    const { id, outs } = await nodeFiles.create(inputs(sandbox));
    const next = await nodeFiles.update(id, outs, inputs(sandbox, { size: 4 }));
    expect(keysIn(sandbox)).toEqual({ lamp: "on", colour: "green", size: 4 });
    await nodeFiles.delete(id, next);
    expect(sandbox.read(file)).toBe(owners);
  });

  it("is removed with the part if there was none, and refused if it is no JSON object", async () => {
    const sandbox = await studio();
    const { id, outs } = await nodeFiles.create(inputs(sandbox));
    expect(keysIn(sandbox)).toEqual({ colour: "blue", size: 3 });
    for (let times = 0; times < 2; times += 1) {
      await nodeFiles.delete(id, outs);
      expect(sandbox.read(file)).toBeUndefined();
      expect(sandbox.read(kept)).toBeUndefined();
    }
    sandbox.write(file, "[1]");
    await expect(nodeFiles.create(inputs(sandbox))).rejects.toThrow(
      /swarm-1: \/etc\/paint\/studio.json is no JSON object, so it is left as it is/,
    );
    expect(sandbox.read(file)).toBe("[1]");
  });
});
