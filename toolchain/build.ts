import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { madeOnce } from "./cache";
import { cutOut, type Cuts } from "./cuts";
import { downloadModule, findGo, goEnvironment } from "./go";
import { readModule, type Module, type Program, type Recipe } from "./recipes";
import { lastWords, run, secondsSince, ToolError } from "./run";
import type { Setting } from "./setting";

/** What lets dynamic providers run, from the npm package `@pulumi/pulumi`: it has to stand beside the CLI. */
export const DYNAMIC_PROVIDER_SCRIPT = "pulumi-resource-pulumi-nodejs";

/** What a program's Go module in `toolchain/go/` consists of. */
const MODULE_FILES = ["go.mod", "go.sum", "tools.go"];

/** How often a build that takes long says that it is still at it. */
const STILL_AT_IT_MS = 60_000;

/** The folder with the programs of a recipe, built if it is not there yet. */
export async function ensureBuilt(setting: Setting, recipe: Recipe): Promise<string> {
  const target = builtFolder(setting, recipe);
  const title = `${recipe.name} ${titleVersion(setting, recipe)}`;
  return madeOnce(target, title, setting.log, async (temporary) => {
    const start = Date.now();
    setting.log(`${title}: building it from the Go module proxy, about ${recipe.about}`);
    const timer = setInterval(
      () => setting.log(`${title}: still building, ${secondsSince(start)}`),
      STILL_AT_IT_MS,
    );
    try {
      for (const program of recipe.programs)
        await build(setting, program, path.join(temporary, program.name));
      for (const file of companions(setting, recipe)) {
        const copy = path.join(temporary, path.basename(file));
        fs.copyFileSync(file, copy);
        fs.chmodSync(copy, 0o755);
      }
    } finally {
      clearInterval(timer);
    }
    setting.log(`${title}: built in ${secondsSince(start)}`);
  });
}

/** Where a recipe's programs are kept: the name tells everything that goes into them. */
export function builtFolder(setting: Setting, recipe: Recipe): string {
  const hash = createHash("sha256");
  for (const program of recipe.programs) {
    const { folder } = readModule(setting.checkout, program.name);
    hash.update(JSON.stringify(program));
    for (const file of MODULE_FILES) hash.update(fs.readFileSync(path.join(folder, file)));
  }
  for (const file of companions(setting, recipe)) hash.update(fs.readFileSync(file));
  const key = hash.digest("hex").slice(0, 12);
  return path.join(setting.cache, "tools", `${recipe.name}-${titleVersion(setting, recipe)}-${key}`);
}

function titleVersion(setting: Setting, recipe: Recipe): string {
  return readModule(setting.checkout, recipe.programs[0].name).version.replace(/^v/, "");
}

function companions(setting: Setting, recipe: Recipe): string[] {
  if (recipe.name !== "pulumi") return [];
  const script = path.join(setting.checkout, "node_modules/@pulumi/pulumi", DYNAMIC_PROVIDER_SCRIPT);
  if (fs.existsSync(script)) return [script];
  throw new ToolError(`${script} is missing: run npm ci in ${setting.checkout}`);
}

/** Builds one program; its module's go.sum holds the sums of all sources, so that none is taken on trust. */
async function build(setting: Setting, program: Program, output: string): Promise<void> {
  const module = readModule(setting.checkout, program.name);
  const go = await findGo(setting, module.goVersion);
  const sources = `${output}.sources`;
  const cwd = program.cuts ? await cutModule(setting, go, module, program.cuts, sources) : module.folder;
  const linker = ["-s", "-w"];
  if (program.versionVariable !== undefined)
    linker.push("-X", `${program.versionVariable}=${module.version}`);
  const args = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", linker.join(" ")];
  // The linker leaves debuggers' tables out: compiled without them, a tenth of the work is saved.
  args.push("-gcflags", "all=-dwarf=false");
  if (program.tags !== undefined) args.push("-tags", program.tags);
  const done = await run(go, [...args, "-o", output, module.package], {
    cwd,
    env: goEnvironment(setting, { CGO_ENABLED: "0", GOFLAGS: "" }),
  });
  const record = path.join(setting.cache, "logs", `build-${program.name}.log`);
  fs.mkdirSync(path.dirname(record), { recursive: true });
  fs.writeFileSync(record, done.output);
  fs.rmSync(sources, { recursive: true, force: true });
  if (done.code === 0) return;
  throw new ToolError(
    `${program.name} cannot be built (${record}): ${lastWords(done.output)}. ` +
      "It is built from the Go module proxy: see that `go env GOPROXY` names one this machine reaches, and that the disk has 4 GB free",
  );
}

/** Copies a program's Go module with the module of its package, and takes the cuts out; Go's `-overlay` refuses files of its cache. */
async function cutModule(
  setting: Setting,
  go: string,
  module: Module,
  cuts: Cuts,
  folder: string,
): Promise<string> {
  const downloaded = await downloadModule(setting, go, module);
  fs.mkdirSync(folder);
  for (const file of MODULE_FILES) fs.copyFileSync(path.join(module.folder, file), path.join(folder, file));
  const copied = path.join(folder, "copied");
  // Go's cache is read-only.
  const done = await run("cp", ["-r", "--no-preserve=mode", downloaded, copied], { env: setting.env });
  if (done.code !== 0) throw new ToolError(`${downloaded} cannot be copied: ${lastWords(done.output)}`);
  cutOut(copied, cuts);
  fs.appendFileSync(path.join(folder, "go.mod"), `\nreplace ${module.path} => ./copied\n`);
  return folder;
}
