import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { madeOnce } from "./cache";
import { lastWords, run, ToolError } from "./run";
import type { Setting } from "./setting";

/** The program that reads NetworkManager's keyfiles, and the environment that it runs in. */
export interface Nmcli {
  readonly bin: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Milliseconds for a few megabytes, less than a test may take. */
const timeoutMs = 40_000;

/**
 * Unpacks it from Debian's packages, once, or says why there is none here. An installed package would start its daemon,
 * which takes the machine's interfaces over.
 */
export async function ensureNmcli(setting: Setting): Promise<Nmcli | { readonly missing: string }> {
  try {
    const system = createHash("sha256").update(fs.readFileSync("/etc/os-release")).digest("hex");
    const home = path.join(setting.cache, "tools", `nmcli-${system.slice(0, 12)}`);
    await madeOnce(home, "nmcli", setting.log, (folder) => unpack(folder, setting));
    return programIn(home, setting);
  } catch (error) {
    if (error instanceof ToolError) return { missing: error.message };
    throw error;
  }
}

function programIn(folder: string, { env }: Setting): Nmcli {
  const libraries = ["usr/lib", "lib"].map((lib) => path.join(folder, lib, "x86_64-linux-gnu"));
  return {
    bin: path.join(folder, "usr/bin/nmcli"),
    env: { ...env, LC_ALL: "C", LD_LIBRARY_PATH: libraries.join(":") },
  };
}

/** Takes no root, and installs nothing. */
async function unpack(folder: string, setting: Setting): Promise<void> {
  const must = mustIn(folder);
  const env = { ...setting.env, LC_ALL: "C" };
  // What nmcli needs besides is on every machine that has toolchain/packages.txt.
  const install = ["--simulate", "--no-install-recommends", "install", "libnm0"];
  const planned = await must("apt-get", ["-qq", ...install], env);
  const lacking = [...planned.matchAll(/^Inst (\S+)/gm)].map(([, name = ""]) => name);
  const packages = new Set(["network-manager", "libnm0", ...lacking]);
  await must("apt-get", ["-qq", "download", ...packages], env);
  for (const archive of fs.readdirSync(folder)) {
    await must("dpkg-deb", ["--extract", archive, "."], env);
    fs.rmSync(path.join(folder, archive));
  }
  // What does not run here, or is older than --offline, is not kept.
  const nmcli = programIn(folder, setting);
  await must(nmcli.bin, ["--offline", "connection", "add", "type", "ethernet", "ifname", "eth0"], nmcli.env);
}

function mustIn(cwd: string) {
  return async (command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> => {
    const done = await run(command, args, { env, cwd, timeoutMs });
    if (done.code === 0) return done.stdout;
    const said = done.timedOut ? `no end after ${timeoutMs / 1000} s` : lastWords(done.output, 1);
    throw new ToolError(`${[path.basename(command), ...args].join(" ")}: ${said}`);
  };
}
