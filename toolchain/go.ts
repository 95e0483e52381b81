import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { madeOnce } from "./cache";
import { compareVersions, lastWords, onPath, run, secondsSince, ToolError } from "./run";
import type { Setting } from "./setting";

/** What `go mod download -json` says of a module. */
interface Downloaded {
  readonly Dir?: string;
  readonly Sum?: string;
  readonly Error?: string;
}

/**
 * A Go that is new enough: the machine's own, or one fetched through the Go module proxy, as the
 * module `golang.org/toolchain`, by whatever older Go there is.
 */
export async function findGo(setting: Setting, minimum: string): Promise<string> {
  const fetched = fetchedGoFolder(setting);
  const program = path.join(fetched, "bin/go");
  if (fs.existsSync(program)) return program;
  const own = ownGo(setting);
  for (const go of own) {
    if (compareVersions(await goVersion(setting, go), minimum) >= 0) return go;
  }
  const old = own[0];
  if (old === undefined) {
    throw new ToolError(
      "Go is missing: install any version from 1.19 on (Debian: apt-get install golang-go); a newer one is fetched with it",
    );
  }
  await madeOnce(fetched, `go ${setting.pins.go.version}`, setting.log, (folder) =>
    fetchGo(setting, old, folder),
  );
  return program;
}

/** What the machine has of Go, where it is looked for first to last; distributions and Go's own archive put it beside the path. */
export const ownGo = ({ env }: Pick<Setting, "env">): string[] =>
  onPath("go", `${env.PATH ?? ""}:/usr/local/go/bin:/usr/lib/go/bin`);

/** The environment a Go program is run in: the user's own settings, but no switch of toolchains and no workspace. */
export function goEnvironment(setting: Setting, more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...setting.env, GOTOOLCHAIN: "local", GOWORK: "off", GO111MODULE: "on", ...more };
}

function fetchedGoFolder(setting: Setting): string {
  const { version, sum } = setting.pins.go;
  const key = createHash("sha256").update(sum).digest("hex").slice(0, 12);
  return path.join(setting.cache, "tools", `go-${version}-${key}`);
}

async function goVersion(setting: Setting, go: string): Promise<string> {
  const done = await run(go, ["env", "GOVERSION"], { env: goEnvironment(setting, {}), cwd: "/" });
  return done.code === 0 ? done.stdout.trim() : "0";
}

async function fetchGo(setting: Setting, oldGo: string, folder: string): Promise<void> {
  const start = Date.now();
  const { version, sum } = setting.pins.go;
  const module = `golang.org/toolchain@v0.0.1-go${version}.linux-amd64`;
  setting.log(`go ${version}: fetching it through the Go module proxy`);
  const done = await run(oldGo, ["mod", "download", "-json", module], {
    cwd: folder,
    // The sum pinned here is checked instead of the one a sum database would give.
    env: goEnvironment(setting, {
      GOMODCACHE: path.join(folder, "modules"),
      GONOSUMDB: "golang.org/toolchain",
      GOFLAGS: "-modcacherw",
    }),
  });
  const said = parse(done.stdout);
  if (done.code !== 0 || said.Dir === undefined) {
    throw new ToolError(
      `go ${version} cannot be fetched through the Go module proxy (see go env GOPROXY): ${said.Error ?? lastWords(done.output)}`,
    );
  }
  if (said.Sum !== sum) {
    throw new ToolError(
      `go ${version}: the module's sum is ${said.Sum ?? "missing"}, pinned is ${sum}; it is not used`,
    );
  }
  for (const entry of fs.readdirSync(said.Dir)) {
    fs.renameSync(path.join(said.Dir, entry), path.join(folder, entry));
  }
  fs.rmSync(path.join(folder, "modules"), { recursive: true });
  // Files in a module carry no execute bits.
  makeExecutable(path.join(folder, "bin"));
  makeExecutable(path.join(folder, "pkg/tool/linux_amd64"));
  setting.log(`go ${version}: fetched in ${secondsSince(start)}`);
}

/** Where Go keeps the module that a go.mod requires, downloaded if need be and held to the go.sum beside it. */
export async function downloadModule(
  setting: Setting,
  go: string,
  { folder, path: name }: { readonly folder: string; readonly path: string },
): Promise<string> {
  const env = goEnvironment(setting, { GOFLAGS: "" });
  const done = await run(go, ["mod", "download", "-json", name], { cwd: folder, env });
  const said = parse(done.stdout);
  if (done.code === 0 && said.Dir !== undefined) return said.Dir;
  throw new ToolError(`${name} cannot be downloaded: ${said.Error ?? lastWords(done.output)}`);
}

function parse(stdout: string): Downloaded {
  try {
    return JSON.parse(stdout) as Downloaded;
  } catch {
    return {};
  }
}

function makeExecutable(folder: string): void {
  for (const entry of fs.readdirSync(folder)) fs.chmodSync(path.join(folder, entry), 0o755);
}
