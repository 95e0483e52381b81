/** A proxy to the Swarm, and clients that reach it as Docker's provider does. */
import { spawn } from "node:child_process";
import { chmodSync, lstatSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { Client, type ClientChannel } from "ssh2";
import { expect } from "vitest";
import type { Connection } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { runDockerProxy, type DockerProxyOptions } from "../../../../hosts/src/proxy";
import { socketOf } from "../../../../hosts/src/proxy/socket";
import type { RecordedResource } from "../../../../hosts/src/state";
import { until } from "../../../support/waiting";
import { startManager } from "./fake-docker";
import { afterwards, startServer, temporaryFolder } from "./stop";

const PROXY = resolve(__dirname, "../../../../hosts/dist/bin/docker-proxy.js");
export const STACK = "organization/moorage/test";
export const CLOSING = "GET /info HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
export const STAYING = "GET /info HTTP/1.1\r\nHost: docker\r\n\r\n";
/** What each manager answers to that. */
export const named = (manager: string): string => `"Name":"${manager}"`;

export type Env = NodeJS.ProcessEnv & { XDG_RUNTIME_DIR: string };

/** An operator's machine whose `pulumi` notes that it was asked, and runs the script then. */
function operatorWith(script: string): Env {
  const folder = temporaryFolder();
  const pulumi = join(folder, "pulumi");
  writeFileSync(pulumi, `#!/bin/sh\necho "$*" >> ${folder}/asked\ncd ${folder}\n${script}\n`);
  chmodSync(pulumi, 0o755);
  return { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}`, XDG_RUNTIME_DIR: folder };
}

/** One whose `pulumi` fails. */
export const operator = (): Env => operatorWith("echo no such stack >&2; exit 1");

/** One whose `pulumi` shows a state with these managers, and what else is in it; not while there is a file `hold`. */
export function operatorOf(managers: readonly Connection[], rest: readonly RecordedResource[] = []): Env {
  const env = operatorWith("while [ -e hold ]; do sleep 0.05; done; cat state.json");
  const folder = env.XDG_RUNTIME_DIR;
  const resources = [...managers.map(asRecorded), ...rest];
  writeFileSync(join(folder, "state.json"), JSON.stringify({ deployment: { resources } }));
  afterwards(() => stop(proxies(folder)));
  return env;
}

/** How often its `pulumi` was asked, and for what. */
export const asked = ({ XDG_RUNTIME_DIR }: Env): string[] =>
  readFileSync(join(XDG_RUNTIME_DIR, "asked"), "utf8").trim().split("\n");

/** Proxies at work, known by their socket's folder: one outlives its clients for a while. */
export function proxies(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, "utf8");
        return line.includes("docker-proxy-server") && line.includes(folder);
      } catch {
        // Ended in between.
        return false;
      }
    })
    .map(Number);
}

export function stop(pids: number[], signal?: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Ended in between.
    }
  }
}

/** What has OpenSSH reach the Swarm by the proxy, as arguments. @param command of the ProxyCommand, without its stack */
export function sshOptions(command: string): string[] {
  return [
    `ProxyCommand=${command} --stack ${STACK}`,
    "ControlMaster=no",
    "ControlPath=none",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
  ].flatMap((option) => ["-o", option]);
}

/** OpenSSH's own client, behind the ProxyCommand. */
export function dial(env: NodeJS.ProcessEnv, requests: string, command = ["docker", "system", "dial-stdio"]) {
  const args = ["-F", "none", ...sshOptions(`${process.execPath} ${PROXY}`), "-l", "moorage"];
  const ssh = spawn("ssh", [...args, "swarm-dev", ...command], { env });
  afterwards(() => ssh.kill("SIGKILL"));
  const ended = new Promise<number | null>((done) => ssh.on("close", done));
  const said = { ssh, stdout: "", stderr: "", ended };
  ssh.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
  ssh.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
  ssh.stdin.on("error", () => undefined);
  ssh.stdin.write(requests);
  return said;
}

/** A client in this process. */
export class ProxyClient {
  stdout = "";
  readonly ended: Promise<void>;

  private constructor(
    private readonly client: Client,
    readonly channel: ClientChannel,
  ) {
    channel.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    channel.on("error", () => undefined);
    this.ended = new Promise((done) => channel.on("close", done));
    afterwards(() => this.leave());
  }

  static async to(socket: string, requests: string): Promise<ProxyClient> {
    const client = new Client();
    const channel = await new Promise<ClientChannel>((done, fail) => {
      client.on("error", fail);
      client.on("ready", () =>
        client.exec("docker system dial-stdio", (error, channel) => (error ? fail(error) : done(channel))),
      );
      client.connect({ sock: connect(socket), username: "moorage" });
    });
    client.on("error", () => undefined);
    channel.write(requests);
    return new ProxyClient(client, channel);
  }

  /** Waits for something in what it was answered. */
  gets(text: string): Promise<void> {
    return until(`an answer with ${text}`, () => expect(this.stdout).toContain(text), { everyMs: 20 });
  }

  leave(): void {
    this.client.destroy();
  }
}

/** What a client is answered that asks once. */
export async function answerTo(socket: string, requests = CLOSING): Promise<string> {
  const client = await ProxyClient.to(socket, requests);
  await client.ended;
  client.leave();
  return client.stdout;
}

export async function manager(name: string) {
  const docker = await startManager(name);
  const server = await startServer({ node: name, sockets: { [DOCKER_SOCKET]: docker.path } });
  return { docker, server, connection: server.connection() };
}

/** A manager as the state has it. */
export function asRecorded(connection: Connection): RecordedResource {
  return { type: "pulumi-nodejs:dynamic:SwarmMember", outputs: { role: "manager", connection } };
}

interface Serving extends Partial<Omit<DockerProxyOptions, "state">> {
  readonly env?: Env;
  /** What is recorded besides the managers. */
  readonly state?: readonly RecordedResource[];
}

/** Serves in this process, where the ProxyCommand looks for it, for as long as the test takes. */
export async function serve(managers: readonly Connection[], options: Serving = {}) {
  const { env = operator(), state = [], ...rest } = options;
  const socket = socketOf(STACK, env);
  const before = inodeOf(socket);
  const end = new AbortController();
  const ended = runDockerProxy({
    stack: STACK,
    socket,
    state: () => Promise.resolve([...managers.map(asRecorded), ...state]),
    idleSeconds: 600,
    signal: end.signal,
    ...rest,
  });
  afterwards(() => {
    end.abort();
    return ended;
  });
  await until("a proxy that listens", () => expect([undefined, before]).not.toContain(inodeOf(socket)), {
    everyMs: 10,
  });
  return { env, socket, ended, end: () => end.abort() };
}

const inodeOf = (file: string) => lstatSync(file, { throwIfNoEntry: false })?.ino;
