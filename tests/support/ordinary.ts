import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { must, run } from "../../lab/exec";
import { imagesIn } from "../../lab/journey/journey";
import { pulumiEnvironment, type Tools } from "../../toolchain";
import { copyOfFiles } from "./clone";
import type { Ran } from "./testLab";
import { until } from "./waiting";

/**
 * The repository of a user with Pulumi and hosts: a copy after `npm install`, a backend, a passphrase, and an SSH agent with
 * the user's key. It has no other part of this process's environment.
 */
export class OrdinaryCheckout {
  private constructor(
    readonly folder: string,
    private readonly env: Readonly<Record<string, string>>,
    private readonly agent: ChildProcess,
  ) {}

  static async make(tools: Tools, key: string): Promise<OrdinaryCheckout> {
    const folder = await copyOfFiles();
    const backend = path.join(folder, ".backend");
    const socket = path.join(folder, ".agent");
    const { PATH = "", PULUMI_HOME = "" } = pulumiEnvironment(tools, {});
    const env = {
      PATH,
      PULUMI_HOME,
      HOME: process.env.HOME ?? "/root",
      // The copy lies there.
      TMPDIR: os.tmpdir(),
      PULUMI_BACKEND_URL: `file://${backend}`,
      MOORAGE_STAND_INS_FOR: `file://${backend}`,
      PULUMI_CONFIG_PASSPHRASE: randomBytes(18).toString("base64url"),
      SSH_AUTH_SOCK: socket,
    };
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    const made = new OrdinaryCheckout(folder, env, agent);
    try {
      fs.mkdirSync(backend);
      await until("the SSH agent listens", () => fs.accessSync(socket), { everyMs: 20 });
      await must("ssh-add", ["-q", key], { env });
      await must("npm", ["install", "--no-audit", "--no-fund"], { cwd: folder, env: { PATH, PULUMI_HOME } });
      await imagesIn(folder, tools);
      return made;
    } catch (error) {
      made.remove();
      throw error;
    }
  }

  /** Runs `pulumi` to its end. */
  async pulumi(...args: string[]): Promise<Ran> {
    const bare = ["-i", ...Object.entries(this.env).map(([name, value]) => `${name}=${value}`)];
    const plain = ["--non-interactive", "--color", "never"];
    const done = await run("env", [...bare, "pulumi", ...args, ...plain], {
      cwd: this.folder,
      timeoutMs: 500_000,
    });
    return { code: done.code, output: done.stdout + done.stderr };
  }

  /** Updates or destroys the stack. */
  change(verb: "up" | "destroy", ...options: readonly string[]): Promise<Ran> {
    return this.pulumi(verb, "--yes", "--skip-preview", "--suppress-outputs", ...options);
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { code, output } = await this.pulumi("stack", "output", "--json", "--show-secrets");
    if (code !== 0) throw new Error(output);
    return JSON.parse(output) as Record<string, unknown>;
  }

  remove(): void {
    this.agent.kill();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
