import * as fs from "node:fs";
import * as path from "node:path";
import { ToolError } from "./run";

/** A provider plugin this project needs, in exactly this version. */
export interface PluginPin {
  readonly name: string;
  readonly version: string;
}

/** What is pinned, and how archives and downloads are told from others. */
export interface Pins {
  /** The version of the CLI, which is that of the npm package `@pulumi/pulumi`. */
  readonly pulumi: string;
  /** The provider plugins: one for each other `@pulumi/…` package. */
  readonly plugins: readonly PluginPin[];
  /** The Go that is fetched where the machine's own is missing or too old. */
  readonly go: { readonly version: string; readonly sum: string };
  /** SHA-256 sums of the archives by file name. */
  readonly archives: Readonly<Record<string, string>>;
}

interface PackageJson {
  readonly dependencies: Readonly<Record<string, string>>;
}

interface VersionsJson {
  readonly "go.version": string;
  readonly "go.sum": string;
  readonly archives: Readonly<Record<string, string>>;
}

/** Reads the pins: npm's stand in `package.json` and nowhere else, the others in `toolchain/versions.json`. */
export function loadPins(checkout: string): Pins {
  const { dependencies } = readJson<PackageJson>(path.join(checkout, "package.json"));
  const versions = readJson<VersionsJson>(path.join(checkout, "toolchain/versions.json"));
  return {
    pulumi: exact("@pulumi/pulumi", dependencies["@pulumi/pulumi"]),
    plugins: Object.entries(dependencies)
      .filter(([name]) => name.startsWith("@pulumi/") && name !== "@pulumi/pulumi")
      .map(([name, version]) => ({ name: name.slice("@pulumi/".length), version: exact(name, version) })),
    go: { version: versions["go.version"], sum: versions["go.sum"] },
    archives: versions.archives,
  };
}

/** The file name of a plugin's archive, in Pulumi's own form. */
export function archiveName(plugin: PluginPin): string {
  return `pulumi-resource-${plugin.name}-v${plugin.version}-linux-amd64.tar.gz`;
}

function exact(name: string, version: string | undefined): string {
  if (version !== undefined && /^\d+\.\d+\.\d+$/.test(version)) return version;
  throw new ToolError(`package.json: ${name} must be pinned to one version, found ${version ?? "nothing"}`);
}

function readJson<T>(file: string): T {
  return JSON.parse(fs.readFileSync(file, "utf8")) as T;
}
