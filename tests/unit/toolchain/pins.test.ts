/** What is downloaded is used only with the version and the sum that are pinned for it. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureCloudinit } from "../../../toolchain/cloudinit";
import { cutOut } from "../../../toolchain/cuts";
import { findGo } from "../../../toolchain/go";
import { ensurePlugins } from "../../../toolchain/plugins";
import { readModule, RECIPES } from "../../../toolchain/recipes";
import { compareVersions } from "../../../toolchain/run";
import { archiveName, loadPins } from "../../../toolchain/versions";

const checkout = path.join(__dirname, "../../..");
const pins = loadPins(checkout);
const programs = RECIPES.flatMap((recipe) => recipe.programs);
const sumOf = (content: string | Buffer) => createHash("sha256").update(content).digest("hex");

/** Holds PATH, cache, archives and checkout of a pretend machine. */
let root: string;
beforeEach(() => void (root = fs.mkdtempSync(path.join(os.tmpdir(), "toolchain-"))));
afterEach(() => fs.rmSync(root, { recursive: true }));

function write(file: string, content: string | Buffer, mode = 0o644): string {
  const target = path.join(root, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, content, { mode });
  return target;
}
const script = (file: string, body: string): string => write(file, `#!/bin/sh\n${body}\n`, 0o755);

/** Writes archives and pins their sums. */
function settingWith(archives: Readonly<Record<string, string | Buffer>>) {
  const sums = Object.entries(archives).map(([name, content]) => [name, sumOf(content)] as const);
  for (const [name, content] of Object.entries(archives)) write(`archives/${name}`, content);
  write("archives/SHA256SUMS", sums.map(([name, sum]) => `${sum}  ${name}\n`).join(""));
  return {
    checkout: path.join(root, "checkout"),
    cache: path.join(root, "cache"),
    home: root,
    env: { PATH: `${root}/bin:/usr/bin:/bin`, HOME: root, MOORAGE_PLUGINS: path.join(root, "archives") },
    pins: { ...pins, archives: Object.fromEntries(sums) },
    log: () => undefined,
  };
}

describe("pins", () => {
  it("name one plugin for each provider, with a sum for its archive", () => {
    expect(pins.plugins.map(({ name }) => name).sort()).toEqual(["command", "docker", "random", "tls"]);
    for (const plugin of pins.plugins) expect(pins.archives[archiveName(plugin)]).toMatch(/^[0-9a-f]{64}$/);
  });

  it("build the CLI in the version of @pulumi/pulumi", () => {
    expect(readModule(checkout, "pulumi").version).toBe(`v${pins.pulumi}`);
  });

  it.each(programs)("have a Go that can build $name, and the sum of its module", ({ name }) => {
    const { folder, version, goVersion, package: built } = readModule(checkout, name);
    expect(compareVersions(pins.go.version, goVersion)).toBeGreaterThanOrEqual(0);
    const sums = fs.readFileSync(path.join(folder, "go.sum"), "utf8").split("\n");
    const pinned = sums.filter((line) => line.includes(` ${version} h1:`)).map((line) => line.split(" ")[0]);
    expect(pinned.some((module) => module !== undefined && built.startsWith(module))).toBe(true);
  });

  it.each(["node", "npm"])("have a version and a sum of %s, as bootstrap.sh reads them", (name) => {
    const text = fs.readFileSync(path.join(checkout, "toolchain/versions.json"), "utf8");
    expect(text).toMatch(new RegExp(`^  "${name}\\.version": "\\d+\\.\\d+\\.\\d+",$`, "m"));
    expect(text).toMatch(new RegExp(`^  "${name}\\.sha256": "[0-9a-f]{64}",$`, "m"));
  });

  it("are refused if package.json leaves a version open", () => {
    write("toolchain/versions.json", JSON.stringify({ archives: {} }));
    write("package.json", JSON.stringify({ dependencies: { "@pulumi/pulumi": "^3.259.0" } }));
    expect(() => loadPins(root)).toThrow("@pulumi/pulumi must be pinned to one version, found ^3.259.0");
  });

  it("are compared number by number", () => {
    expect(compareVersions("go1.19.8", "1.26.0")).toBeLessThan(0);
    expect(compareVersions("v3.259.0", "3.99.9")).toBeGreaterThan(0);
    expect(compareVersions("3.259.0-dev", "v3.259.0")).toBe(0);
  });
});

describe("a plugin's archive", () => {
  const [archive = ""] = pins.plugins.map(archiveName);
  const otherSum = `${sumOf("other")}  ${archive}\n`;

  it.each<[string, () => void, string]>([
    [
      "another sum than the pinned one",
      () => (write(`archives/${archive}`, "other"), write("archives/SHA256SUMS", otherSum)),
      `its SHA-256 sum is ${sumOf("other")}, toolchain/versions.json has ${sumOf(archive)}`,
    ],
    [
      "another sum in SHA256SUMS",
      () => write("archives/SHA256SUMS", otherSum),
      `SHA256SUMS has ${sumOf("other")}`,
    ],
    ["no sum in SHA256SUMS", () => write("archives/SHA256SUMS", ""), "SHA256SUMS has none for it"],
  ])("is refused with %s", async (_what, change, message) => {
    const names = pins.plugins.map(archiveName);
    const setting = settingWith(Object.fromEntries(names.map((name) => [name, name])));
    change();
    const bin = script("cli/pulumi", `touch ${root}/installed`);
    await expect(ensurePlugins(setting, { bin, version: pins.pulumi })).rejects.toThrow(message);
    expect(fs.existsSync(path.join(root, "installed"))).toBe(false);
  });
});

it("coreos-cloudinit is unpacked with the pinned sum and refused with another", () => {
  const name = "coreos-cloudinit-linux-amd64.tar.gz";
  script("made/coreos-cloudinit", "echo pretend");
  const setting = settingWith({
    [name]: execFileSync("tar", ["-cz", "-C", `${root}/made`, "coreos-cloudinit"]),
  });
  expect(ensureCloudinit(setting)).toEqual({
    bin: expect.stringMatching(/cache\/tools\/coreos-cloudinit-[0-9a-f]{12}\/coreos-cloudinit$/),
  });
  fs.appendFileSync(path.join(root, "archives", name), "more");
  expect(() => ensureCloudinit(setting)).toThrow("is not used: its SHA-256 sum is");
});

it.each([
  ["has left", "package a\nend"],
  ["is there twice", "package a\nold\nold\nend"],
  ["has lost its end", "package a\nold"],
])("a passage to leave out of a build that %s is an error", (_what, source) => {
  const cuts = { "a.go": [["old\n", "end", "new\n"]] } as const;
  write("a.go", "package a\nold\nend");
  cutOut(root, cuts);
  expect(fs.readFileSync(path.join(root, "a.go"), "utf8")).toBe("package a\nnew\nend");
  write("a.go", source);
  expect(() => cutOut(root, cuts)).toThrow("a.go has no passage, or several, from old");
});

it("a Go that the machine's own Go downloads is refused with another sum", async () => {
  const downloaded = `[ "$1" = env ] && echo go1.19.8 || echo '{"Dir": "${root}", "Sum": "h1:wrong"}'`;
  script("bin/go", downloaded);
  await expect(findGo(settingWith({}), "99.0.0")).rejects.toThrow(
    `sum is h1:wrong, pinned is ${pins.go.sum}; it is not used`,
  );
});

it("a Node.js that npm downloads is refused with another sum", () => {
  for (const file of ["bootstrap.sh", "packages.txt", "versions.json"])
    write(`toolchain/${file}`, fs.readFileSync(path.join(checkout, "toolchain", file)), 0o755);
  write("package.json", `{\n  "engines": {\n    "node": ">=22"\n  }\n}\n`);
  script("bin/dpkg-query", `sed -n 's/^[a-z].*/installed &/p' ${root}/toolchain/packages.txt`);
  script("bin/node", "echo 18");
  script("bin/go", "echo go1.19.8");
  const pack = `mkdir -p package/bin; touch package/bin/node; tar -czf "$(echo "$3" | tr @ -).tgz" package`;
  script("bin/npm", `[ "$1" != pack ] || { ${pack}; }`);
  const { env, cache } = settingWith({});
  const { status, stderr } = spawnSync(`${root}/toolchain/bootstrap.sh`, [], {
    env: { ...env, MOORAGE_CACHE: cache },
    encoding: "utf8",
  });
  expect(stderr).toMatch(/FAILED[^]*Node\.js 22\.\d+\.\d+: fetching it with npm: failed/);
  expect(status).toBe(1);
  const tools = fs.readdirSync(path.join(cache, "tools"));
  expect(tools.filter((file) => !file.endsWith(".tmp"))).toEqual([]);
});
