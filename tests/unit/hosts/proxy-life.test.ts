import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, linkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { errorFile, socketOf } from "../../../hosts/src/proxy/socket";
import { sleep } from "../../../hosts/src/time";
import { CLOSING, STACK, STAYING, dial, manager, operator, serve, until } from "./support/proxy";

describe("a proxy that serves", () => {
  it("gives thirty clients at once their answers, with one connection to a manager", async () => {
    const one = await manager("swarm-1");
    // Thirty processes take a while to start on a busy machine.
    const { env } = await serve([one.connection], { idleSeconds: 8 });
    const all = Array.from({ length: 30 }, () => dial(env, CLOSING));
    for (const client of all) {
      expect(await client.ended).toBe(0);
      expect(client.stdout).toContain('"Name":"swarm-1"');
    }
    expect(one.server.connections).toBe(1);
  }, 60_000);

  it("asks another manager when the one in use has died, for clients that stay", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const { env } = await serve([one.connection, two.connection]);
    const open = [dial(env, STAYING), dial(env, STAYING)];
    await until(() => open.every(({ stdout }) => stdout.includes('"Name":"swarm-1"')));
    await one.server.stop();
    for (const { ssh } of open) ssh.stdin.write(STAYING);
    await until(() => open.every(({ stdout }) => stdout.includes('"Name":"swarm-2"')));
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
    const { ended } = await serve([one.connection], { env, idleSeconds: 5 });
    expect(existsSync(errorFile(socket))).toBe(false);
    const client = dial(env, CLOSING);
    expect(await client.ended).toBe(0);
    expect(client.stdout).toContain('"Name":"swarm-1"');
    expect(await ended).toBe(0);
  });

  it("asks another manager what one whose Docker freezes was asked", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const watch = { everySeconds: 0.2, patienceSeconds: 1 };
    const { env } = await serve([one.connection, two.connection], { idleSeconds: 5, watch });
    const open = [dial(env, STAYING), dial(env, STAYING)];
    await until(() => open.every(({ stdout }) => stdout.includes('"Name":"swarm-1"')));
    one.docker.frozen = true;
    for (const { ssh } of open) ssh.stdin.write(STAYING);
    await until(() => open.every(({ stdout }) => stdout.includes('"Name":"swarm-2"')));
  }, 30_000);

  it("outlasts clients that leave while a manager is looked for, and keeps no stream for them", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const { env, ended } = await serve([one.connection, two.connection], { idleSeconds: 4 });
    expect(two.server.connections).toBe(0);
    two.docker.frozen = true;
    await one.server.stop();
    const leaving = [dial(env, STAYING), dial(env, "")];
    await until(() => two.docker.calls("GET", /^\/info$/).length > 0);
    for (const { ssh } of leaving) ssh.kill();
    await Promise.all(leaving.map(({ ended: gone }) => gone));
    two.docker.frozen = false;
    const next = dial(env, CLOSING);
    await next.ended;
    expect(next.stdout).toContain('"Name":"swarm-2"');
    const ending = ended.then(() => "ended before");
    expect(await Promise.race([ending, until(() => two.docker.open === 0)])).toBeUndefined();
    expect(await ended).toBe(0);
  }, 30_000);

  it("serves whom it was found by just before it ended, to the end", async () => {
    const one = await manager("swarm-1");
    const { socket, ended } = await serve([one.connection], { idleSeconds: 0.2 });
    linkSync(socket, `${socket}.found`);
    await until(() => !existsSync(socket));
    const late = connect(`${socket}.found`);
    const [word] = (await once(late, "data")) as [Buffer];
    expect(word.toString()).toMatch(/^SSH-2\.0-/);
    expect(await Promise.race([ended, sleep(1000)])).toBeUndefined();
    late.destroy();
    expect(await ended).toBe(0);
  });

  it("leaves the socket of a younger one alone", async () => {
    const one = await manager("swarm-1");
    const { env, socket, ended } = await serve([one.connection], { idleSeconds: 0.5 });
    await serve([one.connection], { env, idleSeconds: 3 });
    expect(await ended).toBe(0);
    expect(existsSync(socket)).toBe(true);
    const client = dial(env, CLOSING);
    expect(await client.ended).toBe(0);
    expect(client.stdout).toContain('"Name":"swarm-1"');
  });
});
