import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, expect, test } from "vitest";
import { emptyEnvironment } from "../../../bench/emptyProgram";
import { writeStarter } from "../../../toolchain/standIns";
import { defaultSetting } from "../../../toolchain/setting";
import { Plugin } from "../../parity/plugin";
import { plain, Recorder } from "../../support/mocks";
import { project } from "../../support/stacks";

const setting = defaultSetting(() => undefined);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-bench-"));
const started: Plugin[] = [];

afterAll(() => {
  started.forEach((plugin) => plugin.stop());
  fs.rmSync(folder, { recursive: true });
});

const empty = path.join(project, "bench", "empty");
const stack = `urn:pulumi:dev::${/^name: (.*)$/m.exec(fs.readFileSync(path.join(empty, "Pulumi.yaml"), "utf8"))?.[1]}`;

test("stand-ins serve the empty program, where they are all that there is, from a lab's folder", async () => {
  const recorder = await new Recorder().install();
  await pulumi.runtime.runInPulumiStack(async () => void (await import("../../../bench/empty")));
  await recorder.settled();
  const labs = "/the/labs";
  for (const { name, version } of setting.pins.plugins) {
    const starter = writeStarter(setting, { name, version }, path.join(folder, name));
    const env = { ...emptyEnvironment(path.join(labs, "0", "empty")), MOORAGE_LAB_DIR: labs };
    const plugin = await Plugin.start(starter, env);
    started.push(plugin);
    const provider = recorder.resources.find(({ type }) => type === `pulumi:providers:${name}`);
    await plugin.configure(name, plain(provider?.inputs ?? {}) as object as Record<string, unknown>);
    const made = recorder.resources.filter(({ type }) => type.startsWith(`${name}:`));
    // Docker's starts for its provider alone.
    expect(made.length + (provider ? 1 : 0), name).toBe(1);
    for (const { type, inputs } of made) {
      const given = plain(inputs) as Record<string, unknown>;
      const checked = await plugin.check(type, given, {}, "it", stack);
      expect(checked.failures, type).toEqual([]);
      expect((await plugin.create(type, checked.inputs, false, "it", stack)).id, type).not.toBe("");
    }
  }
});
