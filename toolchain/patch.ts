/**
 * Small changes to the source of a Go module, which stays as it is where Go keeps it: a changed copy of it is built.
 * (`go build -overlay` would take single files, but none of those that Go keeps itself.)
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Module } from "./recipes";
import { lastWords, run, ToolError } from "./run";

/** One place of one file: what stands there, and what is to. Both are whole lines. */
export interface Change {
  /** Path in the module. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** Reads a unified diff with `a/` and `b/` in front of its paths. Text above the first file is the reader's. */
export function readPatch(text: string): Change[] {
  const changes: Change[] = [];
  for (const part of text.split(/^--- /m).slice(1)) {
    const file = /^\+\+\+ b\/(\S+)$/m.exec(part)?.[1];
    if (file === undefined)
      throw new ToolError(`a patch names no file in "--- ${part.split("\n")[0] ?? ""}"`);
    for (const hunk of part.split(/^@@ .*\n/m).slice(1)) {
      const lines = hunk.split("\n").slice(0, -1);
      const without = (sign: string): string =>
        lines
          .filter((line) => !line.startsWith(sign))
          .map((line) => `${line.slice(1)}\n`)
          .join("");
      changes.push({ file, before: without("+"), after: without("-") });
    }
  }
  return changes;
}

/** The text with one change in it. @throws ToolError where what is to be changed is not there, or more than once */
export function applyChange(text: string, { file, before, after }: Change): string {
  const [above, below, ...more] = `\n${text}`.split(`\n${before}`);
  if (above === undefined || below === undefined || more.length > 0) {
    throw new ToolError(
      `${file} is not the source that its patch was made for: look whether the new version still needs it`,
    );
  }
  return `${above}\n${after}${below}`.slice(1);
}

interface PatchArgs {
  readonly go: string;
  readonly env: NodeJS.ProcessEnv;
  readonly module: Module;
  /** Where the changed copy goes. */
  readonly folder: string;
}

/** Makes a changed copy of a module. Gives back the file for `go build -modfile` that names it, if there is any change. */
export async function patchedSource({ go, env, module, folder }: PatchArgs): Promise<string | undefined> {
  if (module.patches.length === 0) return undefined;
  const copy = path.join(folder, "source");
  copyTree(await sourceOf(go, env, module), copy);
  for (const change of module.patches.flatMap((file) => readPatch(fs.readFileSync(file, "utf8")))) {
    const file = path.join(copy, change.file);
    fs.writeFileSync(file, applyChange(fs.readFileSync(file, "utf8"), change));
  }
  const modules = fs.readFileSync(path.join(module.folder, "go.mod"), "utf8");
  const modFile = path.join(folder, "go.mod");
  fs.writeFileSync(modFile, `${modules}\nreplace ${module.module} => ${JSON.stringify(copy)}\n`);
  fs.copyFileSync(path.join(module.folder, "go.sum"), path.join(folder, "go.sum"));
  return modFile;
}

/** Go keeps sources read-only, folders too; their copies can be changed, and removed. */
function copyTree(from: string, to: string): void {
  fs.mkdirSync(to, { recursive: true });
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target);
    else {
      fs.copyFileSync(source, target);
      fs.chmodSync(target, 0o644);
    }
  }
}

/** The folder where Go keeps the module's source, which it fetches and checks against go.sum where it has to. */
async function sourceOf(go: string, env: NodeJS.ProcessEnv, module: Module): Promise<string> {
  const done = await run(go, ["mod", "download", "-json", module.module], { cwd: module.folder, env });
  const folder = /^\s*"Dir": "(.+)",?$/m.exec(done.stdout)?.[1];
  if (done.code === 0 && folder !== undefined) return folder;
  throw new ToolError(`the source of ${module.module} cannot be fetched: ${lastWords(done.output)}`);
}
