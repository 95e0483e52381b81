import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pointTo, replaceInOneStep } from "./cache";
import { lastWords, shellQuote, ToolError } from "./run";
import type { Setting } from "./setting";
import type { PluginPin } from "./versions";

/** How long a download site that could not be reached is left alone where stand-ins serve. */
const PATIENCE_MS = 24 * 3_600_000;

/** Whether this checkout has something to take the place of a published plugin. */
export function hasStandIn(setting: Setting, plugin: PluginPin): boolean {
  return fs.existsSync(path.join(setting.checkout, "lab/plugins", `${plugin.name}.ts`));
}

/**
 * A `PULUMI_HOME` of this checkout's own with stand-ins for what is missing beside the plugins that `home` has, so
 * that nobody takes one for a published plugin.
 */
export function homeWithStandIns(setting: Setting, home: string, missing: readonly PluginPin[]): string {
  const own = path.join(setting.cache, "stand-ins", keyOf(setting));
  for (const plugin of setting.pins.plugins) {
    const program = programOf(own, plugin);
    const folder = path.dirname(program);
    // The CLI passes over a plugin whose folder is a link, as it was here once.
    if (fs.lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) fs.unlinkSync(folder);
    if (missing.includes(plugin)) writeStarter(setting, plugin, folder);
    else pointTo(program, programOf(home, plugin));
  }
  return own;
}

/** Where a `PULUMI_HOME` has the program of a plugin. */
export function programOf(home: string, { name, version }: PluginPin): string {
  return path.join(home, "plugins", `resource-${name}-v${version}`, `pulumi-resource-${name}`);
}

/** Why the download site was not reached a while ago, where that is to be taken as still true. */
export function rememberedRefusal(setting: Setting): string | undefined {
  const file = refusalFile(setting);
  const noted = fs.statSync(file, { throwIfNoEntry: false });
  if (!noted || Date.now() - noted.mtimeMs > PATIENCE_MS) return undefined;
  return fs.readFileSync(file, "utf8");
}

export function rememberRefusal(setting: Setting, refusal: string): void {
  fs.mkdirSync(path.dirname(refusalFile(setting)), { recursive: true });
  fs.writeFileSync(refusalFile(setting), refusal);
}

/** Writes the program that starts the stand-in of a plugin, `pulumi-resource-NAME` in `folder`; gives back its path. */
export function writeStarter(setting: Setting, plugin: PluginPin, folder: string): string {
  const file = path.join(folder, `pulumi-resource-${plugin.name}`);
  const bundle = path.join(folder, `${plugin.name}.js`);
  replaceInOneStep(bundle, (temporary) => writeBundle(setting, plugin.name, temporary));
  const words = [bundle, plugin.name, plugin.version].map(shellQuote);
  replaceInOneStep(file, (temporary) =>
    fs.writeFileSync(temporary, `#!/bin/sh\nexec node ${words.join(" ")} "$@"\n`, { mode: 0o755 }),
  );
  return file;
}

/** Its sources and all that they import in one file: each command of Pulumi starts every plugin, in a fifth of the time. */
function writeBundle({ checkout }: Setting, name: string, file: string): void {
  const source = `import { start } from "./main"; import { standIn } from "./${name}"; void start(standIn);`;
  // What it leaves out is compiled by an install script, which is not run, and ssh2 goes on without.
  const options = ["--bundle", "--platform=node", "--external:cpu-features", "--log-level=error"];
  const { status, stderr, error } = spawnSync(
    path.join(checkout, "node_modules/.bin/esbuild"),
    [...options, `--outfile=${file}`],
    { cwd: path.join(checkout, "lab/plugins"), input: source, encoding: "utf8" },
  );
  if (status === 0) return;
  // One that ends before it read its input has an error of its own, which says less than its words do.
  const reason = status === null && error ? error.message : lastWords(stderr);
  throw new ToolError(`the stand-in for ${name} cannot be bundled: ${reason}`);
}

function keyOf({ checkout }: Setting): string {
  return createHash("sha256").update(fs.realpathSync(checkout)).digest("hex").slice(0, 12);
}

function refusalFile(setting: Setting): string {
  return path.join(setting.cache, "stand-ins", "site-refused");
}
