import { rmSync, statSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { NodeFilesInputs, NodeFilesOutputs } from "../../../hosts/src/contract";
import { PartialFailure } from "../../../hosts/src/errors";
import { nodeFiles } from "../../../hosts/src/node-files";
import { parsePending } from "../../../hosts/src/node-files/parse";
import { providerMethods } from "../../../hosts/src/provider";
import { newUpdate } from "../../support/newUpdate";
import { Sandbox, canSandbox } from "./support/sandbox";
import { hurry, logged } from "./support/stop";

const unit = "[Service]\nExecStart=/bin/true\n";

function inputs(sandbox: Sandbox, changes: Partial<NodeFilesInputs> = {}): NodeFilesInputs {
  return {
    connection: sandbox.server.connection(),
    part: "base",
    files: {
      "/etc/paint/colour.conf": {
        content: "blue 'x' $y `z` é\nno newline",
        mode: 0o640,
        apply: { action: "reload", unit: "painter.service" },
        agreed: true,
      },
      "/etc/paint/secret.key": {
        content: "k",
        mode: 0o600,
        owner: "daemon:daemon",
        apply: { action: "none" },
      },
    },
    units: {
      "painter.service": { content: unit, dropIns: { "10-proxy.conf": "[Service]\n" }, enabled: true },
    },
    ...changes,
  };
}

const on = (action: "reload" | "restart") => ({ action, unit: "painter.service" }) as const;
const colour = "/etc/paint/colour.conf";
const red = (action: "reload" | "restart") => ({
  [colour]: { content: "red", mode: 0o640, apply: on(action) },
});

async function placed() {
  const sandbox = await Sandbox.start();
  const { id, outs } = await nodeFiles.create(inputs(sandbox));
  return { sandbox, id, outs };
}

beforeEach(newUpdate);

describe.skipIf(!canSandbox)("a part of a node's files", () => {
  it("is put in place once, with content, mode and owner, and its units started", async () => {
    const { sandbox, id, outs } = await placed();
    expect(id).toBe("swarm-1/base");
    expect(outs).toEqual(inputs(sandbox));
    expect(sandbox.read(colour)).toBe("blue 'x' $y `z` é\nno newline");
    const before = statSync(sandbox.at(colour));
    expect(before.mode & 0o7777).toBe(0o640);
    expect(statSync(sandbox.at("etc/paint/secret.key")).uid).not.toBe(0);
    expect(sandbox.read("etc/systemd/system/painter.service.d/10-proxy.conf")).toBe("[Service]\n");
    expect(sandbox.told()).toEqual(["daemon-reload", "enable painter.service", "start painter.service"]);
    await nodeFiles.create(inputs(sandbox));
    expect(statSync(sandbox.at(colour)).ino).toBe(before.ino);
    expect(sandbox.told()).toEqual([]);
  });

  it("applies what changed, each action once, and removes what left", async () => {
    const { sandbox, id, outs } = await placed();
    hurry();
    sandbox.told();
    const brush = { "/etc/paint/brush.conf": { content: "flat", mode: 0o644, apply: on("restart") } };
    const changed = inputs(sandbox, { files: { ...red("restart"), ...brush } });
    const next = await nodeFiles.update("", outs, changed);
    expect(sandbox.told()).toEqual(["restart painter.service"]);
    expect(sandbox.read("etc/paint/secret.key")).toBeUndefined();
    expect(sandbox.read("etc/paint/brush.conf")).toBe("flat");

    const last = await nodeFiles.update("", next, { ...changed, units: {} });
    expect(sandbox.told()).toEqual(["disable --now painter.service", "daemon-reload"]);
    expect(sandbox.read("etc/systemd/system/painter.service")).toBeUndefined();
    expect(sandbox.read("etc/systemd/system/painter.service.d/10-proxy.conf")).toBeUndefined();

    for (let times = 0; times < 2; times += 1) {
      await nodeFiles.delete(id, last);
      expect(sandbox.read(colour)).toBeUndefined();
    }
  });

  it("goes on after an interruption between the file and what it takes", async () => {
    const { sandbox, outs } = await placed();
    hurry();
    sandbox.told();
    sandbox.write(colour, "red");
    sandbox.write("run/moorage/pending-base", "reload painter.service\n");
    const next = await nodeFiles.update("", outs, inputs(sandbox, { files: red("reload") }));
    expect(sandbox.told()).toEqual(["reload-or-restart painter.service"]);
    expect(sandbox.read("run/moorage/pending-base")).toBeUndefined();

    // It keeps what is pending where neither the change nor what was there before works.
    writeFileSync(sandbox.at("units/painter.service.fail"), "");
    await expect(nodeFiles.update("", next, inputs(sandbox))).rejects.toThrow(
      /reload-or-restart of painter.service failed/,
    );
    expect(sandbox.read(colour)).toBe("red");
    expect(sandbox.read("run/moorage/pending-base")).toContain("reload painter.service");
    rmSync(sandbox.at("units/painter.service.fail"));
    newUpdate();
    sandbox.told();
    await nodeFiles.update("", next, inputs(sandbox));
    expect(sandbox.read(colour)).toContain("blue");
    expect(sandbox.told()).toContain("start painter.service");
    expect(sandbox.read("run/moorage/pending-base")).toBeUndefined();
  });

  it("records what was placed if a unit does not start, with its last lines", async () => {
    const sandbox = await Sandbox.start();
    writeFileSync(sandbox.at("units/painter.service.fail"), "");
    const create = providerMethods("nodeFiles").create({ ...inputs(sandbox), __provider: "code" });
    const failure = await create.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PartialFailure);
    // Without Pulumi's own key, what is recorded could be neither read nor deleted.
    const properties = { part: "base", __provider: "code" };
    expect(failure).toMatchObject({ id: "swarm-1/base", properties });
    expect((failure as PartialFailure).reasons).toEqual([(failure as Error).message]);
    expect((failure as Error).message).toMatch(/^swarm-1: applying changed files and units failed/);
    expect((failure as Error).message).toContain("out of paint");
  });

  it("is read back as it is, so that drift shows and is repaired", async () => {
    const { sandbox, id, outs } = await placed();
    hurry();
    expect((await nodeFiles.read(id, outs))?.outs).toEqual(outs);
    sandbox.write(colour, "green");
    sandbox.write("etc/systemd/system/painter.service", "[Service]\n");
    rmSync(sandbox.at("etc/paint/secret.key"));
    rmSync(sandbox.at("units/painter.service.active"));
    const drift = (await nodeFiles.read(id, outs))?.outs as NodeFilesOutputs;
    expect(Object.keys(drift.files)).toEqual([colour]);
    expect(drift.files[colour]?.content).toBe("green");
    expect(drift.units["painter.service"]).toMatchObject({ content: "[Service]\n", enabled: "partly" });
    // Another refresh finds the same.
    expect((await nodeFiles.read(id, drift))?.outs).toEqual(drift);
    expect(nodeFiles.diff(drift, inputs(sandbox)).changedKeys).toEqual(["files", "units"]);
    await nodeFiles.update(id, drift, inputs(sandbox));
    expect((await nodeFiles.read(id, outs))?.outs).toEqual(outs);
    await sandbox.server.stop();
    expect(await nodeFiles.read(id, outs)).toEqual({ id, outs });
    expect(logged.at(-1)).toMatch(
      /^warning: swarm-1: not refreshed, the recorded state stays: no SSH connection/,
    );
  });

  it("shows a unit as drift that should be off, and is enabled or runs", async () => {
    const sandbox = await Sandbox.start();
    const wanted = inputs(sandbox, { units: { "painter.service": { content: unit, enabled: false } } });
    const { id, outs } = await nodeFiles.create(wanted);
    for (const sign of ["enabled", "active"]) {
      writeFileSync(sandbox.at(`units/painter.service.${sign}`), "");
      const drift = (await nodeFiles.read(id, outs))?.outs as NodeFilesOutputs;
      expect(drift.units["painter.service"]?.enabled).toBe("partly");
      expect(nodeFiles.diff(drift, wanted).changedKeys).toEqual(["units"]);
      rmSync(sandbox.at(`units/painter.service.${sign}`));
      expect((await nodeFiles.read(id, drift))?.outs).toEqual(outs);
    }
  });

  it("refuses names that are no unit's and no absolute path", async () => {
    const sandbox = await Sandbox.start();
    const bad = inputs(sandbox, { units: { "60-wait.conf": { content: unit } } });
    await expect(nodeFiles.create(bad)).rejects.toThrow(/not a unit's name: "60-wait.conf"/);
    const file = { content: "", mode: 0o644, apply: { action: "none" } } as const;
    await expect(nodeFiles.create(inputs(sandbox, { files: { "etc/x": file } }))).rejects.toThrow(
      /not an absolute path/,
    );
  });
});

describe("pending actions", () => {
  it("come once each, and a restart makes a reload needless", () => {
    const lines = [
      "reload a.service",
      "restart a.service",
      "restart a.service",
      "reload b.service",
      "daemon-reload",
      "reboot",
      "out-of-service",
    ];
    expect(parsePending(lines.map((line) => `pending ${line}`).join("\n"))).toEqual({
      daemonReload: true,
      reboot: true,
      restart: ["a.service"],
      reload: ["b.service"],
      outOfService: true,
    });
  });
});
