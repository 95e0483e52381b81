import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import { balancerHealthPath, renderS3Balancer, type S3BalancerArgs } from "@moorage/render";
import { until } from "../../../support/waiting";
import { freePort } from "./ports";
import { program } from "./root";

export interface Balanced {
  readonly status: number;
  /** Name of the member that answered. */
  readonly from: string;
  readonly body: string;
}

/** A real HAProxy on loopback with the rendered configuration, on a port from the kernel. */
export class Balancer {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-balancer-"));
  private child: ChildProcess | undefined;

  /** The same after each start; from the kernel before the first. */
  port = 0;

  /** @param instead texts of the configuration, and what replaces them */
  constructor(
    private readonly args: Omit<S3BalancerArgs, "listenPort">,
    private readonly instead: Readonly<Record<string, string>> = {},
  ) {}

  private get log(): string {
    return fs.readFileSync(path.join(this.folder, "log"), "utf8");
  }

  private writeConfiguration(): void {
    let text = renderS3Balancer({ ...this.args, listenPort: this.port });
    for (const [before, after] of Object.entries(this.instead)) {
      if (!text.includes(before)) throw new Error(`there is no ${before} in haproxy.cfg`);
      text = text.replaceAll(before, after);
    }
    fs.writeFileSync(this.config, text);
  }

  async start(): Promise<this> {
    const isFirst = this.port === 0;
    for (let tries = 1; ; tries++) {
      if (isFirst) this.port = await freePort("0.0.0.0");
      this.writeConfiguration();
      if (await this.begin()) return this;
      // Meanwhile a client's connection may have got that port.
      if (!isFirst || tries === 5 || !this.log.includes("Address already in use"))
        throw new Error(`HAProxy ended:\n${this.log}`);
    }
  }

  /** Whether it answers: it may have ended. */
  private begin(): Promise<boolean> {
    const [command = "", ...rest] = [...program("usr/sbin/haproxy"), "-f", this.config];
    execFileSync(command, [...rest, "-c"], { stdio: "pipe" });
    const log = fs.openSync(path.join(this.folder, "log"), "a");
    // Of all signals a frozen one takes this alone, should the tests be interrupted.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", command, ...rest, "-db"], {
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    this.child = child;
    const answers = async (): Promise<boolean> => {
      if (child.exitCode !== null) return false;
      const { status } = await this.ask(balancerHealthPath);
      if (status !== 200) throw new Error(`its health is ${status}:\n${this.log}`);
      return true;
    };
    return until("HAProxy answers", answers, { everyMs: 20 });
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

  /** @param timeout in milliseconds. @default none */
  ask(
    target: string,
    headers: Record<string, string> = {},
    method = "GET",
    body?: Buffer,
    timeout = 0,
  ): Promise<Balanced> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: "127.0.0.1", port: this.port, path: target, method, headers, agent: false, timeout },
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
      request.on("timeout", () => request.destroy(new Error("no answer in time"))).on("error", reject);
      request.end(body);
    });
  }

  private get config(): string {
    return path.join(this.folder, "haproxy.cfg");
  }
}
