/** A proxy to the Swarm, and clients that reach it as Docker's provider does. */
import { spawn } from "node:child_process";
import { chmodSync, lstatSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect } from "vitest";
import type { Connection } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { runDockerProxy } from "../../../../hosts/src/proxy";
import type { Watch } from "../../../../hosts/src/proxy/choose";
import { socketOf } from "../../../../hosts/src/proxy/socket";
import type { RecordedResource } from "../../../../hosts/src/state";
import { sleep } from "../../../../hosts/src/time";
import { startManager } from "./fake-docker";
import { afterwards, startServer, temporaryFolder } from "./stop";

const PROXY = resolve(__dirname, "../../../../hosts/dist/bin/docker-proxy.js");
export const STACK = "organization/moorage/test";
export const CLOSING = "GET /info HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
export const STAYING = "GET /info HTTP/1.1\r\nHost: docker\r\n\r\n";

export async function until(what: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!what() && Date.now() < end) await sleep(20);
  expect(what()).toBe(true);
}

/** An operator's machine whose `pulumi` only notes that it was asked, and fails. */
export function operator(): NodeJS.ProcessEnv & { XDG_RUNTIME_DIR: string } {
  const folder = temporaryFolder();
  const pulumi = join(folder, "pulumi");
  writeFileSync(pulumi, `#!/bin/sh\necho "$*" >> ${folder}/asked\necho no such stack >&2\nexit 1\n`);
  chmodSync(pulumi, 0o755);
  return { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}`, XDG_RUNTIME_DIR: folder };
}

/** One whose `pulumi` shows a state with these managers, and what else is in it. */
export function operatorOf(
  managers: readonly Connection[],
  rest: readonly RecordedResource[] = [],
): NodeJS.ProcessEnv & { XDG_RUNTIME_DIR: string } {
  const folder = temporaryFolder();
  const resources = [...managers.map(asRecorded), ...rest];
  writeFileSync(join(folder, "state.json"), JSON.stringify({ deployment: { resources } }));
  const pulumi = join(folder, "pulumi");
  writeFileSync(pulumi, `#!/bin/sh\necho "$*" >> ${folder}/asked\ncat ${folder}/state.json\n`);
  chmodSync(pulumi, 0o755);
  afterwards(() => stop(proxies(folder)));
  return { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}`, XDG_RUNTIME_DIR: folder };
}

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

export function dial(env: NodeJS.ProcessEnv, requests: string) {
  const args = ["-F", "none", ...sshOptions(`${process.execPath} ${PROXY}`), "-l", "moorage"];
  const ssh = spawn("ssh", [...args, "swarm-dev", "docker", "system", "dial-stdio"], { env });
  afterwards(() => ssh.kill("SIGKILL"));
  const said = { ssh, stdout: "", stderr: "", ended: new Promise((done) => ssh.on("close", done)) };
  ssh.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
  ssh.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
  ssh.stdin.on("error", () => undefined);
  ssh.stdin.write(requests);
  return said;
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

/** Serves in this process, where the ProxyCommand looks for it. */
export async function serve(
  managers: Connection[],
  options: {
    env?: ReturnType<typeof operator>;
    idleSeconds?: number;
    watch?: Watch;
    state?: readonly RecordedResource[];
  } = {},
) {
  const { env = operator(), idleSeconds = 1, watch, state = [] } = options;
  const socket = socketOf(STACK, env);
  const before = inodeOf(socket);
  const ended = runDockerProxy({
    stack: STACK,
    socket,
    state: () => Promise.resolve([...managers.map(asRecorded), ...state]),
    idleSeconds,
    watch,
  });
  afterwards(() => ended);
  await until(() => ![undefined, before].includes(inodeOf(socket)));
  return { env, socket, ended };
}

const inodeOf = (file: string) => lstatSync(file, { throwIfNoEntry: false })?.ino;
