import { existsSync, linkSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { errorFile, socketOf } from "../../../hosts/src/proxy/socket";
import { stays, until } from "../../support/waiting";
import { ProxyClient, STACK, STAYING, answerTo, manager, named, operator, serve } from "./support/proxy";

describe("a proxy that serves", () => {
  it("gives thirty clients at once their answers, with one connection to a manager", async () => {
    const one = await manager("swarm-1");
    const { socket } = await serve([one.connection]);
    const answers = await Promise.all(Array.from({ length: 30 }, () => answerTo(socket)));
    for (const answer of answers) expect(answer).toContain(named("swarm-1"));
    expect(one.server.connections).toBe(1);
  });

  it.each<[string, (one: Awaited<ReturnType<typeof manager>>) => unknown]>([
    ["dies", ({ server }) => server.stop()],
    ["has a Docker that freezes", ({ docker }) => (docker.frozen = true)],
  ])("asks another manager if the one in use %s", async (_what, fail) => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const watch = { everySeconds: 0.2, patienceSeconds: 0.3 };
    const { socket } = await serve([one.connection, two.connection], { watch });
    const open = [await ProxyClient.to(socket, STAYING), await ProxyClient.to(socket, STAYING)];
    for (const client of open) await client.gets('"Name":"swarm-');
    // On a busy machine the other one may be in use already.
    const isFirst = open[0]?.stdout.includes(named("swarm-1"));
    const [inUse, other] = isFirst ? [one, "swarm-2"] : [two, "swarm-1"];
    await fail(inUse);
    for (const { channel } of open) channel.write(STAYING);
    for (const client of open) await client.gets(named(other));
    expect(await answerTo(socket)).toContain(named(other));
  });

  it("stays for a client that is only quiet, ends if idle, and leaves no socket", async () => {
    const one = await manager("swarm-1");
    const idle = () => serve([one.connection], { idleSeconds: 0.2 });
    // On a busy machine the proxy may end before the client comes.
    const { socket, client } = await until("a client in time", async () => {
      const proxy = await idle();
      return { ...proxy, client: await ProxyClient.to(proxy.socket, STAYING) };
    });
    await client.gets(named("swarm-1"));
    const event = async () => {
      const other = await idle();
      expect(await other.ended).toBe(0);
      expect(existsSync(other.socket)).toBe(false);
    };
    await stays("its socket", () => expect(existsSync(socket)).toBe(true), { rounds: 2, event });
    client.leave();
    await until("its end", () => expect(existsSync(socket)).toBe(false));
  });

  it("takes the place of one that left its socket and its error behind", async () => {
    const one = await manager("swarm-1");
    const env = operator();
    const socket = socketOf(STACK, env);
    // A server removes its socket as it ends, but not by another name.
    const old = createServer();
    await new Promise<void>((done) => old.listen(socket, done));
    linkSync(socket, `${socket}.old`);
    await new Promise((done) => old.close(done));
    renameSync(`${socket}.old`, socket);
    writeFileSync(errorFile(socket), "old");
    await serve([one.connection], { env });
    expect(existsSync(errorFile(socket))).toBe(false);
    expect(await answerTo(socket)).toContain(named("swarm-1"));
  });

  it("outlasts clients that leave during the search for a manager, and keeps no stream for them", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    const { socket } = await serve([one.connection, two.connection]);
    two.docker.frozen = true;
    await one.server.stop();
    const leaving = [await ProxyClient.to(socket, STAYING), await ProxyClient.to(socket, "")];
    await until("a search", () => expect(two.docker.calls("GET", /^\/info$/)).not.toEqual([]));
    for (const client of leaving) client.leave();
    two.docker.frozen = false;
    expect(await answerTo(socket)).toContain(named("swarm-2"));
    await until("no stream in use", () => expect(two.docker.open).toBe(0));
  });

  it("still serves a client that found it just before it ended", async () => {
    const one = await manager("swarm-1");
    const { socket } = await serve([one.connection], { idleSeconds: 0.1, farewellMs: 600_000 });
    linkSync(socket, `${socket}.found`);
    await until("its end", () => expect(existsSync(socket)).toBe(false));
    expect(await answerTo(`${socket}.found`)).toContain(named("swarm-1"));
  });

  it("does not remove the socket of a younger one", async () => {
    const one = await manager("swarm-1");
    const older = await serve([one.connection]);
    const { socket } = await serve([one.connection], { env: older.env });
    older.end();
    expect(await older.ended).toBe(0);
    expect(await answerTo(socket)).toContain(named("swarm-1"));
  });
});
