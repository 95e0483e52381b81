import { chmodSync, existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { takeMark } from "../../../hosts/src/proxy/mark";
import { socketOf } from "../../../hosts/src/proxy/socket";
import { sleep } from "../../../hosts/src/time";
import { CLOSING, STACK, dial, manager, operator, serve, until } from "./support/proxy";
import { afterwards, temporaryFolder } from "./support/stop";

/** What a mark says of a process that is alive. */
function record(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}\n`;
}

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

  it.each([
    ["is old", record(process.pid), 60],
    ["is of a process that has ended", "4194304 1\n", 0],
    ["is of a process whose number another one has now", `${process.pid} 1\n`, 0],
    ["is none", "", 0],
  ])("starts a proxy where the mark of another that starts it %s", async (_why, content, age) => {
    const env = operator();
    const mark = `${socketOf(STACK, env)}.starting`;
    writeFileSync(mark, content);
    utimesSync(mark, Date.now() / 1000 - age, Date.now() / 1000 - age);
    const client = dial(env, CLOSING);
    await client.ended;
    expect(client.stderr).toContain("no such stack");
    await until(() => !existsSync(mark));
  });

  it("waits for the proxy that another one starts", async () => {
    const env = operator();
    const socket = socketOf(STACK, env);
    expect(takeMark(socket)).toBe(true);
    const client = dial(env, CLOSING);
    await sleep(500);
    const late = createServer((connection) => connection.end("found\n"));
    await new Promise<void>((done) => late.listen(socket, done));
    afterwards(() => late.close());
    await client.ended;
    expect(existsSync(join(env.XDG_RUNTIME_DIR, "asked"))).toBe(false);
  });

  it("tries again where a proxy closes at once, and has lost nothing of what it sends", async () => {
    const env = operator();
    const socket = socketOf(STACK, env);
    takeMark(socket);
    let closed = 0;
    const ending = createServer((connection) => void ((closed += 1), connection.destroy()));
    await new Promise<void>((done) => ending.listen(socket, done));
    const client = dial(env, CLOSING);
    await until(() => closed > 1);
    await new Promise((done) => ending.close(done));
    const one = await manager("swarm-1");
    await serve([one.connection], { env });
    expect(await client.ended).toBe(0);
    expect(client.stdout).toContain('"Name":"swarm-1"');
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

  it("has no mark any more once the proxy listens, and is waited for by one at a time", async () => {
    const env = operator();
    const socket = socketOf(STACK, env);
    expect([takeMark(socket), takeMark(socket)]).toEqual([true, false]);
    const one = await manager("swarm-1");
    await serve([one.connection], { env });
    expect(existsSync(`${socket}.starting`)).toBe(false);
  });
});

describe("the folder of the socket", () => {
  it.each([undefined, ""])("is among temporary files where XDG_RUNTIME_DIR is %j", (value) => {
    const folder = temporaryFolder();
    vi.stubEnv("TMPDIR", folder);
    expect(dirname(dirname(socketOf(STACK, { XDG_RUNTIME_DIR: value })))).toBe(folder);
    vi.unstubAllEnvs();
  });
});
