import { chmodSync, existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { managersIn } from "../../../hosts/src/proxy/managers";
import { takeMark } from "../../../hosts/src/proxy/mark";
import { errorFile, socketOf } from "../../../hosts/src/proxy/socket";
import { until } from "../../support/waiting";
import {
  CLOSING,
  STACK,
  asked,
  dial,
  manager,
  named,
  operator,
  operatorOf,
  proxies,
  serve,
  stop,
} from "./support/proxy";
import { temporaryFolder } from "./support/stop";

/** What a mark says of a process that is alive. */
function record(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}\n`;
}

/** Makes a file look as old as that. */
function age(file: string, seconds: number): void {
  const then = new Date();
  then.setSeconds(then.getSeconds() - seconds);
  utimesSync(file, then, then);
}

describe("OpenSSH's client behind the ProxyCommand", () => {
  it("shares one proxy and one connection with others, for which the state is read once", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const env = operatorOf([one.connection, two.connection]);
    const all = [dial(env, CLOSING), dial(env, CLOSING), dial(env, CLOSING)];
    for (const client of all) {
      expect(await client.ended).toBe(0);
      expect(client.stdout).toContain("HTTP/1.1 200");
      expect(client.stdout).toContain(named("swarm-1"));
    }
    expect([one.server.connections, two.server.connections]).toEqual([1, 0]);
    expect(asked(env)).toEqual([`stack export --show-secrets --stack ${STACK}`]);
  });

  it("runs nothing but `docker system dial-stdio`", async () => {
    const one = await manager("swarm-1");
    const { env } = await serve([one.connection]);
    const client = dial(env, "", ["touch", "/tmp/x"]);
    expect(await client.ended).not.toBe(0);
    expect(one.server.commands).toEqual([]);
  });

  it("starts another proxy if one was killed, even before that could serve", async () => {
    const one = await manager("swarm-1");
    const env = operatorOf([one.connection]);
    const folder = env.XDG_RUNTIME_DIR;
    writeFileSync(join(folder, "hold"), "");
    const first = dial(env, CLOSING);
    await until("a proxy that reads the state", () => {
      expect(asked(env)).toHaveLength(1);
    });
    stop(proxies(folder), "SIGKILL");
    rmSync(join(folder, "hold"));
    await first.ended;
    expect(first.stdout).toContain(named("swarm-1"));
    stop(proxies(folder), "SIGKILL");
    const second = dial(env, CLOSING);
    await second.ended;
    expect(second.stdout).toContain(named("swarm-1"));
    expect(asked(env)).toHaveLength(3);
  });

  it("shows in one line why there is no proxy, which is not tried again for some seconds", async () => {
    const env = operator();
    const failure = errorFile(socketOf(STACK, env));
    const attempts = async (seconds: number) => {
      if (existsSync(failure)) age(failure, seconds);
      const client = dial(env, CLOSING);
      expect(await client.ended).not.toBe(0);
      expect(client.stderr).toMatch(
        /^moorage: stack organization\/moorage\/test cannot be read: no such stack$/m,
      );
      return asked(env).length;
    };
    expect(await attempts(0)).toBe(1);
    // However long this takes, the failure is fresh.
    expect(await attempts(-3600)).toBe(1);
    expect(await attempts(60)).toBe(2);
    expect(existsSync(`${socketOf(STACK, env)}.starting`)).toBe(false);
  });

  it("waits for a proxy that another process starts, and loses nothing if one closes at once", async () => {
    const env = operator();
    const socket = socketOf(STACK, env);
    expect(takeMark(socket)).toBe(true);
    let closed = 0;
    const ending = createServer((connection) => void ((closed += 1), connection.destroy()));
    await new Promise<void>((done) => ending.listen(socket, done));
    const client = dial(env, CLOSING);
    await until("two attempts", () => expect(closed).toBeGreaterThan(1));
    await new Promise((done) => ending.close(done));
    const one = await manager("swarm-1");
    await serve([one.connection], { env });
    expect(await client.ended).toBe(0);
    expect(client.stdout).toContain(named("swarm-1"));
    expect(existsSync(join(env.XDG_RUNTIME_DIR, "asked"))).toBe(false);
    expect(existsSync(`${socket}.starting`)).toBe(false);
  });

  it("refuses a folder that others may enter", async () => {
    const env = operator();
    const folder = dirname(socketOf(STACK, env));
    chmodSync(folder, 0o755);
    const client = dial(env, CLOSING);
    expect(await client.ended).not.toBe(0);
    expect(client.stderr).toContain(`moorage: ${folder} is not a folder of this user alone: remove it`);
  });
});

describe("the mark of a process that starts the proxy", () => {
  it.each([
    ["of a process that is alive", record(process.pid), 0, false],
    ["that is old", record(process.pid), 60, true],
    ["of a process that has ended", "4194304 1\n", 0, true],
    ["of a process whose number another one has now", `${process.pid} 1\n`, 0, true],
    ["that is empty", "", 0, true],
  ])("%s", (_what, content, seconds, isFree) => {
    const socket = join(temporaryFolder(), "proxy.sock");
    const mark = `${socket}.starting`;
    writeFileSync(mark, content);
    age(mark, seconds);
    expect(takeMark(socket)).toBe(isFree);
  });
});

describe("the folder of the socket", () => {
  it.each([undefined, ""])("is among temporary files if XDG_RUNTIME_DIR is %j", (value) => {
    const folder = temporaryFolder();
    vi.stubEnv("TMPDIR", folder);
    expect(dirname(dirname(socketOf(STACK, { XDG_RUNTIME_DIR: value })))).toBe(folder);
    vi.unstubAllEnvs();
  });
});

describe("a stack's state", () => {
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

  it("has managers with their secrets, and no workers among them", () => {
    const resources = [
      { type: "pulumi:pulumi:Stack" },
      member("a", "manager", secret),
      member("b", "worker", secret),
      member("c", "manager", (value) => ({ ...(value as object), privateKey: secret("key") })),
    ];
    expect(managersIn(resources).map(({ node, privateKey }) => [node, privateKey])).toEqual([
      ["a", "key"],
      ["c", "key"],
    ]);
    expect(managersIn([])).toEqual([]);
  });
});
