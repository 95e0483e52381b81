import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Setting } from "../../../toolchain/setting";
import type { Pins } from "../../../toolchain/versions";

export const CHECKOUT = path.join(__dirname, "../../..");

/** Pins of a pretend project: two plugins, and the sum of an archive that holds the word "archive". */
export const PINS: Pins = {
  pulumi: "3.259.0",
  plugins: [
    { name: "random", version: "4.21.1" },
    { name: "tls", version: "5.5.1" },
  ],
  go: { version: "1.26.8", sum: "h1:right" },
  archives: {},
};

/** A machine made of folders: its own PATH, home, cache and checkout, and scripts in place of programs. */
export class World {
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), "toolchain-"));
  readonly bin = path.join(this.root, "bin");
  readonly home = path.join(this.root, "home");
  readonly cache = path.join(this.root, "cache");
  readonly checkout = path.join(this.root, "project/checkout");
  readonly lines: string[] = [];
  pins: Pins = PINS;
  env: Record<string, string> = {};

  constructor() {
    for (const folder of [this.bin, this.home, this.cache, this.checkout])
      fs.mkdirSync(folder, { recursive: true });
    this.env = { PATH: `${this.bin}:/usr/bin:/bin`, HOME: this.home };
    for (const module of ["minio", "mc", "registry", "pulumi", "pulumi-language-nodejs"]) this.module(module);
    this.write("node_modules/@pulumi/pulumi/pulumi-resource-pulumi-nodejs", "#!/bin/sh\n");
  }

  /** The setting the tools under test are given. */
  get setting(): Setting {
    const { checkout, cache, home, env, pins } = this;
    return { checkout, cache, home, env, pins, log: (line) => this.lines.push(line) };
  }

  /** Writes a file of the checkout. */
  write(file: string, content: string): string {
    const target = path.join(this.checkout, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, content);
    return target;
  }

  /** Puts a shell script where a program is expected. */
  script(file: string, body: string): string {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return file;
  }

  /** A `go` of some version that notes each build and writes what looks like a program. */
  go(version: string, file = path.join(this.bin, "go")): string {
    return this.script(
      file,
      `case "$1" in
      env) echo go${version} ;;
      build)
        echo "$@" >>"${this.root}/builds"
        [ -z "$GO_FAILS" ] || { echo "dial tcp: no such host" >&2; exit 1; }
        [ -z "$GO_SLEEPS" ] || sleep "$GO_SLEEPS"
        while [ $# -gt 1 ]; do [ "$1" = -o ] && printf '#!/bin/sh\\n' >"$2" && chmod 755 "$2"; shift; done ;;
      mod)
        dir=$GOMODCACHE/go; mkdir -p "$dir/bin" "$dir/pkg/tool/linux_amd64"
        printf '#!/bin/sh\\necho go1.26.8\\n' >"$dir/bin/go"
        echo "{\\"Dir\\": \\"$dir\\", \\"Sum\\": \\"\${GO_SUM:-h1:right}\\"}" ;;
      esac`,
    );
  }

  /** The arguments of every `go build` so far. */
  builds(): string[] {
    const file = path.join(this.root, "builds");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
  }

  /** A CLI that tells a version and installs plugins from files; the download site answers for the names given. */
  pulumi(
    folder: string,
    version: string,
    options: { beside?: boolean; onSite?: readonly string[] } = {},
  ): string {
    if (options.beside !== false) {
      this.script(path.join(folder, "pulumi-language-nodejs"), "true");
      this.script(path.join(folder, "pulumi-resource-pulumi-nodejs"), "true");
    }
    return this.script(
      path.join(folder, "pulumi"),
      `[ "$1" = version ] && { echo v${version}; exit; }
      echo "$@" >>"${this.root}/installs"
      case "$6 ${(options.onSite ?? []).join(" ")} " in
      "--file "* | *" $4 "*)
        dir=$PULUMI_HOME/plugins/resource-$4-v$5
        [ "$6" != --file ] || [ -f "$7" ] || exit 1
        rm -f "$dir.partial"; mkdir -p "$dir"; printf '#!/bin/sh\\n' >"$dir/pulumi-resource-$4"; chmod 755 "$dir/pulumi-resource-$4" ;;
      *) echo "error: no such host" >&2; exit 255 ;;
      esac`,
    );
  }

  /** The arguments of every `pulumi plugin install` so far. */
  installs(): string[] {
    const file = path.join(this.root, "installs");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
  }

  /** Takes the machine away. */
  remove(): void {
    fs.rmSync(this.root, { recursive: true, force: true });
  }

  private module(name: string): void {
    this.write(
      `toolchain/go/${name}/go.mod`,
      `module x\n\ngo 1.26.0\n\nrequire example.org/made/${name} v1.2.3\n`,
    );
    this.write(`toolchain/go/${name}/go.sum`, "");
    this.write(`toolchain/go/${name}/tools.go`, `package tools\n\nimport _ "example.org/made/${name}/cmd"\n`);
  }
}
