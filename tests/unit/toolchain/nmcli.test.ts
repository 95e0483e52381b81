import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ensureNmcli } from "../../../toolchain/nmcli";
import { World } from "./world";

let world: World;
beforeEach(() => {
  world = new World();
  world.script(
    path.join(world.bin, "apt-get"),
    `echo "$@" >>"${world.root}/asked"
    [ -z "$APT_FAILS" ] || { echo "E: Unable to locate package libnm0" >&2; exit 100; }
    case "$*" in
    *--simulate*) printf '%s\\n' "Inst libglib2.0-0 (2.74 Debian)" "Inst libnm0 (1.42 Debian)" "Conf libnm0 (1.42 Debian)" ;;
    "-qq download "*) shift 2; for name; do : >"$name"_1_amd64.deb; done ;;
    esac`,
  );
  world.script(
    path.join(world.bin, "dpkg-deb"),
    `mkdir -p "$3/usr/bin" && cp "${world.root}/pretend" "$3/usr/bin/nmcli" && echo "$2" >>"$3/unpacked"`,
  );
  nmcli(`[ "$1" = --offline ] && echo "$LD_LIBRARY_PATH"`);
});
afterEach(() => world.remove());

/** What the pretend package holds. */
const nmcli = (body: string) => void world.script(path.join(world.root, "pretend"), body);
const asked = () => fs.readFileSync(path.join(world.root, "asked"), "utf8").trim().split("\n");
const kept = () => fs.readdirSync(path.join(world.cache, "tools")).filter((name) => !name.startsWith("."));

it("nmcli is unpacked once, with libraries that the machine lacks; nothing is installed", async () => {
  const found = await ensureNmcli(world.setting);
  const [home = ""] = kept();
  expect(home).toMatch(/^nmcli-[0-9a-f]{12}$/);
  const folder = path.join(world.cache, "tools", home);
  expect(found).toMatchObject({ bin: path.join(folder, "usr/bin/nmcli") });
  const { bin, env } = "bin" in found ? found : { bin: "", env: {} };
  const libraries = execFileSync(bin, ["--offline"], { env, encoding: "utf8" });
  expect(libraries.split(":")[0]).toBe(path.join(folder, "usr/lib/x86_64-linux-gnu"));
  expect(fs.readdirSync(folder).sort()).toEqual(["unpacked", "usr"]);
  const unpacked = fs.readFileSync(path.join(folder, "unpacked"), "utf8").trim().split("\n");
  expect(unpacked.sort()).toEqual([
    "libglib2.0-0_1_amd64.deb",
    "libnm0_1_amd64.deb",
    "network-manager_1_amd64.deb",
  ]);
  expect(await ensureNmcli(world.setting)).toEqual(found);
  expect(asked()).toEqual([
    "-qq --simulate --no-install-recommends install libnm0",
    "-qq download network-manager libnm0 libglib2.0-0",
  ]);
});

it("nmcli is said to be missing where apt does not know it, and looked for again the next time", async () => {
  world.env.APT_FAILS = "yes";
  expect(await ensureNmcli(world.setting)).toEqual({
    missing: expect.stringMatching(/^apt-get .*libnm0: E: Unable to locate package libnm0$/),
  });
  expect(kept()).toEqual([]);
  world.env.APT_FAILS = "";
  expect(await ensureNmcli(world.setting)).toHaveProperty("bin");
});

it("nmcli is said to be missing where what was unpacked does not run, or does not know --offline", async () => {
  nmcli("echo \"Error: Option '--offline' is unknown, try 'nmcli -help'.\" >&2; exit 2");
  expect(await ensureNmcli(world.setting)).toEqual({
    missing: expect.stringMatching(/^nmcli --offline .*: Error: Option '--offline' is unknown/),
  });
  expect(kept()).toEqual([]);
});
