/**
 * The set-up of `make lab` in a fresh copy of this checkout, with an empty home, an empty cache and no archives, on a
 * network that leads to the sites that apt, npm and Go are configured to use, and nowhere else. It is the very
 * functions of `make lab` that run, to the point where hosts start; what Go has compiled before is kept.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";
import * as roots from "../../../lab/roots";
import { RECIPES } from "../../../toolchain/recipes";
import { copyOfFiles } from "../../support/clone";
import { unspokenProxy } from "../../support/onward";
import { configuredSites, RegistriesOnly, type Ran, type Sites } from "../../support/registriesOnly";
import { notRun } from "../../support/summary";

let obstacle: string | undefined;
let sites: Sites;
let registries: RegistriesOnly | undefined;
let clone: string | undefined;

beforeAll(async () => {
  const proxy = unspokenProxy(process.env);
  if (process.getuid?.() !== 0) obstacle = "it takes root to have a network of one's own";
  else if (proxy !== undefined) obstacle = `this machine's own proxy is reached by ${proxy}, and not by http`;
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

/** Runs a TypeScript file of the copy. */
async function tsx(context: TestContext, ...words: readonly string[]): Promise<Ran> {
  const { registries, clone } = orSkip(context);
  return registries.run([path.join(clone, "node_modules/.bin/tsx"), ...words], clone);
}

/** The host of this machine's Debian mirror. */
const mirror = async (): Promise<string> => new URL(await roots.debianMirror()).hostname;

test("nothing leads past the proxy, and the proxy leads to no other site", async (context) => {
  const { registries } = orSkip(context);
  const past = await registries.run(
    ["curl", "--silent", "--noproxy", "*", await roots.debianMirror()],
    registries.folder,
  );
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

test("the tools are made of what Go's proxy has alone, and stand-ins serve for the plugins", async (context) => {
  const ran = await tsx(context, "toolchain/main.ts", "ensure");
  expect(ran.code, ran.output.slice(-2000)).toBe(0);
  // An ordinary installation of Pulumi is used as it is.
  for (const { name } of RECIPES.filter((recipe) => recipe.name !== "pulumi")) {
    expect(ran.output).toMatch(new RegExp(`^${name} \\S+: building it from the Go module proxy`, "m"));
  }
  expect(ran.output).toContain("stand-ins serve");
  // The download site is tried once, and not missed.
  expect(ran.refused).not.toEqual([]);
  expect(ran.refused.filter((host) => !/(^|\.)(pulumi|github)\.com$/.test(host))).toEqual([]);
  // Nothing of it is in the cache yet: the first of Go's proxies is asked, if no other.
  expect(ran.asked).toContain(sites.go[0]);
  expect([...sites.go, ...ran.refused]).toEqual(expect.arrayContaining([...ran.asked]));
});

test("the images are made of what this machine's Debian mirror has alone", async (context) => {
  const ran = await tsx(context, "lab/journey/main.ts", "images");
  expect(ran.code, ran.output.slice(-2000)).toBe(0);
  expect(ran).toMatchObject({ asked: [await mirror()], refused: [] });
  const { clone } = orSkip(context);
  expect(fs.readdirSync(path.join(clone, ".images"))).toEqual(
    expect.arrayContaining(["nginx.tar", "hello.tar"]),
  );
});

test("so are the hosts", async (context) => {
  const ran = await tsx(context, "tests/support/baseRoot.ts");
  expect(ran.code, ran.output.slice(-2000)).toBe(0);
  expect(ran).toMatchObject({ asked: [await mirror()], refused: [] });
});
