import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pointTo, withLock } from "./cache";
import { quietEnvironment, type Cli } from "./pulumi";
import { isExecutable, lastWords, run, secondsSince, ToolError } from "./run";
import type { Setting } from "./setting";
import { hasStandIn, homeWithStandIns, programOf, rememberedRefusal, rememberRefusal } from "./standIns";
import { archiveName, type PluginPin } from "./versions";

/** How long one plugin may take from the download site before the next source has its turn. */
const DOWNLOAD_LIMIT_MS = 90_000;

/** Where the plugins are, and where each came from. */
export interface Plugins {
  /** The `PULUMI_HOME` whose cache holds all of them. */
  readonly home: string;
  readonly report: readonly string[];
}

/** One place plugins may come from. */
interface Source {
  readonly name: string;
  /** Puts one plugin into the cache, and says why not if it cannot. */
  readonly install: (plugin: PluginPin, home: string) => Promise<string | undefined> | string | undefined;
}

/**
 * All plugins in one plugin cache: an ordinary installation's if it has them all, else one of our own, with links to
 * those that it has.
 */
export async function ensurePlugins(setting: Setting, cli: Cli): Promise<Plugins> {
  const { plugins } = setting.pins;
  const ordinary = cli.ordinaryHome;
  if (ordinary !== undefined && plugins.every((plugin) => isInstalled(ordinary, plugin))) {
    return { home: ordinary, report: [`plugins: in ${ordinary}`] };
  }
  const home = path.join(setting.cache, "pulumi-home");
  const absent = () => plugins.filter((plugin) => !isInstalled(home, plugin));
  const ready = { home, report: [`plugins: in ${home}`] };
  if (absent().length === 0) return ready;
  const lock = path.join(setting.cache, "tools/.plugins.lock");
  return withLock(lock, "plugins", setting.log, async () => {
    const wanted = absent();
    if (wanted.length === 0) return ready;
    return installFrom(sources(setting, cli), wanted, setting, { cli, home });
  });
}

/** The sources in the order they are asked; where none of them has a plugin, a stand-in takes its place. */
function sources(setting: Setting, cli: Cli): Source[] {
  const { ordinaryHome } = cli;
  const others = [archives(setting, cli), downloadSite(setting, cli)];
  return ordinaryHome === undefined ? others : [ordinaryInstallation(ordinaryHome), ...others];
}

async function installFrom(
  list: readonly Source[],
  wanted: readonly PluginPin[],
  setting: Setting,
  { cli, home }: { readonly cli: Cli; readonly home: string },
): Promise<Plugins> {
  const report: string[] = [];
  const refusals: string[] = [];
  let left = wanted;
  for (const source of list) {
    const start = Date.now();
    const still: PluginPin[] = [];
    const installed: string[] = [];
    for (const plugin of left) {
      const refusal = await source.install(plugin, home);
      if (refusal === undefined) installed.push(`${plugin.name} ${plugin.version}`);
      else {
        still.push(plugin);
        refusals.push(refusal);
      }
    }
    if (installed.length > 0) {
      report.push(`plugins ${installed.join(", ")}: from ${source.name}`);
      setting.log(`${report.at(-1)}, in ${secondsSince(start)}`);
    }
    left = still;
    if (left.length === 0) return { home, report };
  }
  if (!left.every((plugin) => hasStandIn(setting, plugin))) {
    throw new ToolError(missingMessage(left, refusals, `PULUMI_HOME=${home} ${cli.bin}`));
  }
  const names = left.map(({ name }) => name).join(", ");
  report.push(`plugins ${names}: stand-ins serve, for the lab's stack alone (docs/lab.md)`);
  setting.log(report.at(-1) ?? "");
  return { home: homeWithStandIns(setting, home, left), report };
}

function missingMessage(missing: readonly PluginPin[], refusals: readonly string[], command: string): string {
  return [
    `provider plugins are missing: ${missing.map(({ name, version }) => `${name} ${version}`).join(", ")}`,
    ...[...new Set(refusals)].map((refusal) => `  tried: ${refusal}`),
    "  to get them: set MOORAGE_PLUGINS to a folder that holds their archives and SHA256SUMS, or, where",
    "  Pulumi's download site can be reached, run for each",
    ...missing.map(({ name, version }) => `    ${command} plugin install resource ${name} ${version}`),
  ].join("\n");
}

/** Whether a plugin cache holds a plugin, whole. */
export function isInstalled(home: string, plugin: PluginPin): boolean {
  const program = programOf(home, plugin);
  return isExecutable(program) && !fs.existsSync(`${path.dirname(program)}.partial`);
}

/** The folder of archives: `MOORAGE_PLUGINS`, or where that is unset `shared/toolchain` beside the checkout, if there. */
export function archiveFolder(setting: Setting): string | undefined {
  const named = setting.env.MOORAGE_PLUGINS;
  if (named) {
    if (fs.existsSync(named)) return path.resolve(named);
    throw new ToolError(`MOORAGE_PLUGINS names ${named}, which is not there`);
  }
  const beside = path.join(setting.checkout, "../shared/toolchain");
  return fs.existsSync(beside) ? path.resolve(beside) : undefined;
}

/** The path of an archive after its sum was checked twice, or undefined where there is none; a wrong sum is an error. */
export function checkedArchive(setting: Setting, name: string): string | undefined {
  const folder = archiveFolder(setting);
  if (folder === undefined) return undefined;
  const file = path.join(folder, name);
  if (!fs.existsSync(file)) return undefined;
  const sum = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  const expected = [
    { by: "toolchain/versions.json", sum: setting.pins.archives[name] },
    { by: path.join(folder, "SHA256SUMS"), sum: sumBeside(folder, name) },
  ];
  for (const wanted of expected) {
    if (sum === wanted.sum) continue;
    throw new ToolError(
      `${file} is not used: its SHA-256 sum is ${sum}, ${wanted.by} has ${wanted.sum ?? "none for it"}; fetch it anew`,
    );
  }
  return file;
}

function sumBeside(folder: string, name: string): string | undefined {
  const sums = path.join(folder, "SHA256SUMS");
  if (!fs.existsSync(sums)) return undefined;
  const lines = fs.readFileSync(sums, "utf8").split("\n");
  return lines.map((line) => line.split(/\s+\*?/)).find(([, file]) => file === name)?.[0];
}

/** What an ordinary installation has is linked to, and nothing is added there. */
function ordinaryInstallation(ordinaryHome: string): Source {
  return {
    name: ordinaryHome,
    install: (plugin, home) => {
      if (!isInstalled(ordinaryHome, plugin)) return `${ordinaryHome}: no ${plugin.name} ${plugin.version}`;
      const program = programOf(home, plugin);
      fs.rmSync(`${path.dirname(program)}.partial`, { force: true });
      pointTo(program, programOf(ordinaryHome, plugin));
      return undefined;
    },
  };
}

function archives(setting: Setting, cli: Cli): Source {
  const folder = archiveFolder(setting);
  return {
    name: folder ?? "archives",
    install: async (plugin, home) => {
      if (folder === undefined) return "archives: MOORAGE_PLUGINS is not set";
      const archive = checkedArchive(setting, archiveName(plugin));
      if (archive === undefined) return `archives: ${folder} has no ${archiveName(plugin)}`;
      return pluginInstall(setting, cli, plugin, home, ["--file", archive]);
    },
  };
}

/**
 * Nobody has sums of what the site serves (those pinned are of archives built from source), and the CLI looks for none of
 * its own. It is tried once: after a first failure it is taken to be out of reach, and where stand-ins
 * serve for a day.
 */
function downloadSite(setting: Setting, cli: Cli): Source {
  let outOfReach = setting.pins.plugins.every((one) => hasStandIn(setting, one))
    ? rememberedRefusal(setting)
    : undefined;
  return {
    name: "Pulumi's download site, without a sum to hold them to (docs/toolchain.md)",
    install: async (plugin, home) => {
      if (outOfReach !== undefined) return outOfReach;
      setting.log(`plugins: asking Pulumi's download site for ${plugin.name} ${plugin.version}`);
      const refusal = await pluginInstall(setting, cli, plugin, home, []);
      if (refusal === undefined) return undefined;
      outOfReach = `Pulumi's download site: ${refusal}`;
      rememberRefusal(setting, outOfReach);
      return outOfReach;
    },
  };
}

async function pluginInstall(
  setting: Setting,
  cli: Cli,
  plugin: PluginPin,
  home: string,
  options: readonly string[],
): Promise<string | undefined> {
  fs.mkdirSync(home, { recursive: true });
  const program = programOf(home, plugin);
  // A link leads into an ordinary installation, where nothing is to be written.
  if (fs.lstatSync(program, { throwIfNoEntry: false })?.isSymbolicLink()) fs.unlinkSync(program);
  const done = await run(
    cli.bin,
    ["plugin", "install", "resource", plugin.name, plugin.version, ...options],
    {
      env: { ...setting.env, ...quietEnvironment(), PULUMI_HOME: home },
      cwd: home,
      timeoutMs: DOWNLOAD_LIMIT_MS,
    },
  );
  if (isInstalled(home, plugin)) return undefined;
  if (done.timedOut) return `no plugin after ${DOWNLOAD_LIMIT_MS / 1000} s`;
  return lastWords(done.output, 1) || `exit code ${done.code}`;
}
