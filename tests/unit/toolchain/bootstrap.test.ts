import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CHECKOUT, World } from "./world";

let world: World;
beforeEach(() => {
  world = new World();
  for (const file of ["bootstrap.sh", "packages.txt", "versions.json"]) {
    fs.copyFileSync(path.join(CHECKOUT, "toolchain", file), world.write(`toolchain/${file}`, ""));
  }
  fs.chmodSync(path.join(world.checkout, "toolchain/bootstrap.sh"), 0o755);
  world.write("package.json", `{\n  "engines": {\n    "node": ">=22"\n  }\n}\n`);
  world.write("package-lock.json", "1");
  world.write("render/package.json", "{}");
  world.write("render/tsconfig.json", "{}");
  world.write("render/src/index.ts", "");
  world.go("1.19.8");
  machine({ packages: PACKAGES, node: 22 });
});
afterEach(() => world.remove());

const PACKAGES = fs
  .readFileSync(path.join(CHECKOUT, "toolchain/packages.txt"), "utf8")
  .split("\n")
  .filter((line) => /^[a-z]/.test(line));

/** What the machine has: its packages, and the major version of Node.js with an npm that notes what it is asked. */
function machine(has: { packages: readonly string[]; node?: number; npmFails?: boolean }): void {
  const program = (name: string) => path.join(world.bin, name);
  const calls = path.join(world.root, "calls");
  world.script(program("dpkg-query"), has.packages.map((name) => `echo "installed ${name}"`).join("\n"));
  for (const name of ["apt-get", "dpkg"]) world.script(program(name), `echo "${name} $@" >>${calls}`);
  world.script(program("id"), "echo 0");
  world.script(program("node"), `echo ${has.node ?? 18}`);
  world.script(
    program("npm"),
    `echo "npm $@" >>${calls}
    ${has.npmFails ? "echo 'npm error: out of reach' >&2; exit 1" : ""}
    case "$1" in
    config) echo ${path.join(world.root, "npmrc")} ;;
    pack) mkdir -p package/bin; touch package/bin/node package/bin/npm-cli.js package/bin/npx-cli.js
      name=$(echo "$3" | tr @ -); tar -czf "$name.tgz" package; rm -r package ;;
    esac`,
  );
}

function bootstrap(...command: string[]): {
  code: number | null;
  said: string;
  printed: string;
  calls: string[];
} {
  const calls = path.join(world.root, "calls");
  fs.rmSync(calls, { force: true });
  const env = { ...world.env, MOORAGE_CACHE: world.cache };
  const done = spawnSync(path.join(world.checkout, "toolchain/bootstrap.sh"), command, {
    env,
    encoding: "utf8",
  });
  return {
    code: done.status,
    said: done.stderr,
    printed: done.stdout,
    calls: fs.existsSync(calls) ? fs.readFileSync(calls, "utf8").trim().split("\n") : [],
  };
}

const NPM_CI = ["npm ci --ignore-scripts --no-audit --no-fund", "npm run prepare"];

describe("bootstrap", () => {
  it("installs node_modules once, and again when the lock file changes", () => {
    expect(bootstrap().calls).toEqual(NPM_CI);
    const again = bootstrap();
    expect(again).toEqual({ code: 0, said: "", printed: "", calls: [] });
    world.write("package-lock.json", "2");
    expect(bootstrap().calls).toEqual(NPM_CI);
  });

  it("compiles the workspaces when a source is newer", () => {
    bootstrap();
    const source = world.write("render/src/index.ts", "new");
    const later = new Date(Date.now() + 5000);
    fs.utimesSync(source, later, later);
    expect(bootstrap().calls).toEqual(["npm run prepare"]);
  });

  it("tries again after a failure, and says what failed with its last lines", () => {
    machine({ packages: PACKAGES, node: 22, npmFails: true });
    const { code, said } = bootstrap();
    expect(code).toBe(1);
    expect(said).toContain("npm error: out of reach");
    expect(said).toContain("node_modules: npm ci: failed after");
    machine({ packages: PACKAGES, node: 22 });
    expect(bootstrap().calls).toEqual(NPM_CI);
  });

  it("asks apt for what is missing and nothing else, and for no Go or npm where there is one", () => {
    machine({ packages: PACKAGES.filter((name) => name !== "socat" && name !== "xfsprogs"), node: 22 });
    const { calls, said } = bootstrap();
    expect(calls[0]).toBe("dpkg --configure -a");
    expect(calls[1]).toBe("apt-get -q update");
    expect(calls[2]).toMatch(/ install --no-install-recommends socat xfsprogs$/);
    expect(said).toContain("packages: missing are socat xfsprogs");
  });

  it("asks apt for the packages of the command at hand as well", () => {
    world.env.MOORAGE_PACKAGES = "qemu-system-x86";
    expect(bootstrap().calls[2]).toMatch(/ install --no-install-recommends qemu-system-x86$/);
  });

  it("refuses a Node.js whose archive has another sum", () => {
    machine({ packages: PACKAGES, node: 18 });
    const { code, said } = bootstrap();
    expect(code).toBe(1);
    expect(said).toContain("FAILED");
    expect(said).toMatch(/Node\.js 22\.\d+\.\d+: fetching it with npm: failed/);
    expect(fs.readdirSync(path.join(world.cache, "tools")).filter((name) => !name.endsWith(".tmp"))).toEqual(
      [],
    );
  });

  it("puts a fetched Node.js in front of an old one, and runs the command with it", () => {
    machine({ packages: PACKAGES, node: 18 });
    const version = /"node.version": "(.*)"/.exec(
      fs.readFileSync(path.join(CHECKOUT, "toolchain/versions.json"), "utf8"),
    )?.[1];
    const own = path.join(world.cache, `tools/node-${version}/bin`);
    world.script(path.join(own, "node"), "echo 22");
    world.script(path.join(own, "npm"), "true");
    expect(bootstrap("sh", "-c", "command -v node").printed).toBe(`${own}/node\n`);
  });

  it("has a fetched npm read the machine's own settings", () => {
    machine({ packages: PACKAGES, node: 18 });
    const sums = 'case "$1" in --check) cat >/dev/null ;; *) exec /usr/bin/sha256sum "$@" ;; esac';
    world.script(path.join(world.bin, "sha256sum"), sums);
    expect(bootstrap()).toMatchObject({ code: 0 });
    const [fetched = ""] = fs.readdirSync(path.join(world.cache, "tools"));
    const settings = path.join(world.cache, "tools", fetched, "etc/npmrc");
    expect(fs.readlinkSync(settings)).toBe(path.join(world.root, "npmrc"));
  });

  it("reads its pins from versions.json", () => {
    const text = fs.readFileSync(path.join(CHECKOUT, "toolchain/versions.json"), "utf8");
    for (const name of ["node", "npm"]) {
      expect(text).toMatch(new RegExp(`^  "${name}\\.version": "\\d+\\.\\d+\\.\\d+",$`, "m"));
      expect(text).toMatch(new RegExp(`^  "${name}\\.sha256": "[0-9a-f]{64}",$`, "m"));
    }
  });
});
