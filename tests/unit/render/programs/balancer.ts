import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import type { HaproxyArgs } from "@moorage/render";
import { until } from "../../../support/waiting";
import type { NameServer } from "./dns";
import { program } from "./root";
import { version, writeVersion } from "./sandbox";
import type { Upstream } from "./upstream";

export interface Balanced {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Name of the server that answered. */
  readonly from: string;
  readonly body: string;
}

export interface BalancerArgs {
  readonly names: NameServer;
  readonly registries: readonly Upstream[];
  readonly minio: readonly Upstream[];
  readonly ownMinio?: Upstream;
}

/** HAProxy checks and resolves more often than in production, and gives a server on a busy machine time to answer. */
export const quick = {
  "inter 1s fastinter 300ms downinter 1s": "inter 200ms fastinter 100ms downinter 200ms",
  "inter 2s fastinter 500ms downinter 1s": "inter 200ms fastinter 100ms downinter 200ms",
  "inter 6s fastinter 2s downinter 1s": "inter 200ms fastinter 100ms downinter 200ms",
  "timeout resolve 1s": "timeout resolve 200ms",
  "timeout retry 1s": "timeout retry 200ms",
  "hold valid 1s": "hold valid 200ms",
  "timeout check 2s": "timeout check 30s",
  "timeout check 12s": "timeout check 30s",
};

/** A real HAProxy with the rendered configuration, on sockets in a folder of its own. */
export class Balancer {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-balancer-"));
  private child: ChildProcess | undefined;

  /** @param instead texts of the configuration, and what replaces them */
  constructor(
    { names, registries, minio, ownMinio }: BalancerArgs,
    instead: Readonly<Record<string, string>>,
  ) {
    const nameOf = (upstream: Upstream): string => upstream.name;
    const haproxy: HaproxyArgs = {
      registries: registries.map(nameOf),
      minio: minio.map(nameOf),
      ownMinio: ownMinio?.name,
    };
    const args = { haproxy: { service: "haproxy", ...haproxy }, passwordGraceMinutes: 15 };
    const servers = (all: readonly Upstream[], port: number) =>
      all.map(({ name, port: its }) => [` ${name}:${port}`, ` ${name}:${its}`] as const);
    writeVersion(this.folder, "haproxy", args, {
      "/tmp/servers.state": this.at("servers.state"),
      "ipv4@127.0.0.1:8405": this.at("stats.sock"),
      "127.0.0.11:53": names.address,
      "bind :8404": `bind unix@${this.at("health")}`,
      "bind :8000": `bind unix@${this.at("nginx")}`,
      "bind :9000": `bind unix@${this.at("registry")}`,
      ...Object.fromEntries([...servers(registries, 5000), ...servers(minio, 9000)]),
      ...instead,
    });
    fs.writeFileSync(this.at("version.cfg"), `global\n    setenv VERSION ${version}\n`);
  }

  private at(name: string): string {
    return path.join(this.folder, name);
  }

  async start(): Promise<this> {
    const files = ["version.cfg", "haproxy.cfg", "servers.cfg"].flatMap((file) => ["-f", this.at(file)]);
    const log = fs.openSync(this.at("log"), "a");
    const [command = "", ...rest] = [...program("usr/sbin/haproxy"), ...files, "-db"];
    const child = spawn(command, rest, { stdio: ["ignore", log, log] });
    fs.closeSync(log);
    this.child = child;
    await until(
      "HAProxy answers",
      async () => {
        if (child.exitCode !== null) return;
        await this.ask("health", "/");
      },
      { everyMs: 20 },
    );
    if (child.exitCode !== null)
      throw new Error(`HAProxy ended:\n${fs.readFileSync(this.at("log"), "utf8")}`);
    return this;
  }

  async remove(): Promise<void> {
    const child = this.child;
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    fs.rmSync(this.folder, { recursive: true });
  }

  /** Opens a request to one of HAProxy's frontends. */
  request(frontend: Frontend, target: string, options: http.RequestOptions = {}): http.ClientRequest {
    return http.request({ socketPath: this.at(frontend), path: target, agent: false, ...options });
  }

  ask(
    frontend: Frontend,
    target: string,
    { body, ...options }: http.RequestOptions & { readonly body?: string | Buffer } = {},
  ): Promise<Balanced> {
    return new Promise((resolve, reject) => {
      const request = this.request(frontend, target, options);
      request.on("response", (response) => {
        let text = "";
        const { statusCode: status = 0, headers } = response;
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () =>
          resolve({ status, headers, from: String(headers["x-upstream"]), body: text }),
        );
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  }
}

type Frontend = "nginx" | "registry" | "health";
