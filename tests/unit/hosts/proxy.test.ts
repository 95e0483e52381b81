import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { convergedIn, managersIn } from "../../../hosts/src/proxy/managers";
import { sleep } from "../../../hosts/src/time";
import { startDocker, startManager } from "./support/fake-docker";
import { operatorOf, proxies, stop } from "./support/proxy";
import { startServer } from "./support/stop";

const PROXY = resolve(__dirname, "../../../hosts/dist/bin/docker-proxy.js");

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** Runs OpenSSH's own client through the proxy, with `requests` as what Docker's client would send. */
function dial(env: NodeJS.ProcessEnv, requests: string): Promise<Ran> {
  const options = [
    `ProxyCommand=${process.execPath} ${PROXY} --stack organization/moorage/test`,
    "ControlMaster=no",
    "ControlPath=none",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
  ];
  const started = Date.now();
  const ssh = spawn(
    "ssh",
    [
      ...["-F", "none", ...options.flatMap((option) => ["-o", option])],
      ...["-l", "moorage", "--", "swarm-dev", "docker", "system", "dial-stdio"],
    ],
    { env },
  );
  let stdout = "";
  let stderr = "";
  ssh.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
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
    const ran = await dial(operatorOf([one.connection, two.connection]), INFO);
    expect(ran.stdout).toContain("HTTP/1.1 200");
    expect(ran.stdout).toContain('"Name":"swarm-1"');
    expect(ran.code).toBe(0);
  });

  it("passes over a manager that is frozen, in about two seconds at most", async () => {
    const frozen = await startServer({ node: "swarm-1", mute: true });
    const two = await manager("swarm-2");
    const ran = await dial(operatorOf([frozen.connection(), two.connection]), INFO);
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
    const ran = await dial(operatorOf([frozen.connection, off, worker.connection, four.connection]), INFO);
    expect(ran.stdout).toContain('"Name":"swarm-4"');
  });

  it("serves many clients at once with one connection to a manager, and reads the state once", async () => {
    const one = await manager("swarm-1");
    const env = operatorOf([one.connection]);
    const all = await Promise.all(Array.from({ length: 8 }, () => dial(env, INFO)));
    for (const ran of all) expect(ran.stdout).toContain('"Name":"swarm-1"');
    expect(one.server.connections).toBe(1);
    expect(readFileSync(join(env["XDG_RUNTIME_DIR"] ?? "", "asked"), "utf8")).toBe(
      "stack export --show-secrets --stack organization/moorage/test\n",
    );
  }, 20_000);

  it("starts another proxy at once where one was killed, even in its first moments", async () => {
    const one = await manager("swarm-1");
    const env = operatorOf([one.connection]);
    const folder = env["XDG_RUNTIME_DIR"] ?? "";
    const first = dial(env, INFO);
    while (proxies(folder).length === 0) await sleep(5);
    stop(proxies(folder), "SIGKILL");
    expect((await first).stdout).toContain('"Name":"swarm-1"');
    stop(proxies(folder), "SIGKILL");
    const second = await dial(env, INFO);
    expect(second.stdout).toContain('"Name":"swarm-1"');
    expect(second.seconds).toBeLessThan(10);
  }, 30_000);

  it("turns to another manager when the one in use goes away", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const env = operatorOf([one.connection, two.connection]);
    expect((await dial(env, INFO)).stdout).toContain('"Name":"swarm-1"');
    await one.server.stop();
    expect((await dial(env, INFO)).stdout).toContain('"Name":"swarm-2"');
  }, 20_000);

  it("runs nothing but Docker's own way in", async () => {
    const one = await manager("swarm-1");
    const proxy = `ProxyCommand=${process.execPath} ${PROXY} --stack organization/moorage/test`;
    const options = [proxy, "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
    const args = [
      "-F",
      "none",
      ...options.flatMap((option) => ["-o", option]),
      "x@swarm-dev",
      "touch",
      "/tmp/x",
    ];
    const ssh = spawn("ssh", args, { env: operatorOf([one.connection]), stdio: "ignore" });
    const code = await new Promise((done) => ssh.on("close", done));
    expect(code).not.toBe(0);
    expect(one.server.commands).toEqual([]);
  });

  it("says in one line why no manager serves", async () => {
    const docker = await startDocker();
    const server = await startServer({ node: "swarm-1", sockets: { [DOCKER_SOCKET]: docker.path } });
    docker.on("GET", /^\/info$/, () => ({
      json: { Swarm: { LocalNodeState: "inactive", ControlAvailable: false } },
    }));
    const off = { ...server.connection(), node: "swarm-2", port: 1 };
    const ran = await dial(operatorOf([server.connection(), off]), INFO);
    expect(ran.stdout).toContain("HTTP/1.1 503");
    const line = ran.stdout.split("\n").find((each) => each.includes('"message"'));
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
    const managers = managersIn(resources);
    expect(managers.map(({ node, privateKey }) => [node, privateKey])).toEqual([
      ["a", "key"],
      ["c", "key"],
    ]);
  });

  it("are beside what services were seen to run as", () => {
    const converged = (service: string, fingerprint: string, rest: object = {}) => ({
      type: "pulumi-nodejs:dynamic/moorage:Converged",
      outputs: { service, fingerprint, timeoutSeconds: 300 },
      ...rest,
    });
    const resources = [converged("old", "f0", { delete: true }), converged("a", "f1"), converged("b", "f2")];
    expect([...convergedIn([member("a", "manager", secret), ...resources])]).toEqual([
      ["a", "f1"],
      ["b", "f2"],
    ]);
  });

  it("are none in an empty stack", () => {
    expect(managersIn([])).toEqual([]);
  });
});
