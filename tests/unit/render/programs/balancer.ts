import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { balancerHealthPath, renderS3Balancer, type S3BalancerArgs } from "@moorage/render";
import { expectFree } from "./ports";
import { program } from "./root";

export interface Balanced {
  readonly status: number;
  /** Name of the member that answered. */
  readonly from: string;
  readonly body: string;
}

const START_MS = 20_000;

/** A real HAProxy on loopback with the rendered configuration. */
export class Balancer {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-balancer-"));
  private child: ChildProcess | undefined;

  constructor(
    readonly port: number,
    args: Omit<S3BalancerArgs, "listenPort">,
  ) {
    fs.writeFileSync(this.config, renderS3Balancer({ ...args, listenPort: port }));
  }

  private get log(): string {
    return fs.readFileSync(path.join(this.folder, "log"), "utf8");
  }

  async start(): Promise<this> {
    const [command = "", ...rest] = [...program("usr/sbin/haproxy"), "-f", this.config];
    execFileSync(command, [...rest, "-c"], { stdio: "pipe" });
    await expectFree(this.port);
    const log = fs.openSync(path.join(this.folder, "log"), "a");
    // Of all signals a frozen one takes this alone, should the tests be interrupted.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", command, ...rest, "-db"], {
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    this.child = child;
    for (const end = Date.now() + START_MS; Date.now() < end; await sleep(10)) {
      if (child.exitCode !== null) throw new Error(`HAProxy ended:\n${this.log}`);
      const answered = this.ask(balancerHealthPath).catch(() => undefined);
      if ((await Promise.race([answered, sleep(1000)]))?.status === 200) return this;
    }
    throw new Error(`HAProxy does not answer:\n${this.log}`);
  }

  /** Its kernel still takes connections, and nobody answers them. */
  freeze(on: boolean): void {
    this.child?.kill(on ? "SIGSTOP" : "SIGCONT");
  }

  async stop(): Promise<void> {
    const child = this.child;
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      await ended;
    }
    this.child = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.folder, { recursive: true });
  }

  ask(
    target: string,
    headers: Record<string, string> = {},
    method = "GET",
    body?: Buffer,
  ): Promise<Balanced> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: "127.0.0.1", port: this.port, path: target, method, headers, agent: false },
        (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString()));
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              from: String(response.headers["x-upstream"]),
              body: text,
            }),
          );
          response.on("error", reject);
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  }

  private get config(): string {
    return path.join(this.folder, "haproxy.cfg");
  }
}
