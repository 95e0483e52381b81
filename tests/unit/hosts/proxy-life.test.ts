import { spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { runDockerProxy } from "../../../hosts/src/proxy";
import { errorFile, socketOf } from "../../../hosts/src/proxy/socket";
import { sleep } from "../../../hosts/src/time";
import { startManager } from "./support/fake-docker";
import { afterwards, startServer, temporaryFolder } from "./support/stop";

const PROXY = resolve(__dirname, "../../../hosts/dist/bin/docker-proxy.js");
const STACK = "organization/moorage/test";
const CLOSING = "GET /info HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
const STAYING = "GET /info HTTP/1.1\r\nHost: docker\r\n\r\n";

async function until(what: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!what() && Date.now() < end) await sleep(20);
  expect(what()).toBe(true);
}

/** An operator's machine whose `pulumi` only notes that it was asked, and fails. */
function operator(): NodeJS.ProcessEnv & { XDG_RUNTIME_DIR: string } {
  const folder = temporaryFolder();
  const pulumi = join(folder, "pulumi");
  writeFileSync(pulumi, `#!/bin/sh\necho "$*" >> ${folder}/asked\necho no such stack >&2\nexit 1\n`);
  chmodSync(pulumi, 0o755);
  return { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}`, XDG_RUNTIME_DIR: folder };
}

function dial(env: NodeJS.ProcessEnv, requests: string) {
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

async function manager(name: string) {
  const docker = await startManager(name);
  const server = await startServer({ node: name, sockets: { [DOCKER_SOCKET]: docker.path } });
  return { docker, server, connection: server.connection() };
}

/** Serves in this process, where the ProxyCommand looks for it. */
async function serve(managers: Connection[], idleSeconds = 1) {
  const env = operator();
  const socket = socketOf(STACK, env);
  const ended = runDockerProxy({
    stack: STACK,
    socket,
    managers: () => Promise.resolve(managers),
    idleSeconds,
  });
  afterwards(() => ended);
  await until(() => existsSync(socket));
  return { env, socket, ended };
}

describe("a proxy that serves", () => {
  it("gives thirty clients at once their answers, with one connection to a manager", async () => {
    const one = await manager("swarm-1");
    // Thirty processes take a while to start on a busy machine.
    const { env } = await serve([one.connection], 8);
    const all = Array.from({ length: 30 }, () => dial(env, CLOSING));
    for (const client of all) {
      expect(await client.ended).toBe(0);
      expect(client.stdout).toContain('"Name":"swarm-1"');
    }
    expect(one.server.connections).toBe(1);
  }, 60_000);

  it("ends the streams of a manager that dies, and leads the next client to another", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const { env } = await serve([one.connection, two.connection]);
    const open = [dial(env, STAYING), dial(env, STAYING)];
    await until(() => open.every(({ stdout }) => stdout.includes('"Name":"swarm-1"')));
    await one.server.stop();
    await Promise.all(open.map(({ ended }) => ended));
    const next = dial(env, CLOSING);
    await next.ended;
    expect(next.stdout).toContain('"Name":"swarm-2"');
  }, 30_000);

  it("stays for a client that is only quiet, ends when idle, and leaves no socket", async () => {
    const one = await manager("swarm-1");
    const { env, socket, ended } = await serve([one.connection]);
    const client = dial(env, STAYING);
    await until(() => client.stdout.includes('"Name":"swarm-1"'));
    await sleep(1500);
    expect(existsSync(socket)).toBe(true);
    client.ssh.kill();
    expect(await ended).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  it("takes the place of one that left its socket and its error behind", async () => {
    const one = await manager("swarm-1");
    const env = operator();
    const socket = socketOf(STACK, env);
    const old = spawn(process.execPath, ["-e", `require("net").createServer().listen("${socket}")`]);
    await until(() => existsSync(socket));
    old.kill("SIGKILL");
    await new Promise((done) => old.on("close", done));
    writeFileSync(errorFile(socket), "old");
    const ended = runDockerProxy({
      stack: STACK,
      socket,
      managers: () => Promise.resolve([one.connection]),
      idleSeconds: 1,
    });
    await until(() => !existsSync(errorFile(socket)));
    const client = dial(env, CLOSING);
    expect(await client.ended).toBe(0);
    expect(client.stdout).toContain('"Name":"swarm-1"');
    expect(await ended).toBe(0);
  });
});

describe("the ProxyCommand", () => {
  it("tells in one line why there is no proxy, all of them with one attempt", async () => {
    const env = operator();
    const both = [dial(env, CLOSING), dial(env, CLOSING)];
    for (const client of both) {
      expect(await client.ended).not.toBe(0);
      expect(client.stderr).toMatch(
        /^moorage: stack organization\/moorage\/test cannot be read: no such stack$/m,
      );
    }
    expect(readFileSync(join(env.XDG_RUNTIME_DIR, "asked"), "utf8").trim().split("\n")).toHaveLength(1);
    await until(() => !existsSync(`${socketOf(STACK, env)}.starting`));
  });

  it("starts a proxy where the mark of one that never came is old", async () => {
    const env = operator();
    const mark = `${socketOf(STACK, env)}.starting`;
    writeFileSync(mark, "");
    utimesSync(mark, Date.now() / 1000 - 60, Date.now() / 1000 - 60);
    const client = dial(env, CLOSING);
    await client.ended;
    expect(client.stderr).toContain("no such stack");
    await until(() => !existsSync(mark));
  });

  it("waits for the proxy that another one starts", async () => {
    const env = operator();
    const socket = socketOf(STACK, env);
    writeFileSync(`${socket}.starting`, "");
    const client = dial(env, CLOSING);
    await sleep(500);
    const late = createServer((connection) => connection.end("found\n"));
    await new Promise<void>((done) => late.listen(socket, done));
    afterwards(() => late.close());
    await client.ended;
    expect(existsSync(join(env.XDG_RUNTIME_DIR, "asked"))).toBe(false);
  });

  it("refuses a folder that is not this user's alone", async () => {
    const env = operator();
    const folder = dirname(socketOf(STACK, env));
    chmodSync(folder, 0o755);
    const client = dial(env, CLOSING);
    expect(await client.ended).not.toBe(0);
    expect(client.stderr).toContain(`moorage: ${folder} is not a folder of this user alone: remove it`);
  });
});
