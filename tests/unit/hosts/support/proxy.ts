/** A proxy to the Swarm, and clients that reach it as Docker's provider does. */
import { spawn } from "node:child_process";
import { chmodSync, lstatSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect } from "vitest";
import type { Connection } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { runDockerProxy } from "../../../../hosts/src/proxy";
import type { Watch } from "../../../../hosts/src/proxy/choose";
import { socketOf } from "../../../../hosts/src/proxy/socket";
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

export function dial(env: NodeJS.ProcessEnv, requests: string) {
  const options = [`ProxyCommand=${process.execPath} ${PROXY} --stack ${STACK}`, "ControlPath=none"].concat([
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
  ]);
  const args = ["-F", "none", ...options.flatMap((option) => ["-o", option]), "-l", "moorage"];
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

/** Serves in this process, where the ProxyCommand looks for it. */
export async function serve(
  managers: Connection[],
  options: { env?: ReturnType<typeof operator>; idleSeconds?: number; watch?: Watch } = {},
) {
  const { env = operator(), idleSeconds = 1, watch } = options;
  const socket = socketOf(STACK, env);
  const before = inodeOf(socket);
  const ended = runDockerProxy({
    stack: STACK,
    socket,
    managers: () => Promise.resolve(managers),
    idleSeconds,
    watch,
  });
  afterwards(() => ended);
  await until(() => ![undefined, before].includes(inodeOf(socket)));
  return { env, socket, ended };
}

const inodeOf = (file: string) => lstatSync(file, { throwIfNoEntry: false })?.ino;
