import * as fs from "node:fs";
import * as path from "node:path";
import { DYNAMIC_PROVIDER_SCRIPT, ensureBuilt } from "./build";
import { RECIPES } from "./recipes";
import { compareVersions, isExecutable, onPath, run, ToolError } from "./run";
import type { Setting } from "./setting";

/** What must stand beside `pulumi` for a program in TypeScript with dynamic providers; elsewhere it draws a warning. */
const BESIDE = ["pulumi-language-nodejs", DYNAMIC_PROVIDER_SCRIPT];

/** A CLI with what stands beside it. */
export interface Cli {
  readonly bin: string;
  readonly version: string;
  /** The plugin home that comes with an ordinary installation; a built CLI has none. */
  readonly ordinaryHome?: string;
}

/** The CLI: an ordinary installation's if it is new enough, else one built here. */
export async function ensureCli(setting: Setting): Promise<Cli> {
  const ordinary = await findOrdinaryCli(setting);
  if (ordinary !== undefined) return ordinary;
  const recipe = RECIPES.find(({ name }) => name === "pulumi");
  if (recipe === undefined) throw new ToolError("no recipe for pulumi");
  const folder = await ensureBuilt(setting, recipe);
  return { bin: path.join(folder, "pulumi"), version: setting.pins.pulumi };
}

/** An ordinary installation: `pulumi` on PATH or in `~/.pulumi/bin`, not older than the pin, and complete. */
export async function findOrdinaryCli(setting: Setting): Promise<Cli | undefined> {
  const folders = `${setting.env.PATH ?? ""}:${path.join(setting.home, ".pulumi/bin")}`;
  for (const candidate of onPath("pulumi", folders)) {
    const bin = fs.realpathSync(candidate);
    if (isInside(bin, setting.cache)) continue;
    const version = await versionOf(setting, bin);
    const found = `pulumi ${version ?? "of unknown version"} in ${path.dirname(bin)} is not used:`;
    const missing = BESIDE.filter((name) => !isExecutable(path.join(path.dirname(bin), name)));
    if (version === undefined || compareVersions(version, setting.pins.pulumi) < 0) {
      setting.log(`${found} ${setting.pins.pulumi} or newer is needed`);
    } else if (missing.length > 0) {
      setting.log(`${found} it has no ${missing.join(" and no ")} beside it`);
    } else {
      return { bin, version, ordinaryHome: setting.env.PULUMI_HOME || path.join(setting.home, ".pulumi") };
    }
  }
  return undefined;
}

/** The environment in which the CLI asks nobody for anything but what it was told to do. */
export function quietEnvironment(): Record<string, string> {
  return { PULUMI_SKIP_UPDATE_CHECK: "true", PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" };
}

/**
 * Has the CLI keep no logs in a `PULUMI_HOME` of ours: it writes some 4 MB in each update, 500 MB until it takes old ones
 * away, and where it cannot it goes on without. An ordinary installation's are its owner's.
 */
export function keepNoLogs(home: string): void {
  const logs = path.join(home, "logs");
  if (fs.statSync(logs, { throwIfNoEntry: false })?.isFile()) return;
  fs.rmSync(logs, { recursive: true, force: true });
  fs.mkdirSync(home, { recursive: true });
  fs.writeFileSync(logs, "In the place of a folder, so that no logs are kept.\n");
}

async function versionOf(setting: Setting, bin: string): Promise<string | undefined> {
  const env = { ...setting.env, ...quietEnvironment() };
  const done = await run(bin, ["version"], { env, cwd: "/", timeoutMs: 10_000 });
  return /^v?(\d+\.\d+\.\d+\S*)$/m.exec(done.stdout.trim())?.[1];
}

function isInside(file: string, folder: string): boolean {
  if (!fs.existsSync(folder)) return false;
  return !path.relative(fs.realpathSync(folder), file).startsWith("..");
}
