import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { managersInState } from "../../../hosts/src/proxy/managers";
import { startDocker, startManager } from "./support/fake-docker";
import { startServer, temporaryFolder } from "./support/stop";

const HOSTS = resolve(__dirname, "../../../hosts/dist/index.js");
const MAIN = resolve(__dirname, "fixtures/proxy-main.mjs");

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** Runs OpenSSH's own client through the proxy, with `requests` as what Docker's client would send. */
function dial(managers: Connection[], requests: string, options: string[] = []): Promise<Ran> {
  const folder = temporaryFolder();
  const file = join(folder, "managers.json");
  writeFileSync(file, JSON.stringify(managers));
  const started = Date.now();
  const ssh = spawn("ssh", [
    ...[
      "-F",
      "none",
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
    ],
    ...["-o", `ProxyCommand=${process.execPath} ${MAIN} ${HOSTS} ${file}`],
    ...options,
    ...["-l", "moorage", "--", "swarm-dev", "docker", "system", "dial-stdio"],
  ]);
  let stdout = "";
  let stderr = "";
  ssh.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    // The engine closes after its answer, as it was asked to.
  });
  ssh.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  ssh.stdin.on("error", () => undefined);
  ssh.stdin.write(requests);
  return new Promise((done) =>
    ssh.on("close", (code) =>
      done({ code: code ?? -1, stdout, stderr, seconds: (Date.now() - started) / 1000 }),
    ),
  );
}

const INFO = "GET /info HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";

async function manager(name: string) {
  const docker = await startManager(name);
  const server = await startServer({ node: name, sockets: { [DOCKER_SOCKET]: docker.path } });
  return { docker, server, connection: server.connection() };
}

describe("the Docker provider's way in", () => {
  it("leads OpenSSH's client to the first manager", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const ran = await dial([one.connection, two.connection], INFO);
    expect(ran.stdout).toContain("HTTP/1.1 200");
    expect(ran.stdout).toContain('"Name":"swarm-1"');
    expect(ran.code).toBe(0);
  });

  it("passes over a manager that is frozen, in about two seconds at most", async () => {
    const frozen = await startServer({ node: "swarm-1", mute: true });
    const two = await manager("swarm-2");
    const ran = await dial([frozen.connection(), two.connection], INFO);
    expect(ran.stdout).toContain('"Name":"swarm-2"');
    expect(ran.seconds).toBeLessThan(4);
  });

  it("passes over a manager whose Docker is frozen, one that is off and one that is no manager", async () => {
    const frozen = await manager("swarm-1");
    frozen.docker.frozen = true;
    const off = { ...frozen.connection, node: "swarm-2", port: 1 };
    const worker = await manager("swarm-3");
    worker.docker.on("GET", /^\/info$/, () => ({
      json: { Swarm: { LocalNodeState: "active", ControlAvailable: false } },
    }));
    const four = await manager("swarm-4");
    const ran = await dial([frozen.connection, off, worker.connection, four.connection], INFO);
    expect(ran.stdout).toContain('"Name":"swarm-4"');
  });

  it("serves many clients over one multiplexed connection", async () => {
    const one = await manager("swarm-1");
    const folder = temporaryFolder();
    const shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=5", "-o", `ControlPath=${folder}/c`];
    const first = await dial([one.connection], INFO, shared);
    expect(first.stdout).toContain('"Name":"swarm-1"');
    const more = await Promise.all(Array.from({ length: 8 }, () => dial([one.connection], INFO, shared)));
    for (const ran of more) expect(ran.stdout).toContain('"Name":"swarm-1"');
    expect(one.server.connections).toBe(1);
  }, 20_000);

  it("says in one line why no manager serves, and fails", async () => {
    const docker = await startDocker();
    const server = await startServer({ node: "swarm-1", sockets: { [DOCKER_SOCKET]: docker.path } });
    docker.on("GET", /^\/info$/, () => ({
      json: { Swarm: { LocalNodeState: "inactive", ControlAvailable: false } },
    }));
    const off = { ...server.connection(), node: "swarm-2", port: 1 };
    const ran = await dial([server.connection(), off], INFO);
    expect(ran.code).not.toBe(0);
    const line = ran.stderr.split("\n").find((each) => each.startsWith("moorage:"));
    expect(line).toMatch(/no Swarm manager in reach: .*swarm-1: is no Swarm manager now \(inactive\)/);
    expect(line).toMatch(/swarm-2: no SSH connection to core@127\.0\.0\.1:1 after 1 attempt: .*ECONNREFUSED/);
  }, 20_000);
});

describe("managers in a stack's state", () => {
  const secret = (value: unknown) => ({
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
    plaintext: JSON.stringify(value),
  });
  const member = (node: string, role: string, wrap: (value: unknown) => unknown) => ({
    type: "pulumi-nodejs:dynamic:SwarmMember",
    inputs: { role },
    outputs: {
      role,
      connection: wrap({ node, host: "127.0.0.1", port: 22, user: "core", privateKey: "key" }),
    },
  });

  it("are taken with their secrets, workers left out", () => {
    const resources = [
      { type: "pulumi:pulumi:Stack" },
      member("a", "manager", secret),
      member("b", "worker", secret),
      member("c", "manager", (value) => ({ ...(value as object), privateKey: secret("key") })),
    ];
    const managers = managersInState({ deployment: { resources } });
    expect(managers.map(({ node, privateKey }) => [node, privateKey])).toEqual([
      ["a", "key"],
      ["c", "key"],
    ]);
  });

  it("are none in an empty stack", () => {
    expect(managersInState({ deployment: {} })).toEqual([]);
  });
});
