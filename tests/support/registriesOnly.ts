import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import type { Duplex } from "node:stream";
import { run } from "../../lab/exec";
import { ownGo } from "../../toolchain/go";
import { connectTo, requestTo } from "./onward";

/** Where commands find the proxy, in a network of their own in which there is nothing else. */
const proxy = "http://127.0.0.1:3128";

/** Runs as process 1 of that network: $1 is the proxy's socket, the rest is the command. */
const script = `set -eu
ip link set lo up
socket=$1
shift
socat TCP4-LISTEN:3128,bind=127.0.0.1,fork,reuseaddr,backlog=128 UNIX-CONNECT:"$socket" &
tries=0
until socat -u OPEN:/dev/null TCP4:127.0.0.1:3128 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ]
  sleep 0.1
done
"$@"`;

/** The sites that this machine's own settings name, by who asks them. */
export interface Sites {
  readonly apt: readonly string[];
  readonly npm: readonly string[];
  readonly go: readonly string[];
}

/** What a command says, and whom it asked. */
export interface Ran {
  readonly code: number;
  readonly output: string;
  /** Hosts, each once. */
  readonly asked: readonly string[];
  readonly refused: readonly string[];
}

/** By which a machine whose proxy looks into TLS makes others believe it. */
const authorityVariables = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/** Reads the settings of apt, npm and Go, and those of npm and Go that a home folder may hold as variables. */
export async function configuredSites(): Promise<{
  readonly sites: Sites;
  readonly settings: Readonly<Record<string, string>>;
}> {
  const targets = await run("apt-get", ["indextargets", "--format", "$(SITE)"]);
  const npm = async (key: string) => (await run("npm", ["config", "get", key], { cwd: "/" })).stdout.trim();
  const [registry, authorities] = [await npm("registry"), await npm("cafile")];
  const [program = "go"] = ownGo(process);
  const go = JSON.parse((await run(program, ["env", "-json"], { cwd: "/" })).stdout) as Record<
    string,
    string
  >;
  const proxies = (go.GOPROXY ?? "").split(/[,|]/).filter((one) => /^https?:/.test(one));
  const sums = (go.GOSUMDB ?? "").split(" ")[0] ?? "";
  return {
    sites: {
      apt: targets.stdout.trim().split("\n").map(hostOf),
      npm: [hostOf(registry)],
      go: [...proxies.map(hostOf), ...(sums === "off" ? [] : [sums])],
    },
    settings: {
      npm_config_registry: registry,
      ...(authorities !== "null" && { npm_config_cafile: authorities }),
      GOPROXY: go.GOPROXY ?? "",
      GOSUMDB: go.GOSUMDB ?? "",
      GONOSUMDB: go.GONOSUMDB ?? "",
      GOPRIVATE: go.GOPRIVATE ?? "",
      // What was compiled before, which comes from nowhere, saves minutes.
      GOCACHE: go.GOCACHE ?? "",
    },
  };
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}

/**
 * Runs commands with an empty home and an empty cache, where a proxy leads to the sites given and to no other: by this
 * machine's own proxy, where it has one.
 */
export class RegistriesOnly {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-setup-"));
  private asked = new Set<string>();
  private refused = new Set<string>();
  private readonly server = http.createServer();
  private readonly socket = path.join(this.folder, "proxy.sock");

  private constructor(
    private readonly allowed: readonly string[],
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    fs.mkdirSync(path.join(this.folder, "home"));
    this.server.on("request", (request: http.IncomingMessage, answer: http.ServerResponse) =>
      this.pass(request, answer),
    );
    this.server.on("connect", (request: http.IncomingMessage, client: Duplex, head: Buffer) =>
      this.connect(request.url ?? "", client, head),
    );
  }

  static async start(sites: Sites, settings: Readonly<Record<string, string>>): Promise<RegistriesOnly> {
    const all = [...sites.apt, ...sites.npm, ...sites.go];
    const started = new RegistriesOnly(all, settings);
    await new Promise<void>((resolve) => started.server.listen(started.socket, resolve));
    return started;
  }

  async run(command: readonly string[], cwd: string): Promise<Ran> {
    this.asked = new Set();
    this.refused = new Set();
    const isolated = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const argv = [...isolated, "sh", "-c", script, "sh", this.socket, ...command];
    const env = {
      PATH: process.env.PATH,
      HOME: path.join(this.folder, "home"),
      MOORAGE_CACHE: path.join(this.folder, "cache"),
      ...Object.fromEntries(
        ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map((name) => [name, proxy]),
      ),
      ...Object.fromEntries(authorityVariables.map((name) => [name, process.env[name]])),
      ...this.settings,
    };
    const child = spawn("unshare", argv, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const side of [child.stdout, child.stderr]) {
      side.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    const code = await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (ended) => resolve(ended ?? 137));
    });
    return { code, output, asked: [...this.asked].sort(), refused: [...this.refused].sort() };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await run("rm", ["-rf", "--one-file-system", this.folder]);
  }

  private isAllowed(host: string): boolean {
    this.asked.add(host);
    if (this.allowed.includes(host)) return true;
    this.refused.add(host);
    return false;
  }

  private pass(request: http.IncomingMessage, answer: http.ServerResponse): void {
    const url = new URL(request.url ?? "");
    if (!this.isAllowed(url.hostname)) return void answer.writeHead(403).end();
    const onward = requestTo(url, { method: request.method, headers: request.headers });
    onward.on("response", (found) => {
      answer.writeHead(found.statusCode ?? 502, found.headers);
      found.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    request.pipe(onward);
  }

  private connect(target: string, client: Duplex, head: Buffer): void {
    const [host = "", port] = target.split(":");
    client.on("error", () => undefined);
    if (!this.isAllowed(host)) return void client.end("HTTP/1.1 403 not configured\r\n\r\n");
    connectTo(host, Number(port)).then(
      (onward) => {
        client.write("HTTP/1.1 200 connected\r\n\r\n");
        onward.write(head);
        onward.pipe(client).pipe(onward);
        onward.on("error", () => client.destroy());
        client.on("close", () => onward.destroy());
      },
      () => client.destroy(),
    );
  }
}
