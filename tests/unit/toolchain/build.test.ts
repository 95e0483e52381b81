import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { builtFolder, ensureBuilt } from "../../../toolchain/build";
import { findGo } from "../../../toolchain/go";
import { RECIPES, type Recipe } from "../../../toolchain/recipes";
import { World } from "./world";

let world: World;
beforeEach(() => {
  world = new World();
  // The machine's own Go must not be found beside the pretended one.
  world.env.PATH = `${world.bin}:/usr/bin:/bin`;
});
afterEach(() => world.remove());

const recipe = (name: Recipe["name"]): Recipe => {
  const found = RECIPES.find((each) => each.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe("a build", () => {
  it("is done once, from pinned sums, static, with its version set", async () => {
    world.go("1.26.0");
    const folder = await ensureBuilt(world.setting, recipe("registry"));
    expect(await ensureBuilt(world.setting, recipe("registry"))).toBe(folder);
    expect(path.basename(folder)).toMatch(/^registry-1\.2\.3-[0-9a-f]{12}$/);
    const [only, ...others] = world.builds();
    expect(others).toEqual([]);
    expect(only).toContain("-mod=readonly -trimpath");
    expect(only).toContain("version.version=v1.2.3");
    expect(only).toMatch(/ example\.org\/made\/registry\/cmd$/);
    expect(world.lines).toEqual([
      "registry 1.2.3: building it from the Go module proxy, about 1 minute",
      expect.stringMatching(/^registry 1\.2\.3: built in \d+\.\d s$/),
    ]);
  });

  it("is done anew when a sum, a flag or a companion changes", () => {
    const before = builtFolder(world.setting, recipe("pulumi"));
    world.write("toolchain/go/pulumi-language-nodejs/go.sum", "example.org/made v1 h1:x\n");
    const after = builtFolder(world.setting, recipe("pulumi"));
    world.write("node_modules/@pulumi/pulumi/pulumi-resource-pulumi-nodejs", "#!/bin/sh\nnew\n");
    expect(new Set([before, after, builtFolder(world.setting, recipe("pulumi"))]).size).toBe(3);
  });

  it("puts what the CLI looks for beside it", async () => {
    world.go("1.26.0");
    const folder = await ensureBuilt(world.setting, recipe("pulumi"));
    expect(fs.readdirSync(folder).sort()).toEqual([
      "pulumi",
      "pulumi-language-nodejs",
      "pulumi-resource-pulumi-nodejs",
    ]);
    expect(fs.statSync(path.join(folder, "pulumi-resource-pulumi-nodejs")).mode & 0o111).toBe(0o111);
  });

  it("that fails says why, what to look at and where the whole output is, and leaves no folder", async () => {
    world.go("1.26.0");
    world.env.GO_FAILS = "yes";
    const failed = await ensureBuilt(world.setting, recipe("mc")).catch((error: Error) => error.message);
    expect(failed).toContain("mc cannot be built");
    expect(failed).toContain("dial tcp: no such host");
    expect(failed).toContain("go env GOPROXY");
    expect(fs.readFileSync(path.join(world.cache, "logs/build-mc.log"), "utf8")).toContain("no such host");
    expect(fs.existsSync(builtFolder(world.setting, recipe("mc")))).toBe(false);
  });

  it("is shared by two runs at once", async () => {
    world.go("1.26.0");
    world.env.GO_SLEEPS = "0.3";
    await Promise.all([ensureBuilt(world.setting, recipe("mc")), ensureBuilt(world.setting, recipe("mc"))]);
    expect(world.builds()).toHaveLength(1);
    expect(world.lines).toContain("mc 1.2.3: waiting for another run that is at it");
  });
});

describe("Go", () => {
  it("is the machine's own where it is new enough", async () => {
    const go = world.go("1.26.0");
    expect(await findGo(world.setting, "1.26.0")).toBe(go);
  });

  it("is fetched with an older one, once, and can be run", async () => {
    world.go("1.19.8");
    const go = await findGo(world.setting, "99.0.0");
    expect(go.startsWith(path.join(world.cache, "tools/go-1.26.8-"))).toBe(true);
    expect(fs.statSync(go).mode & 0o111).toBe(0o111);
    world.env.GO_SUM = "h1:would fail if it were fetched again";
    expect(await findGo(world.setting, "99.0.0")).toBe(go);
  });

  it("is refused when its sum is not the pinned one", async () => {
    world.go("1.19.8");
    world.env.GO_SUM = "h1:wrong";
    await expect(findGo(world.setting, "99.0.0")).rejects.toThrow(
      "sum is h1:wrong, pinned is h1:right; it is not used",
    );
    expect(fs.readdirSync(path.join(world.cache, "tools")).filter((name) => name.startsWith("go-"))).toEqual(
      [],
    );
  });
});
