import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { readModule, RECIPES } from "../../../toolchain/recipes";
import { compareVersions } from "../../../toolchain/run";
import { archiveName, loadPins } from "../../../toolchain/versions";
import { CHECKOUT, World } from "./world";

const pins = loadPins(CHECKOUT);
const programs = RECIPES.flatMap((recipe) => recipe.programs);

describe("pins", () => {
  it("take npm's versions from package.json, with one plugin for each provider", () => {
    expect(pins.plugins.map(({ name }) => name).sort()).toEqual(["command", "docker", "random", "tls"]);
  });

  it("have a sum for the archive of every plugin", () => {
    for (const plugin of pins.plugins) expect(pins.archives[archiveName(plugin)]).toMatch(/^[0-9a-f]{64}$/);
  });

  it("build the CLI in the version of @pulumi/pulumi", () => {
    expect(readModule(CHECKOUT, "pulumi").version).toBe(`v${pins.pulumi}`);
  });

  it("fetch a Go that can build everything", () => {
    for (const { name } of programs) {
      expect(compareVersions(pins.go.version, readModule(CHECKOUT, name).goVersion)).toBeGreaterThanOrEqual(
        0,
      );
    }
  });

  it("have the sum of the module each program comes from", () => {
    for (const { name } of programs) {
      const { folder, version, package: built } = readModule(CHECKOUT, name);
      const sums = fs.readFileSync(path.join(folder, "go.sum"), "utf8").split("\n");
      expect(
        sums.some((line) => line.includes(` ${version} h1:`) && built.startsWith(line.split(" ")[0] ?? "?")),
      ).toBe(true);
    }
  });

  it("are refused where package.json leaves the version open", () => {
    const world = new World();
    world.write("toolchain/versions.json", JSON.stringify({ archives: {} }));
    world.write("package.json", JSON.stringify({ dependencies: { "@pulumi/pulumi": "^3.259.0" } }));
    expect(() => loadPins(world.checkout)).toThrow(
      "@pulumi/pulumi must be pinned to one version, found ^3.259.0",
    );
    world.remove();
  });

  it("are compared number by number", () => {
    expect(compareVersions("go1.19.8", "1.26.0")).toBeLessThan(0);
    expect(compareVersions("v3.259.0", "3.99.9")).toBeGreaterThan(0);
    expect(compareVersions("3.259.0-dev", "v3.259.0")).toBe(0);
  });
});
