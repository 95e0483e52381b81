/**
 * The set-up of `make lab` in a fresh copy of this checkout, with an empty home, an empty cache and no archives, on a
 * network that leads to the sites that apt, npm and Go are configured to use, and nowhere else. Everything is
 * fetched; what costs minutes without asking anybody (compiling, unpacking Debian) is left out.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";
import * as images from "../../lab/images";
import * as roots from "../../lab/roots";
import { findGo, goEnvironment } from "../../toolchain/go";
import { ensureCli } from "../../toolchain/pulumi";
import { readModule, RECIPES } from "../../toolchain/recipes";
import { defaultSetting } from "../../toolchain/setting";
import { copyOfFiles } from "../support/clone";
import { configuredSites, RegistriesOnly, type Sites } from "../support/registriesOnly";
import { notRun } from "../support/summary";

const setting = defaultSetting(() => undefined);

let obstacle: string | undefined;
let sites: Sites;
let registries: RegistriesOnly | undefined;
let clone: string | undefined;

beforeAll(async () => {
  const isBehindProxy = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].some(
    (name) => process.env[name],
  );
  if (process.getuid?.() !== 0) obstacle = "it takes root to have a network of one's own";
  else if (isBehindProxy) obstacle = "this machine is behind a proxy itself";
  if (obstacle !== undefined) return;
  const configured = await configuredSites();
  sites = configured.sites;
  registries = await RegistriesOnly.start(sites, configured.settings);
  clone = await copyOfFiles();
});
afterAll(async () => {
  await registries?.stop();
  if (clone !== undefined) fs.rmSync(clone, { recursive: true, force: true });
});

function orSkip(context: TestContext) {
  if (obstacle !== undefined || !registries || clone === undefined) {
    return context.skip(notRun + (obstacle ?? "there is nothing to run it in"));
  }
  return { registries, clone };
}

test("nothing leads past the proxy, and the proxy leads to no other site", async (context) => {
  const { registries } = orSkip(context);
  const mirror = await roots.debianMirror();
  const past = await registries.run(["curl", "--silent", "--noproxy", "*", mirror], registries.folder);
  expect(past).toMatchObject({ code: 6, asked: [] });
  const other = await registries.run(["curl", "--silent", "https://example.com/"], registries.folder);
  expect(other).toMatchObject({ refused: ["example.com"] });
  expect(other.code).not.toBe(0);
});

test("the bootstrap asks npm's registry alone", async (context) => {
  const { registries, clone } = orSkip(context);
  const ran = await registries.run([path.join(clone, "toolchain/bootstrap.sh"), "true"], clone);
  expect(ran.code, ran.output).toBe(0);
  expect(ran.asked).toEqual([...new Set(sites.npm)]);
});

test("the sources of every Go program come from Go's proxy alone", async (context) => {
  const { registries, clone } = orSkip(context);
  for (const { name, tags } of RECIPES.flatMap(({ programs }) => programs)) {
    const { goVersion, package: built } = readModule(clone, name);
    const go = await findGo(setting, goVersion);
    // What a build compiles is loaded, and so has to be there, without being compiled.
    const list = ["list", "-mod=readonly", "-deps", ...(tags === undefined ? [] : ["-tags", tags]), built];
    const { GOTOOLCHAIN, GOWORK, GO111MODULE } = goEnvironment(setting, {});
    const variables = { GOTOOLCHAIN, GOWORK, GO111MODULE, CGO_ENABLED: "0", GOFLAGS: "-modcacherw" };
    const env = Object.entries(variables).map(([key, value]) => `${key}=${value}`);
    const ran = await registries.run(["env", ...env, go, ...list], path.join(clone, "toolchain/go", name));
    expect(ran.code, `${name}: ${ran.output.slice(-2000)}`).toBe(0);
    expect(ran.refused, name).toEqual([]);
    // Nothing of it is in the cache yet: the first of Go's proxies is asked for its own module, if for no other.
    expect(ran.asked, name).toContain(sites.go[0]);
    expect(sites.go, name).toEqual(expect.arrayContaining([...ran.asked]));
  }
});

test.for([
  { title: "hosts", ...roots.base },
  { title: "images", ...images.base },
])("what the $title are made of comes from this machine's Debian mirror alone", async (parts, context) => {
  const { registries } = orSkip(context);
  const target = path.join(registries.folder, parts.title);
  const { mirror, script } = { mirror: await roots.debianMirror(), script: roots.scriptFor(parts.suite) };
  const options = ["--download-only", "--variant=minbase", `--include=${parts.packages.join(",")}`];
  const ran = await registries.run(
    ["debootstrap", ...options, parts.suite, target, mirror, script],
    registries.folder,
  );
  expect(ran.code, ran.output.slice(-2000)).toBe(0);
  expect(ran.refused).toEqual([]);
  expect(ran.asked).toEqual([new URL(mirror).hostname]);
});

test("without archives and download site, stand-ins serve for the plugins", async (context) => {
  const { registries, clone } = orSkip(context);
  const { bin } = await ensureCli(setting);
  const tsx = path.join(clone, "node_modules/.bin/tsx");
  const ran = await registries.run([tsx, path.join(clone, "tests/support/pluginsAlone.ts"), bin], clone);
  expect(ran.code, ran.output).toBe(0);
  expect(ran.output).toContain("stand-ins serve");
  // The download site is tried once, and not missed.
  expect(ran.refused).not.toEqual([]);
  expect(ran.asked).toEqual(ran.refused);
  expect(ran.refused.filter((host) => !/(^|\.)(pulumi|github)\.com$/.test(host))).toEqual([]);
});
