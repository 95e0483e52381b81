import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import * as tls from "node:tls";
import {
  nginxCommand,
  nginxStart,
  pickScript,
  pickScriptName,
  renderNginx,
  renderRights,
  rightsDataName,
  rightsScript,
} from "@moorage/render";
import type { NginxArgs, RegistryUserModel } from "@moorage/render";
import { expectFree } from "./ports";
import { inRoot, program } from "./root";

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly user?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  /** Address of the client, in 127.0.0.0/8. */
  readonly from?: string;
}

/** Hashes of the passwords that tests use, at bcrypt's lowest cost. */
const bcrypt: Readonly<Record<string, string>> = {
  root: "$2y$04$UBkzjX3rsDCvLJnd2oEDou.YjLG/5NjEHorxQdPDYKE61gsVESRJ2",
  blue: "$2y$04$QkNklZ3BqBxXBXVTinfuuuclo4zmgODaPY3WDQZZzHIZk5kJNWZ7y",
  older: "$2y$04$kbJMOF/O7Sw3zwDb/5yuJeJjC9T7rQTYxABqc6Rkuk7eZKi3DjmDC",
};

/** A real nginx on loopback with the rendered configuration. */
export class Front {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-front-"));
  private child: ChildProcess | undefined;

  constructor(
    readonly port: number,
    users: Readonly<Record<string, { password: string; rights: RegistryUserModel["rights"] }>>,
    args: Pick<NginxArgs, "registries" | "resolver"> & Partial<NginxArgs>,
    /** Texts of the configuration and what stands in their place, so that a test need not wait for a minute. */
    instead: Readonly<Record<string, string>> = {},
  ) {
    const at = (name: string): string => path.join(this.folder, name);
    certificate(at("tls.key"), at("tls.crt"));
    for (const name of ["htpasswd", "previous"]) fs.writeFileSync(at(name), "");
    for (const [name, { password }] of Object.entries(users)) this.addPassword("htpasswd", name, password);
    fs.writeFileSync(at("rights.js"), rightsScript());
    fs.writeFileSync(at(pickScriptName), pickScript(args.registries));
    const models = Object.entries(users).map(([name, { rights }]) => ({ name, rights }));
    fs.writeFileSync(at(rightsDataName), renderRights(models));
    fs.symlinkSync(inRoot("usr/lib/nginx/modules"), at("modules"));
    fs.mkdirSync(at("run"), { mode: 0o777 });
    fs.chmodSync(this.folder, 0o755);
    let text = renderNginx({
      listenPort: port,
      serverNames: ["registry.test"],
      certificatePath: at("tls.crt"),
      keyPath: at("tls.key"),
      htpasswdPath: at("htpasswd"),
      previousHtpasswdPath: at("previous"),
      rightsPath: at("rights.js"),
      runPath: at("run"),
      balancers: [{ name: "no-balancer", port: 9000 }],
      ...args,
    });
    for (const [before, after] of Object.entries(instead)) {
      if (!text.includes(before)) throw new Error(`there is no ${before} in nginx.conf`);
      text = text.replaceAll(before, after);
    }
    fs.writeFileSync(at("nginx.conf"), text);
  }

  get log(): string {
    return fs.readFileSync(path.join(this.folder, "log"), "utf8");
  }

  addPassword(file: string, user: string, password: string): void {
    fs.appendFileSync(path.join(this.folder, file), `${user}:${bcrypt[password] ?? "!"}\n`);
  }

  forgetPasswords(file: string): void {
    fs.writeFileSync(path.join(this.folder, file), "");
  }

  /** `nginx -t`; throws what it says against the configuration. */
  test(): void {
    const [command = "", ...rest] = [...this.command(), "-t"];
    const log = fs.openSync(path.join(this.folder, "test"), "w+");
    const { status } = spawnSync(command, rest, { stdio: ["ignore", log, log] });
    fs.closeSync(log);
    if (status !== 0) throw new Error(fs.readFileSync(path.join(this.folder, "test"), "utf8"));
  }

  /** Ready when the front's health is answered, with `status`. */
  async start(status = 200, [command = "", ...rest] = this.command()): Promise<this> {
    await expectFree(this.port);
    // nginx opens /dev/stdout anew, which works with a file and a pipe, and not with the socket that "pipe" means here.
    const log = fs.openSync(path.join(this.folder, "log"), "a");
    const child = spawn(command, rest, { stdio: ["ignore", log, log] });
    fs.closeSync(log);
    this.child = child;
    for (let tries = 0; tries < 100; tries++) {
      if (child.exitCode !== null) throw new Error(`nginx ended:\n${this.log}`);
      const alive = await this.ask("/healthz").catch(() => undefined);
      if (alive?.status === status) return this;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`nginx does not answer:\n${this.log}`);
  }

  /** Starts nginx as it starts in its container, and gives back the process that is told to stop. */
  async startAsInContainer(): Promise<ChildProcess> {
    const [shell = "", option = "", script = ""] = nginxStart("", path.join(this.folder, "run"));
    await this.start(200, [shell, option, script, ...this.command()]);
    if (!this.child) throw new Error("nginx was not started");
    return this.child;
  }

  async stop(): Promise<void> {
    const child = this.child;
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  ask(target: string, { method = "GET", user, headers = {}, body, from }: Ask = {}): Promise<Answer> {
    const authorization = user === undefined ? {} : { Authorization: basic(user) };
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: "127.0.0.1",
          port: this.port,
          path: target,
          method,
          localAddress: from,
          headers: { ...authorization, ...headers },
          rejectUnauthorized: false,
          agent: false,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  }

  /** A connection with TLS, on which a test says what it wants. */
  connect(options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = tls.connect(
        { host: "127.0.0.1", port: this.port, rejectUnauthorized: false, ...options },
        () => resolve(socket),
      );
      socket.once("error", reject);
    });
  }

  /** Sends bytes as they are, and gives back what came until the front closed the connection. */
  async say(bytes: string | Buffer): Promise<string> {
    const socket = await this.connect();
    const chunks: Buffer[] = [];
    return new Promise((resolve) => {
      const end = (): void => {
        socket.destroy();
        resolve(Buffer.concat(chunks).toString("latin1"));
      };
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("end", end).on("close", end).on("error", end);
      socket.write(bytes);
    });
  }

  private command(): string[] {
    const [, ...rest] = nginxCommand(path.join(this.folder, "nginx.conf"));
    return [...program("usr/sbin/nginx"), "-p", this.folder, ...rest];
  }
}

/** `name:password` as an Authorization header. */
export function basic(user: string): string {
  return `Basic ${Buffer.from(user).toString("base64")}`;
}

function certificate(key: string, file: string): void {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test,IP:127.0.0.1"];
  execFileSync(
    "openssl",
    ["req", "-x509", ...curve, "-keyout", key, "-out", file, "-days", "2", ...subject],
    {
      stdio: "ignore",
    },
  );
}

/** How many of the answers have that status. */
export const count = (answers: readonly Answer[], status: number): number =>
  answers.filter((one) => one.status === status).length;
