import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import * as tls from "node:tls";
import {
  contentCache,
  htpasswd,
  proxyMounts,
  shellCommand,
  type NginxArgs,
  type RegistryUserModel,
} from "@moorage/render";
import { until } from "../../../support/waiting";
import { freePort } from "./ports";
import { inRoot, program } from "./root";
import { version, writeVersion } from "./sandbox";

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

export interface FrontArgs extends Partial<Omit<NginxArgs, "haproxies" | "limits">> {
  /** The node's own first. */
  readonly haproxies: readonly { readonly name: string; readonly port: number }[];
  /** @default names are addresses */
  readonly resolver?: string;
  readonly limits?: Partial<NginxArgs["limits"]>;
}

/** A real nginx on loopback with the rendered configuration, on a port from the kernel. */
export class Front {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-front-"));
  /** Once it has started. */
  port = 0;
  private child: ChildProcess | undefined;

  /** @param instead texts of the configuration, and what replaces them */
  constructor(
    private readonly users: Readonly<
      Record<string, { password: string; rights: RegistryUserModel["rights"] }>
    >,
    private readonly args: FrontArgs,
    private readonly instead: Readonly<Record<string, string>> = {},
  ) {
    fs.symlinkSync(inRoot("usr/lib/nginx/modules"), this.at("modules"));
    for (const name of ["tmp", "cache"]) fs.mkdirSync(this.at(name), { mode: 0o777 });
    fs.chmodSync(this.folder, 0o755);
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  private writeConfiguration(): void {
    const { haproxies, resolver, limits, ...args } = this.args;
    const users = Object.entries(this.users);
    const nginx: NginxArgs = {
      users: users.map(([name, { rights }]) => ({ name, rights })),
      htpasswd: htpasswd(
        Object.fromEntries(users.map(([name, { password }]) => [name, bcrypt[password] ?? "!"])),
      ),
      ...certificate(),
      neighbours: [],
      proxyTimeoutSeconds: 900,
      cacheGibibytes: 1,
      ...args,
      haproxies: haproxies.map(({ name }) => name),
      limits: {
        connections: 256,
        writesPerUser: 64,
        requestsPerSecond: 1000,
        layerGibibytes: 312,
        ...limits,
      },
    };
    const haproxy = { service: "haproxy", registries: [], minio: [] };
    writeVersion(
      this.folder,
      "nginx",
      { nginx: { service: "nginx", ...nginx }, haproxy, passwordGraceMinutes: 15 },
      {
        "/tmp/": `${this.at("tmp")}/`,
        [proxyMounts.nginx.current]: this.folder,
        [contentCache.container]: this.at("cache"),
        "@MIN_FREE@": "1m",
        "listen 8443": `listen ${this.port}`,
        "listen 127.0.0.1:8404": `listen unix:${this.at("tmp/version.sock")}`,
        ...(resolver && { "resolver 127.0.0.11 valid=5s": `resolver ${resolver} valid=1s` }),
        ...Object.fromEntries(
          haproxies.map(({ name, port }) => [`server ${name}:8000`, `server ${name}:${port}`]),
        ),
        ...this.instead,
      },
    );
    fs.writeFileSync(this.at("version.conf"), `map "" $version {\n    default ${version};\n}\n`);
    fs.writeFileSync(this.at("previous.htpasswd"), "");
    fs.writeFileSync(this.at("previous.json"), "{}");
    // The start script makes it.
    fs.writeFileSync(this.at("tmp/node.conf"), "");
  }

  get log(): string {
    return fs.readFileSync(this.at("log"), "utf8");
  }

  /** Adds a password to a file. nginx reads it with each request. */
  addPassword(file: string, user: string, password: string): void {
    fs.appendFileSync(this.at(file), `${user}:${bcrypt[password] ?? "!"}\n`);
  }

  /** Replaces a password that is right until then, in seconds from now. */
  setPrevious(user: string, password: string, seconds: number): void {
    fs.writeFileSync(this.at("previous.htpasswd"), "");
    this.addPassword("previous.htpasswd", user, password);
    const end = Math.round(Date.now() / 1000) + seconds;
    fs.writeFileSync(this.at("previous.json"), JSON.stringify({ [user]: end }));
  }

  /** Ready when nginx answers. */
  async start({ command = this.command(), env = process.env } = {}): Promise<this> {
    for (let tries = 1; ; tries++) {
      this.port = await freePort("0.0.0.0");
      this.writeConfiguration();
      if (await this.begin(command, env)) return this;
      // Meanwhile a client's connection may have got that port.
      if (tries === 5 || !this.log.includes("Address already in use"))
        throw new Error(`nginx ended:\n${this.log}`);
    }
  }

  /** Whether it answers: it may have ended. */
  private begin([command = "", ...rest]: string[], env: NodeJS.ProcessEnv): Promise<boolean> {
    // nginx opens /dev/stdout anew, which works with a file and a pipe, and not with the socket that "pipe" means here.
    const log = fs.openSync(this.at("log"), "a");
    const child = spawn(command, rest, { stdio: ["ignore", log, log], env });
    fs.closeSync(log);
    this.child = child;
    const answers = async (): Promise<boolean> => {
      if (child.exitCode !== null) return false;
      const alive = await this.ask("/healthz");
      if (alive.status !== 200) throw new Error(`its health is ${alive.status}:\n${this.log}`);
      return true;
    };
    return until("nginx answers", answers, { everyMs: 20 });
  }

  /**
   * Starts nginx as it starts in its container, whose gateway is 127.0.0.4, and returns the process that gets the signal to stop.
   * @param sleep a script in place of the system's
   */
  async startAsInContainer(sleep = ""): Promise<ChildProcess> {
    fs.mkdirSync(this.at("bin"));
    const nginx = shellCommand([...program("usr/sbin/nginx"), "-p", this.folder]);
    for (const [name, script] of Object.entries({ nginx: `exec ${nginx} "$@"`, sleep }))
      fs.writeFileSync(this.at(`bin/${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const route = "eth1\t00000000\t0400007F\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    fs.writeFileSync(this.at("routes"), `Iface\tDestination\tGateway\t\n${route}`);
    const env = {
      PATH: `${this.at("bin")}:${process.env.PATH}`,
      RUN: this.at("tmp"),
      ROUTES: this.at("routes"),
    };
    await this.start({ command: ["/bin/sh", this.at("start.sh")], env });
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
    return [...program("usr/sbin/nginx"), "-p", this.folder, "-e", "stderr", "-c", this.at("nginx.conf")];
  }
}

/** `name:password` as an Authorization header. */
export function basic(user: string): string {
  return `Basic ${Buffer.from(user).toString("base64")}`;
}

let made: { readonly key: string; readonly certificate: string } | undefined;

function certificate(): NonNullable<typeof made> {
  if (made) return made;
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test,IP:127.0.0.1"];
  const args = ["req", "-x509", ...curve, "-keyout", "-", "-out", "-", "-days", "2", ...subject];
  const pem = execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const at = pem.indexOf("-----BEGIN CERTIFICATE");
  return (made = { key: pem.slice(0, at), certificate: pem.slice(at) });
}

/** How many of the answers have that status. */
export const count = (answers: readonly Answer[], status: number): number =>
  answers.filter((one) => one.status === status).length;
