import * as fs from "node:fs";
import * as path from "node:path";
import { PULUMI_CUTS, type Cuts } from "./cuts";
import { ToolError } from "./run";

/** One program built from the Go module of its own name in `toolchain/go/`. */
export interface Program {
  readonly name: string;
  readonly tags?: string;
  /** The variable that is set to the module's version. */
  readonly versionVariable?: string;
  /** What is left out of its package's module. */
  readonly cuts?: Cuts;
}

/** A folder of programs that are built, kept and replaced together. */
export interface Recipe {
  readonly name: "minio" | "mc" | "registry" | "pulumi";
  /** The first one gives the folder its version. */
  readonly programs: readonly [Program, ...Program[]];
  /** Roughly how long it takes on two cores, for the line of progress. */
  readonly about: string;
}

const PULUMI_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";

/**
 * What is built, in this order: a lab can prepare its images from the first three while the
 * CLI is still building. The language host's later versions are not on the module proxy; this
 * one serves the CLI and the SDK in use.
 */
export const RECIPES: readonly Recipe[] = [
  { name: "minio", programs: [{ name: "minio" }], about: "2 minutes" },
  { name: "mc", programs: [{ name: "mc" }], about: "half a minute" },
  {
    name: "registry",
    programs: [
      { name: "registry", versionVariable: "github.com/distribution/distribution/v3/version.version" },
    ],
    about: "1 minute",
  },
  {
    name: "pulumi",
    programs: [
      { name: "pulumi", tags: "osusergo,grpcnotrace", versionVariable: PULUMI_VERSION, cuts: PULUMI_CUTS },
      { name: "pulumi-language-nodejs", versionVariable: PULUMI_VERSION },
    ],
    about: "3 minutes",
  },
];

/** What a program's Go module pins. */
export interface Module {
  readonly folder: string;
  /** The package that is built. */
  readonly package: string;
  /** The module it comes from. */
  readonly path: string;
  /** That module's version, with its `v`. */
  readonly version: string;
  /** The oldest Go that can build it. */
  readonly goVersion: string;
}

/** Reads a program's Go module: the package from `tools.go`, its version and the oldest Go from `go.mod`. */
export function readModule(checkout: string, program: string): Module {
  const folder = path.join(checkout, "toolchain/go", program);
  const imported = /import _ "([^"]+)"/.exec(fs.readFileSync(path.join(folder, "tools.go"), "utf8"))?.[1];
  const goMod = fs.readFileSync(path.join(folder, "go.mod"), "utf8");
  const goVersion = /^go (\S+)$/m.exec(goMod)?.[1];
  const required = [...goMod.matchAll(/^\s*(?:require )?(\S+\.\S+\/\S+) (v\S+)$/gm)];
  const module = required.find(([, name]) => imported === name || imported?.startsWith(`${name}/`));
  if (imported === undefined || goVersion === undefined || module === undefined) {
    throw new ToolError(`${folder}: go.mod does not require the module of the package that tools.go imports`);
  }
  const [, name = "", version = ""] = module;
  return { folder, package: imported, path: name, version, goVersion };
}
