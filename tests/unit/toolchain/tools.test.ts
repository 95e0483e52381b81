import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureCli, findOrdinaryCli } from "../../../toolchain/pulumi";
import { ensureTools, pulumiEnvironment, shellExports, type Tools } from "../../../toolchain/tools";
import { PINS, World } from "./world";

let world: World;
beforeEach(() => void (world = new World()));
afterEach(() => world.remove());

function pluginsIn(home: string): void {
  for (const { name, version } of PINS.plugins) {
    world.script(path.join(home, `plugins/resource-${name}-v${version}/pulumi-resource-${name}`), "true");
  }
}

describe("the CLI", () => {
  it("is an ordinary installation's on PATH, before the one in ~/.pulumi/bin", async () => {
    world.pulumi(path.join(world.home, ".pulumi/bin"), "3.300.0");
    expect((await findOrdinaryCli(world.setting))?.version).toBe("3.300.0");
    const bin = world.pulumi(world.bin, "3.259.0");
    expect(await findOrdinaryCli(world.setting)).toEqual({
      bin,
      version: "3.259.0",
      ordinaryHome: path.join(world.home, ".pulumi"),
    });
  });

  it("is found through a link, with what stands beside its real file", async () => {
    const bin = world.pulumi(path.join(world.root, "opt"), "3.260.0");
    fs.symlinkSync(bin, path.join(world.bin, "pulumi"));
    expect((await findOrdinaryCli(world.setting))?.bin).toBe(bin);
  });

  it("is not an older one, nor one without its language host; both are said", async () => {
    world.pulumi(world.bin, "3.100.0");
    world.pulumi(path.join(world.home, ".pulumi/bin"), "3.259.0", { beside: false });
    expect(await findOrdinaryCli(world.setting)).toBeUndefined();
    expect(world.lines).toEqual([
      `pulumi 3.100.0 in ${world.bin} is not used: 3.259.0 or newer is needed`,
      `pulumi 3.259.0 in ${world.home}/.pulumi/bin is not used: ` +
        "it has no pulumi-language-nodejs and no pulumi-resource-pulumi-nodejs beside it",
    ]);
  });

  it("is built where there is no ordinary one; our own on PATH is not taken for one", async () => {
    world.go("1.26.0");
    const { bin } = await ensureCli(world.setting);
    world.env.PATH = `${path.dirname(bin)}:${world.env.PATH ?? ""}`;
    expect(await findOrdinaryCli(world.setting)).toBeUndefined();
    expect(await ensureCli(world.setting)).toEqual({ bin, version: "3.259.0" });
  });
});

describe("all tools", () => {
  it("are linked in the cache's bin folder and reported", async () => {
    world.go("1.26.0");
    pluginsIn(path.join(world.cache, "pulumi-home"));
    const tools = await ensureTools(world.setting.log, world.setting);
    const bin = path.join(world.cache, "bin");
    expect(fs.readdirSync(bin).sort()).toEqual([
      "mc",
      "minio",
      "pulumi",
      "pulumi-language-nodejs",
      "registry",
    ]);
    expect(fs.readlinkSync(path.join(bin, "minio"))).toBe(tools.minio);
    expect(tools.report.map((line) => line.split(/[ :]/)[0])).toEqual([
      "minio",
      "mc",
      "registry",
      "pulumi",
      "plugins",
    ]);
    expect(tools.pulumi.path.split(":")).toEqual([path.dirname(tools.pulumi.bin)]);
  });

  it("do not need Go when all of them are there", async () => {
    world.go("1.26.0");
    pluginsIn(path.join(world.cache, "pulumi-home"));
    await ensureTools(world.setting.log, world.setting);
    fs.rmSync(path.join(world.bin, "go"));
    world.lines.length = 0;
    await ensureTools(world.setting.log, world.setting);
    expect(world.lines).toEqual([]);
  });

  it("keep no logs of the CLI, but for an ordinary installation's", async () => {
    world.go("1.26.0");
    const home = path.join(world.cache, "pulumi-home");
    pluginsIn(home);
    fs.mkdirSync(path.join(home, "logs"));
    for (const time of ["at first", "and again"]) {
      await ensureTools(world.setting.log, world.setting);
      expect(fs.statSync(path.join(home, "logs")).isFile(), time).toBe(true);
    }
    const ordinary = path.join(world.home, ".pulumi");
    world.pulumi(world.bin, "3.259.0");
    pluginsIn(ordinary);
    fs.mkdirSync(path.join(ordinary, "logs"));
    expect((await ensureTools(world.setting.log, world.setting)).pulumi.home).toBe(ordinary);
    expect(fs.statSync(path.join(ordinary, "logs")).isDirectory()).toBe(true);
  });

  it("that are missing are told together: what failed does not hide the next", async () => {
    world.go("1.26.0");
    world.env.GO_FAILS = "yes";
    const bin = world.pulumi(world.bin, "3.259.0");
    const text = await ensureTools(world.setting.log, world.setting).then(
      () => "",
      (error: Error) => error.message,
    );
    for (const name of ["minio", "mc", "registry"]) expect(text).toContain(`${name} cannot be built`);
    expect(text).toContain("provider plugins are missing: random 4.21.1, tls 5.5.1");
    expect(text).not.toMatch(/\n\s+at /);
    expect(fs.readlinkSync(path.join(world.cache, "bin/pulumi"))).toBe(bin);
  });
});

describe("the environment of the CLI", () => {
  const tools: Tools = {
    pulumi: { bin: "/t/pulumi", home: "/t/home", path: "/t:/node/bin", compiled: "/t/compiled" },
    minio: "",
    mc: "",
    registry: "",
    report: [],
  };

  it("names home, backend and passphrase, and keeps the CLI from asking anybody else", () => {
    const settings = { backendUrl: "file:///b", passphraseFile: "/p", configFile: "/c.yaml" };
    expect(pulumiEnvironment(tools, settings, "/usr/bin")).toEqual({
      PATH: "/t:/node/bin:/usr/bin",
      NODE_COMPILE_CACHE: "/t/compiled",
      PULUMI_HOME: "/t/home",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      PULUMI_BACKEND_URL: "file:///b",
      PULUMI_CONFIG_PASSPHRASE_FILE: "/p",
      PULUMI_OPTION_CONFIG_FILE: "/c.yaml",
    });
  });

  it("is printed so that a shell adds to its PATH and takes values as they are", () => {
    const lines = shellExports(tools, { passphrase: "it's $HOME" });
    expect(lines).toContain(`export PATH='/t:/node/bin':"$PATH"`);
    expect(lines).toContain(`export PULUMI_CONFIG_PASSPHRASE='it'\\''s $HOME'`);
  });
});
