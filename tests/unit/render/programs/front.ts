import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import * as tls from "node:tls";
import {
  nginxCommand,
  nginxStart,
  nodeSourcePath,
  pickScript,
  pickScriptName,
  renderNginx,
  renderRights,
  rightsDataName,
  rightsScript,
  unknownUserEntry,
} from "@moorage/render";
import type { NginxArgs, RegistryUserModel } from "@moorage/render";
import { until } from "../../../support/waiting";
import { freePort } from "./ports";
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
  "-": "$2y$04$abcdefghijklmnopqrstuuguFleIxy8dETUY.GrzteKSK3w82GLfS",
  older: "$2y$04$kbJMOF/O7Sw3zwDb/5yuJeJjC9T7rQTYxABqc6Rkuk7eZKi3DjmDC",
};

const looks = "js_periodic pick.look interval=1200ms;";
/** Without it a front asks no registry for its health, and uses each. */
export const withLooks = { [looks]: looks };

/** A real nginx on loopback with the rendered configuration, on a port from the kernel. */
export class Front {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-front-"));
  /** Once it has started. */
  port = 0;
  private child: ChildProcess | undefined;

  /** @param instead texts of the configuration, and what replaces them. Without `withLooks` it asks no registry for its health */
  constructor(
    users: Readonly<Record<string, { password: string; rights: RegistryUserModel["rights"] }>>,
    private readonly args: Pick<NginxArgs, "registries" | "resolver"> & Partial<NginxArgs>,
    private readonly instead: Readonly<Record<string, string>> = {},
  ) {
    certificate(this.at("tls.key"), this.at("tls.crt"));
    fs.writeFileSync(this.at("htpasswd"), unknownUserEntry);
    fs.writeFileSync(this.at("previous"), "");
    for (const [name, { password }] of Object.entries(users)) this.addPassword("htpasswd", name, password);
    fs.writeFileSync(this.at("rights.js"), rightsScript());
    fs.writeFileSync(this.at(pickScriptName), pickScript(args.registries));
    const models = Object.entries(users).map(([name, { rights }]) => ({ name, rights }));
    fs.writeFileSync(this.at(rightsDataName), renderRights(models));
    fs.symlinkSync(inRoot("usr/lib/nginx/modules"), this.at("modules"));
    fs.mkdirSync(this.at("run"), { mode: 0o777 });
    fs.writeFileSync(nodeSourcePath(this.at("run")), "");
    fs.chmodSync(this.folder, 0o755);
  }

  private at(name: string): string {
    return path.join(this.folder, name);
  }

  private writeConfiguration(): void {
    let text = renderNginx({
      listenPort: this.port,
      serverNames: ["registry.test"],
      certificatePath: this.at("tls.crt"),
      keyPath: this.at("tls.key"),
      htpasswdPath: this.at("htpasswd"),
      previousHtpasswdPath: this.at("previous"),
      rightsPath: this.at("rights.js"),
      runPath: this.at("run"),
      balancers: [{ name: "no-balancer", port: 9000 }],
      ...this.args,
    });
    for (const [before, after] of Object.entries({ [looks]: "", ...this.instead })) {
      if (!text.includes(before)) throw new Error(`there is no ${before} in nginx.conf`);
      text = text.replaceAll(before, after);
    }
    fs.writeFileSync(this.at("nginx.conf"), text);
  }

  get log(): string {
    return fs.readFileSync(this.at("log"), "utf8");
  }

  addPassword(file: string, user: string, password: string): void {
    fs.appendFileSync(this.at(file), `${user}:${bcrypt[password] ?? "!"}\n`);
  }

  forgetPasswords(file: string): void {
    fs.writeFileSync(this.at(file), "");
  }

  /** Runs `nginx -t`. @throws Error with what it says against the configuration */
  test(): void {
    const [command = "", ...rest] = [...this.command(), "-t"];
    const log = fs.openSync(this.at("test"), "w+");
    const { status } = spawnSync(command, rest, { stdio: ["ignore", log, log] });
    fs.closeSync(log);
    if (status !== 0) throw new Error(fs.readFileSync(this.at("test"), "utf8"));
  }

  /** Ready when the front's health is answered, with `status`. */
  async start(
    status = 200,
    { command = this.command(), path: programs = process.env.PATH } = {},
  ): Promise<this> {
    for (let tries = 1; ; tries++) {
      this.port = await freePort("0.0.0.0");
      this.writeConfiguration();
      if (await this.begin(status, command, programs)) return this;
      // Meanwhile a client's connection may have got that port.
      if (tries === 5 || !this.log.includes("Address already in use"))
        throw new Error(`nginx ended:\n${this.log}`);
    }
  }

  /** Whether it answers: it may have ended. */
  private begin(status: number, [command = "", ...rest]: string[], programs = ""): Promise<boolean> {
    // nginx opens /dev/stdout anew, which works with a file and a pipe, and not with the socket that "pipe" means here.
    const log = fs.openSync(this.at("log"), "a");
    const child = spawn(command, rest, {
      stdio: ["ignore", log, log],
      env: { ...process.env, PATH: programs },
    });
    fs.closeSync(log);
    this.child = child;
    const answers = async (): Promise<boolean> => {
      if (child.exitCode !== null) return false;
      const alive = await this.ask("/healthz");
      if (alive.status !== status) throw new Error(`its health is ${alive.status}:\n${this.log}`);
      return true;
    };
    return until("nginx answers", answers, { everyMs: 20 });
  }

  /**
   * Starts nginx as it starts in its container, whose gateway is 127.0.0.4, and returns the process that gets the signal to stop.
   * @param programs the folders of programs, as PATH has them
   */
  async startAsInContainer(programs?: string): Promise<ChildProcess> {
    const route = "eth1\t00000000\t0400007F\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    fs.writeFileSync(this.at("routes"), `Iface\tDestination\tGateway\t\n${route}`);
    const [shell = "", option = "", script = ""] = nginxStart("", this.at("run"), this.at("routes"));
    await this.start(200, { command: [shell, option, script, ...this.command()], path: programs });
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
    const [, ...rest] = nginxCommand(this.at("nginx.conf"));
    return [...program("usr/sbin/nginx"), "-p", this.folder, ...rest];
  }
}

/** `name:password` as an Authorization header. */
export function basic(user: string): string {
  return `Basic ${Buffer.from(user).toString("base64")}`;
}

let made: { readonly key: Buffer; readonly certificate: Buffer } | undefined;

function certificate(key: string, file: string): void {
  if (made) {
    fs.writeFileSync(key, made.key);
    fs.writeFileSync(file, made.certificate);
    return;
  }
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test,IP:127.0.0.1"];
  const args = ["req", "-x509", ...curve, "-keyout", key, "-out", file, "-days", "2", ...subject];
  execFileSync("openssl", args, { stdio: "ignore" });
  made = { key: fs.readFileSync(key), certificate: fs.readFileSync(file) };
}

/** How many of the answers have that status. */
export const count = (answers: readonly Answer[], status: number): number =>
  answers.filter((one) => one.status === status).length;
