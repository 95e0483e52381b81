import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensurePlugins } from "../../../toolchain/plugins";
import type { Cli } from "../../../toolchain/pulumi";
import { programOf } from "../../../toolchain/standIns";
import { archiveName, type PluginPin } from "../../../toolchain/versions";
import { PINS, World } from "./world";

let world: World;
beforeEach(() => void (world = new World()));
afterEach(() => world.remove());

const NAMES = PINS.plugins.map(archiveName);
const sumOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** A folder of archives with right sums, pinned too. */
function archives(folder: string, names = NAMES): string {
  fs.mkdirSync(folder, { recursive: true });
  for (const name of names) fs.writeFileSync(path.join(folder, name), name);
  fs.writeFileSync(
    path.join(folder, "SHA256SUMS"),
    names.map((name) => `${sumOf(name)}  ${name}\n`).join(""),
  );
  world.pins = { ...PINS, archives: Object.fromEntries(NAMES.map((name) => [name, sumOf(name)])) };
  return folder;
}

function cli(onSite: readonly string[] = [], ordinaryHome?: string): Cli {
  return {
    bin: world.pulumi(path.join(world.root, "cli"), "3.259.0", { onSite }),
    version: "3.259.0",
    ordinaryHome,
  };
}

const [random, tls] = PINS.plugins as [PluginPin, PluginPin];

function installed(home: string, plugins = PINS.plugins): void {
  for (const plugin of plugins) world.script(programOf(home, plugin), "true");
}

const message = async (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: Error) => error.message,
  );

describe("plugins", () => {
  it("are an ordinary installation's own where it has them all", async () => {
    archives(path.join(world.root, "archives"));
    installed(path.join(world.home, ".pulumi"));
    const { home } = await ensurePlugins(world.setting, cli([], path.join(world.home, ".pulumi")));
    expect(home).toBe(path.join(world.home, ".pulumi"));
    expect(world.installs()).toEqual([]);
  });

  it("go to a home of our own where an ordinary installation lacks one, with links to the others", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"));
    const ordinary = path.join(world.home, ".pulumi");
    installed(ordinary, [random]);
    const { home } = await ensurePlugins(world.setting, cli([], ordinary));
    expect(home).toBe(path.join(world.cache, "pulumi-home"));
    expect(fs.realpathSync(programOf(home, random))).toBe(programOf(ordinary, random));
    expect(world.installs()).toEqual([expect.stringContaining("plugin install resource tls 5.5.1 --file")]);
    expect(fs.existsSync(programOf(ordinary, tls))).toBe(false);
  });

  it("are fetched, and not to where a link leads, once an ordinary installation has them no more", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"));
    const ordinary = path.join(world.home, ".pulumi");
    installed(ordinary, [random]);
    await ensurePlugins(world.setting, cli([], ordinary));
    fs.rmSync(programOf(ordinary, random));
    const { home } = await ensurePlugins(world.setting, cli([], ordinary));
    expect(world.installs()).toHaveLength(2);
    expect(fs.lstatSync(programOf(home, random)).isFile()).toBe(true);
    expect(fs.existsSync(programOf(ordinary, random))).toBe(false);
  });

  it("come from the folder MOORAGE_PLUGINS names, before the download site", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"));
    const { report } = await ensurePlugins(world.setting, cli(["random", "tls"]));
    expect(report).toEqual([`plugins random 4.21.1, tls 5.5.1: from ${world.env.MOORAGE_PLUGINS}`]);
    expect(world.installs().every((line) => line.includes("--file"))).toBe(true);
  });

  it("come from shared/toolchain beside the checkout where MOORAGE_PLUGINS is unset", async () => {
    const folder = archives(path.join(world.checkout, "../shared/toolchain"));
    const { report } = await ensurePlugins(world.setting, cli());
    expect(report[0]).toContain(`from ${folder}`);
  });

  it("come from the download site where there is no archive of one", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"), [NAMES[0] ?? ""]);
    const { report } = await ensurePlugins(world.setting, cli(["tls"]));
    expect(report).toEqual([
      `plugins random 4.21.1: from ${world.env.MOORAGE_PLUGINS}`,
      "plugins tls 5.5.1: from Pulumi's download site, without a sum to hold them to (docs/toolchain.md)",
    ]);
    expect(world.lines.join("\n")).toContain("without a sum to hold them to");
  });

  it("are not installed a second time", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"));
    await ensurePlugins(world.setting, cli());
    await ensurePlugins(world.setting, cli());
    expect(world.installs()).toHaveLength(2);
  });

  it("are installed once by two runs at a time", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"));
    const one = cli();
    const [first, second] = await Promise.all([1, 2].map(() => ensurePlugins(world.setting, one)));
    expect(world.installs()).toHaveLength(2);
    expect(first?.home).toBe(second?.home);
    expect(world.lines).toContain("plugins: waiting for another run that is at it");
  });

  it("are installed again where an installation was cut off", async () => {
    world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"));
    const home = path.join(world.cache, "pulumi-home");
    installed(home);
    fs.writeFileSync(path.join(home, "plugins/resource-tls-v5.5.1.partial"), "");
    await ensurePlugins(world.setting, cli());
    expect(world.installs()).toEqual([expect.stringContaining("plugin install resource tls 5.5.1")]);
  });

  it("that are missing are named in one message with the ways to get them; the site is asked once", async () => {
    const text = await message(ensurePlugins(world.setting, cli()));
    expect(text).toBe(
      [
        "provider plugins are missing: random 4.21.1, tls 5.5.1",
        "  tried: archives: MOORAGE_PLUGINS is not set",
        "  tried: Pulumi's download site: error: no such host",
        "  to get them: set MOORAGE_PLUGINS to a folder that holds their archives and SHA256SUMS, or, where",
        "  Pulumi's download site can be reached, run for each",
        `    PULUMI_HOME=${world.cache}/pulumi-home ${world.root}/cli/pulumi plugin install resource random 4.21.1`,
        `    PULUMI_HOME=${world.cache}/pulumi-home ${world.root}/cli/pulumi plugin install resource tls 5.5.1`,
      ].join("\n"),
    );
    expect(world.installs()).toHaveLength(1);
  });

  describe("that no source has", () => {
    /** Its bundler's bundle is what it was given. */
    const standInsFor = (...names: string[]) => {
      names.forEach((name) => world.write(`lab/plugins/${name}.ts`, ""));
      const bundler =
        '#!/bin/sh\nfor word; do case "$word" in --outfile=*) cat >"${word#*=}" ;; esac; done\n';
      fs.chmodSync(world.write("node_modules/.bin/esbuild", bundler), 0o755);
    };
    const line = "plugins random, tls: stand-ins serve, for the lab's stack alone (docs/lab.md)";

    it("are stood in for, in a home of the checkout's own, which one line says each time", async () => {
      standInsFor("random", "tls");
      const { home, report } = await ensurePlugins(world.setting, cli());
      expect(home.startsWith(path.join(world.cache, "stand-ins/"))).toBe(true);
      expect(report).toEqual([line]);
      const folder = path.dirname(programOf(home, tls));
      const bundle = path.join(folder, "tls.js");
      expect(fs.readFileSync(programOf(home, tls), "utf8")).toContain(`'${bundle}' 'tls' '5.5.1' "$@"`);
      expect(fs.readFileSync(bundle, "utf8")).toContain('from "./tls"');
      expect(fs.readdirSync(folder).sort()).toEqual(["pulumi-resource-tls", "tls.js"]);
      await ensurePlugins(world.setting, cli());
      expect(world.lines.filter((one) => one === line)).toHaveLength(2);
      expect(fs.existsSync(path.join(world.cache, "pulumi-home/plugins/resource-tls-v5.5.1"))).toBe(false);
    });

    it("are not begun with where they cannot be bundled, and the bundler says why", async () => {
      standInsFor("random", "tls");
      const why = async () =>
        (await message(ensurePlugins(world.setting, cli()))).replace(world.checkout, "");
      const bundler = world.write("node_modules/.bin/esbuild", "");
      fs.writeFileSync(bundler, "#!/bin/sh\ncat >/dev/null; echo 'main.ts: no such thing' >&2; exit 1\n");
      expect(await why()).toBe("the stand-in for random cannot be bundled: main.ts: no such thing");
      fs.writeFileSync(bundler, "#!/bin/sh\nexec <&-; echo 'main.ts: no such thing' >&2; exit 1\n");
      expect(await why()).toBe("the stand-in for random cannot be bundled: main.ts: no such thing");
      fs.rmSync(bundler);
      expect(await why()).toBe(
        "the stand-in for random cannot be bundled: spawnSync /node_modules/.bin/esbuild ENOENT",
      );
    });

    it("let the download site alone for a day", async () => {
      standInsFor("random", "tls");
      await ensurePlugins(world.setting, cli());
      await ensurePlugins(world.setting, cli());
      expect(world.installs()).toHaveLength(1);
      const yesterday = Date.now() / 1000 - 25 * 3600;
      fs.utimesSync(path.join(world.cache, "stand-ins/site-refused"), yesterday, yesterday);
      await ensurePlugins(world.setting, cli());
      expect(world.installs()).toHaveLength(2);
    });

    it("stand beside those that a source has, and give way once one has them all", async () => {
      standInsFor("random", "tls");
      world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"), [NAMES[0] ?? ""]);
      const { home } = await ensurePlugins(world.setting, cli());
      const own = path.join(world.cache, "pulumi-home");
      expect(fs.realpathSync(programOf(home, random))).toBe(programOf(own, random));
      // The CLI passes over links to folders.
      expect(fs.lstatSync(path.dirname(programOf(home, random))).isDirectory()).toBe(true);
      archives(path.join(world.root, "archives"));
      expect((await ensurePlugins(world.setting, cli())).home).toBe(path.join(world.cache, "pulumi-home"));
    });

    it("stand beside those that an ordinary installation has", async () => {
      standInsFor("random", "tls");
      const ordinary = path.join(world.home, ".pulumi");
      installed(ordinary, [random]);
      const { home, report } = await ensurePlugins(world.setting, cli([], ordinary));
      expect(report).toEqual([
        `plugins random 4.21.1: from ${ordinary}`,
        "plugins tls: stand-ins serve, for the lab's stack alone (docs/lab.md)",
      ]);
      expect(fs.realpathSync(programOf(home, random))).toBe(programOf(ordinary, random));
      expect(fs.readFileSync(programOf(home, tls), "utf8")).toContain("tls.js");
    });

    it("take the place of a link to a folder, and give it up again", async () => {
      standInsFor("random", "tls");
      const { home } = await ensurePlugins(world.setting, cli());
      const folder = path.dirname(programOf(home, tls));
      fs.rmSync(folder, { recursive: true });
      fs.symlinkSync(world.root, folder);
      await ensurePlugins(world.setting, cli());
      expect(fs.lstatSync(folder).isDirectory()).toBe(true);
      world.env.MOORAGE_PLUGINS = archives(path.join(world.root, "archives"), [NAMES[1] ?? ""]);
      await ensurePlugins(world.setting, cli());
      const own = path.join(world.cache, "pulumi-home");
      expect(fs.realpathSync(programOf(home, tls))).toBe(programOf(own, tls));
    });

    it("are an error where one has no stand-in", async () => {
      standInsFor("random");
      expect(await message(ensurePlugins(world.setting, cli()))).toContain(
        "missing: random 4.21.1, tls 5.5.1",
      );
    });
  });

  it("are refused where MOORAGE_PLUGINS names no folder", async () => {
    world.env.MOORAGE_PLUGINS = "/nowhere/at/all";
    expect(await message(ensurePlugins(world.setting, cli()))).toBe(
      "MOORAGE_PLUGINS names /nowhere/at/all, which is not there",
    );
  });
});

describe("sums of archives", () => {
  const refusal = async (spoil: (folder: string) => void) => {
    const folder = archives(path.join(world.root, "archives"));
    world.env.MOORAGE_PLUGINS = folder;
    spoil(folder);
    const text = await message(ensurePlugins(world.setting, cli(["random", "tls"])));
    expect(world.installs()).toEqual([]);
    return text;
  };

  it("must be the pinned ones, whatever SHA256SUMS says", async () => {
    const text = await refusal((folder) => {
      fs.writeFileSync(path.join(folder, NAMES[0] ?? ""), "other");
      fs.writeFileSync(path.join(folder, "SHA256SUMS"), `${sumOf("other")}  ${NAMES[0]}\n`);
    });
    expect(text).toContain(
      `its SHA-256 sum is ${sumOf("other")}, toolchain/versions.json has ${sumOf(NAMES[0] ?? "")}`,
    );
  });

  it("must be the ones in SHA256SUMS too", async () => {
    const text = await refusal((folder) => {
      fs.writeFileSync(path.join(folder, "SHA256SUMS"), `${sumOf("other")}  ${NAMES[0]}\n`);
    });
    expect(text).toContain(`SHA256SUMS has ${sumOf("other")}`);
  });

  it("must be there", async () => {
    const text = await refusal((folder) => fs.rmSync(path.join(folder, "SHA256SUMS")));
    expect(text).toContain("SHA256SUMS has none for it");
  });
});
