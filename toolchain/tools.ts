import * as path from "node:path";
import { ensureBuilt } from "./build";
import { pointTo } from "./cache";
import { ensurePlugins } from "./plugins";
import { ensureCli, keepNoLogs, quietEnvironment } from "./pulumi";
import { RECIPES, type Recipe } from "./recipes";
import { onPath, shellQuote, ToolError, type Log } from "./run";
import { defaultSetting, type Setting } from "./setting";

/** Everything `make lab` and `make test` call that is no Debian package. */
export interface Tools {
  readonly pulumi: {
    /** The CLI itself. */
    readonly bin: string;
    /** The `PULUMI_HOME` that holds the provider plugins. */
    readonly home: string;
    /** What goes in front of PATH. */
    readonly path: string;
    /** Where Node.js keeps what it has compiled, where that is wanted. */
    readonly compiled?: string;
  };
  readonly minio: string;
  readonly mc: string;
  readonly registry: string;
  /** One line for each tool: which one, and where it came from. */
  readonly report: readonly string[];
}

/** What a stack is handled with, besides the tools. */
export interface PulumiSettings {
  /** Where the state is kept, such as `file:///var/lib/…`. */
  readonly backendUrl?: string;
  /** Protects the secrets in the state. Give this one or `passphraseFile`. */
  readonly passphrase?: string;
  readonly passphraseFile?: string;
  /** The stack's configuration file, where it is not `Pulumi.<stack>.yaml` beside the program. */
  readonly configFile?: string;
}

type Built = Exclude<Recipe["name"], "pulumi">;

/**
 * Finds, fetches or builds every tool, and points `bin/` in the cache to each as soon as it is there.
 * What is missing in the end is told in one {@link ToolError}.
 */
export async function ensureTools(log: Log, setting: Setting = defaultSetting(log)): Promise<Tools> {
  const report: string[] = [];
  const problems: string[] = [];
  const built = new Map<Built, string>();
  for (const recipe of RECIPES) {
    if (recipe.name === "pulumi") continue;
    const folder = await attempt(problems, () => ensureBuilt(setting, recipe));
    if (folder === undefined) continue;
    built.set(recipe.name, link(setting, path.join(folder, recipe.name)));
    report.push(`${recipe.name}: ${folder}`);
  }
  const pulumi = await attempt(problems, () => ensurePulumi(setting, report));
  const minio = built.get("minio");
  const mc = built.get("mc");
  const registry = built.get("registry");
  if (!pulumi || !minio || !mc || !registry) throw new ToolError([...new Set(problems)].join("\n"));
  return { pulumi, minio, mc, registry, report };
}

/** The variables under which the CLI finds its plugins, the backend and the passphrase. */
export function pulumiEnvironment(
  tools: Tools,
  settings: PulumiSettings,
  currentPath = process.env.PATH ?? "",
): Record<string, string> {
  const given = {
    NODE_COMPILE_CACHE: tools.pulumi.compiled,
    PULUMI_BACKEND_URL: settings.backendUrl,
    PULUMI_CONFIG_PASSPHRASE: settings.passphrase,
    PULUMI_CONFIG_PASSPHRASE_FILE: settings.passphraseFile,
    PULUMI_OPTION_CONFIG_FILE: settings.configFile,
  };
  const environment: Record<string, string> = {
    PATH: `${tools.pulumi.path}:${currentPath}`,
    PULUMI_HOME: tools.pulumi.home,
    ...quietEnvironment(),
  };
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** The same variables as lines for a shell to evaluate; PATH is added to, not replaced. */
export function shellExports(tools: Tools, settings: PulumiSettings): string[] {
  const others = Object.entries(pulumiEnvironment(tools, settings)).filter(([name]) => name !== "PATH");
  return [
    `export PATH=${shellQuote(tools.pulumi.path)}:"$PATH"`,
    ...others.map(([name, value]) => `export ${name}=${shellQuote(value)}`),
  ];
}

async function ensurePulumi(setting: Setting, report: string[]): Promise<Tools["pulumi"]> {
  const cli = await ensureCli(setting);
  const folder = path.dirname(cli.bin);
  link(setting, cli.bin);
  link(setting, path.join(folder, "pulumi-language-nodejs"));
  report.push(
    `pulumi ${cli.version}: ${folder}${cli.ordinaryHome === undefined ? "" : " (ordinary installation)"}`,
  );
  const plugins = await ensurePlugins(setting, cli);
  report.push(...plugins.report);
  if (plugins.home !== cli.ordinaryHome) keepNoLogs(plugins.home);
  const compiled = setting.env.NODE_COMPILE_CACHE;
  return { bin: cli.bin, home: plugins.home, path: [folder, ...ownNode(setting)].join(":"), compiled };
}

/** The folder of a Node.js that was fetched into the cache, which the language host needs on PATH. */
function ownNode(setting: Setting): string[] {
  const node = onPath("node", setting.env.PATH ?? "")[0];
  return node?.startsWith(path.join(setting.cache, "tools/")) ? [path.dirname(node)] : [];
}

function link(setting: Setting, program: string): string {
  pointTo(path.join(setting.cache, "bin", path.basename(program)), program);
  return program;
}

async function attempt<T>(problems: string[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}
