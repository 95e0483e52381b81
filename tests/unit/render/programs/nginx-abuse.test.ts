import * as net from "node:net";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { NameServer } from "./dns";
import { basic, Front, type Answer } from "./front";
import { Upstream } from "./upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const admin = "admin:root";
const digest = `sha256:${"a".repeat(64)}`;
const uploads = "/v2/team/app/blobs/uploads/";
const users = {
  admin: { password: "root", rights: [{ prefix: "", access: "write" as const }] },
  team: { password: "blue", rights: [{ prefix: "team/", access: "write" as const }] },
};

let names: NameServer;
const fronts: Front[] = [];
const registry = new Upstream("registry", "127.0.2.1", 25000);

beforeAll(async () => {
  names = await NameServer.start();
  names.names.set("registry", "127.0.2.1");
  await registry.start();
});
afterAll(async () => {
  await Promise.all(fronts.map((front) => front.stop()));
  await registry.stop();
  names.stop();
});

/** A front that has found its registry. */
async function frontWith(
  args: ConstructorParameters<typeof Front>[2] | object = {},
  instead: Record<string, string> = {},
): Promise<Front> {
  const registries = [{ name: "registry", port: 25000 }];
  const front = new Front(
    25451 + fronts.length,
    users,
    { registries, resolver: names.address, ...args },
    instead,
  );
  fronts.push(front);
  await front.start();
  for (let tries = 0; tries < 100; tries++) {
    if ((await front.ask("/v2/", { user: admin, from: "127.0.0.99" })).status === 200) return front;
    await sleep(50);
  }
  throw new Error(`the front does not find its registry:\n${front.log}`);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function head(method: string, target: string, ...headers: string[]): string {
  const all = ["Host: registry.test", `Authorization: ${basic(admin)}`, ...headers];
  return `${method} ${target} HTTP/1.1\r\n${all.map((line) => `${line}\r\n`).join("")}\r\n`;
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);

const count = (answers: readonly Answer[], status: number): number =>
  answers.filter((one) => one.status === status).length;

/** Seconds until the front ends a connection. */
function untilClosed(socket: net.Socket): Promise<number> {
  const since = performance.now();
  return new Promise((resolve) => {
    const end = (): void => resolve((performance.now() - since) / 1000);
    socket.on("end", end).on("close", end).on("error", end).resume();
  });
}

describe("TLS", () => {
  let front: Front;
  beforeAll(async () => void (front = await frontWith()));

  /** What is agreed on, or nothing. */
  async function agreed(options: Parameters<Front["connect"]>[0]): Promise<string | undefined> {
    let socket: TLSSocket;
    try {
      socket = await front.connect(options);
    } catch {
      return undefined;
    }
    const found = `${socket.getProtocol() ?? ""} ${socket.getCipher().name}`;
    socket.destroy();
    return found;
  }

  it.each(["TLSv1", "TLSv1.1"] as const)("refuses %s", async (version) => {
    const only = { minVersion: version, maxVersion: version, ciphers: "ALL:@SECLEVEL=0" } as const;
    expect(await agreed(only)).toBeUndefined();
  });

  it("takes 1.3, and 1.2 with the intermediate list's ciphers for such a certificate alone", async () => {
    expect(await agreed({ minVersion: "TLSv1.3" })).toMatch(/^TLSv1\.3 TLS_/);
    const one = async (cipher: string) =>
      (await agreed({ maxVersion: "TLSv1.2", ciphers: `${cipher}:@SECLEVEL=0` })) === undefined
        ? []
        : [cipher];
    const ciphers = [
      ...["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"],
      ...["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256"],
      ...["AES128-GCM-SHA256", "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"],
    ];
    expect((await Promise.all(ciphers.map(one))).flat()).toEqual(ciphers.slice(0, 3));
  });

  it("tells browsers to stay with it, and nobody its version", async () => {
    for (const target of ["/v2/", "/v2/_catalog", "/", "/v1"]) {
      for (const user of [admin, undefined]) {
        const { headers } = await front.ask(target, { user });
        expect(headers["strict-transport-security"]).toBe("max-age=63072000");
        expect(headers.server).toBe("nginx");
      }
    }
  });
});

describe("one address", () => {
  it("pulls a dozen layers at once, and as many small things as a start of many containers asks for", async () => {
    const front = await frontWith();
    const before = registry.reply;
    registry.reply = (_, response) => {
      response.writeHead(200, { "Content-Length": "65536" });
      response.write(Buffer.alloc(1024));
      setTimeout(() => response.end(Buffer.alloc(64 * 1024 - 1024)), 1000);
    };
    const layer = () => front.ask(`/v2/team/app/blobs/${digest}`, { user: admin });
    expect(count(await Promise.all(Array.from({ length: 36 }, layer)), 200)).toBe(36);
    registry.reply = before;
    const since = Date.now();
    const small = () => front.ask("/v2/team/app/manifests/latest", { user: admin, method: "HEAD" });
    expect(count(await Promise.all(Array.from({ length: 200 }, small)), 200)).toBe(200);
    expect(Date.now() - since).toBeLessThan(10_000);
  });

  it("has so many requests in progress, while another goes on", async () => {
    const front = await frontWith({ connectionsPerAddress: 8 });
    const before = registry.reply;
    registry.reply = (_, response) => void setTimeout(() => response.end("{}"), 1500);
    const many = Array.from({ length: 20 }, () => front.ask("/v2/team/app/tags/list", { user: admin }));
    await sleep(700);
    const other = front.ask("/v2/team/app/tags/list", { user: admin, from: "127.0.0.7" });
    expect((await front.ask("/healthz")).status).toBe(200);
    const answers = await Promise.all(many);
    registry.reply = before;
    expect([count(answers, 200), count(answers, 429)]).toEqual([8, 12]);
    expect((await other).status).toBe(200);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers["retry-after"]).toBe("1");
    expect(JSON.parse(refused?.body ?? "")).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
    expect((await front.ask("/v2/", { user: admin })).status).toBe(200);
  });

  it("is slowed down where it asks too often, and then refused, while another goes on", async () => {
    const front = await frontWith({ requestsPerSecond: 10 });
    const ask = async (_: unknown, n: number): Promise<Answer & { seconds: number }> => {
      const since = performance.now();
      const answer = await front.ask(`/v2/team/app/manifests/t${n}`, { user: admin });
      return { ...answer, seconds: (performance.now() - since) / 1000 };
    };
    const flood = Promise.all(Array.from({ length: 140 }, ask));
    await sleep(500);
    const since = performance.now();
    expect((await front.ask("/v2/", { user: admin, from: "127.0.0.8" })).status).toBe(200);
    expect(performance.now() - since).toBeLessThan(2000);
    const answers = await flood;
    expect(count(answers, 200) + count(answers, 429)).toBe(140);
    expect(count(answers, 429)).toBeGreaterThan(20);
    expect(count(answers, 200)).toBeGreaterThanOrEqual(90);
    expect(Math.max(...answers.map(({ seconds }) => seconds))).toBeGreaterThan(3);
  });
});

describe("who is slow", () => {
  let front: Front;
  beforeAll(async () => {
    const instead = {
      "client_header_timeout 15s": "client_header_timeout 2s",
      "client_body_timeout 60s": "client_body_timeout 2s",
    };
    front = await frontWith({}, instead);
  });

  it("is cut off before its request is there, however it fills the time", async () => {
    const silent = net.connect(front.port, "127.0.0.1");
    const greeted = await front.connect();
    const dripping = await front.connect();
    dripping.write("GET /v2/ HTTP/1.1\r\n");
    const drip = setInterval(() => dripping.writable && dripping.write("X-Slow: 1\r\n"), 300);
    const all = await Promise.all([silent, greeted, dripping].map(untilClosed));
    clearInterval(drip);
    for (const seconds of all) expect(seconds).toBeLessThan(4);
  });

  it("is cut off in a body that does not go on", async () => {
    const socket = await front.connect();
    socket.write(`${head("PATCH", `${uploads}0a`, "Content-Length: 1000000")}some`);
    expect(await untilClosed(socket)).toBeLessThan(4);
  });

  it("passes with a large layer that comes in small pieces", async () => {
    const socket = await front.connect();
    socket.write(head("PATCH", `${uploads}0b`, "Content-Length: 60000", "Connection: close"));
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    const closed = untilClosed(socket);
    for (let at = 0; at < 6; at++) {
      await sleep(1000);
      socket.write(Buffer.alloc(10_000, at));
    }
    await closed;
    expect(statusOf(answer)).toBe(200);
  });

  it("keeps nobody else out", async () => {
    const slow = await Promise.all(Array.from({ length: 300 }, () => front.connect()));
    for (const socket of slow) socket.on("error", () => undefined).write("GET /v2/ HTTP/1.1\r\nHost: x\r\n");
    const since = performance.now();
    expect((await front.ask("/v2/", { user: admin, from: "127.0.0.9" })).status).toBe(200);
    expect(performance.now() - since).toBeLessThan(1000);
    for (const socket of slow) socket.destroy();
  });
});

describe("what makes no sense", () => {
  let front: Front;
  beforeAll(async () => {
    front = await frontWith({}, { "client_max_body_size 312g": "client_max_body_size 1m" });
  });

  const host = "Host: registry.test\r\n";
  const known = `Authorization: ${basic(admin)}\r\n`;
  it.each([
    ["no HTTP", "\x16\x03\x01 nonsense\r\n\r\n"],
    ["a request without a version", `GET /v2/\r\n`],
    ["a version that nobody has", `GET /v2/ HTTP/7.5\r\n${host}\r\n`],
    ["no host", "GET /v2/ HTTP/1.1\r\n\r\n"],
    ["two hosts", `GET /v2/ HTTP/1.1\r\n${host}Host: other\r\n\r\n`],
    ["a host with a path", "GET /v2/ HTTP/1.1\r\nHost: a/../b\r\n\r\n"],
    ["a zero byte in a header", `GET /v2/ HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`],
    ["a zero byte in the path", `GET /v2/a\0/tags/list HTTP/1.1\r\n${host}\r\n`],
    ["an encoded zero byte", `GET /v2/a%00/tags/list HTTP/1.1\r\n${host}${known}\r\n`],
    ["half an escape", `GET /v2/a%2/tags/list HTTP/1.1\r\n${host}${known}\r\n`],
    ["a path above the root", `GET /../../etc/passwd HTTP/1.1\r\n${host}${known}\r\n`],
    ["a backslash", `GET /v2\\..\\x HTTP/1.1\r\n${host}${known}\r\n`],
    ["another site's address", `GET http://10.0.2.12:9000/minio/health/live HTTP/1.1\r\n${host}${known}\r\n`],
    ["a tunnel", `CONNECT 10.0.2.12:9000 HTTP/1.1\r\nHost: 10.0.2.12:9000\r\n\r\n`],
    ["TRACE", `TRACE /v2/ HTTP/1.1\r\n${host}${known}\r\n`],
    ["a method in small letters", `get /v2/ HTTP/1.1\r\n${host}\r\n`],
    [
      "two lengths",
      `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    ],
    [
      "a length and chunks",
      `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["a negative length", `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Content-Length: -1\r\n\r\n`],
    [
      "a length beyond numbers",
      `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Content-Length: 99999999999999999999\r\n\r\n`,
    ],
    [
      "a coding that nobody has",
      `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    ],
    [
      "no chunk",
      `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n`,
    ],
    [
      "a chunk beyond numbers",
      `PATCH ${uploads}0 HTTP/1.1\r\n${host}${known}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n`,
    ],
    [
      "more headers than fit",
      `GET /v2/ HTTP/1.1\r\n${host}${Array.from({ length: 40 }, (_, n) => `X-${n}: ${"x".repeat(8000)}\r\n`).join("")}\r\n`,
    ],
  ])("%s is refused, and reaches no registry", async (_, bytes) => {
    registry.seen.length = 0;
    const answer = await front.say(bytes.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    if (answer !== "" && !answer.startsWith("{")) {
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answer).not.toMatch(/nginx\//);
    }
    expect(registry.seen.filter(({ url }) => url !== "/")).toEqual([]);
    expect((await front.ask("/v2/", { user: admin })).status).toBe(200);
  });

  it.each([
    ["a manifest", "PUT", "/v2/team/app/manifests/v1", 6],
    ["a question", "GET", "/v2/team/app/tags/list", 1],
    ["a deletion", "DELETE", `/v2/team/app/blobs/${digest}`, 1],
    ["a layer without an end", "PATCH", `${uploads}0c`, 64],
  ])("%s with a body in chunks that is too large ends there", async (_, method, target, mebibytes) => {
    registry.seen.length = 0;
    const socket = await front.connect();
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    const closed = untilClosed(socket);
    socket.write(head(method, target, "Transfer-Encoding: chunked"));
    const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65536, 1), Buffer.from("\r\n")]);
    for (let sent = 0; sent < mebibytes * 16 && socket.writable && answer === ""; sent++) {
      if (!socket.write(chunk)) await Promise.race([sleep(50), closed]);
    }
    await Promise.race([closed, sleep(8000)]);
    socket.destroy();
    expect(statusOf(answer)).toBe(413);
    expect(registry.seen.filter(({ url }) => url !== "/")).toEqual([]);
  });

  it("an upload that its client gives up is given up towards the registry too", async () => {
    registry.seen.length = 0;
    const socket = await front.connect();
    socket.write(`${head("PATCH", `${uploads}0d`, "Content-Length: 1000000")}some`);
    await sleep(300);
    socket.destroy();
    await sleep(300);
    // A registry that saw the end of the body would have an answer for it.
    expect(registry.seen.filter(({ method }) => method === "PATCH")).toEqual([]);
    expect((await front.ask("/v2/", { user: admin })).status).toBe(200);
  });
});

describe("guessing", () => {
  let front: Front;
  const guess = (n: number, from: string): Promise<Answer> =>
    front.ask("/v2/", { user: `admin:guess${n}`, from });
  beforeAll(async () => {
    // Answers that the front remembers for half a minute are forgotten here before the next request.
    front = await frontWith({}, { "proxy_cache_valid 204 30s": "proxy_cache_valid 204 1s" });
  });

  it("is refused after ten passwords, from that address alone", async () => {
    const from = "127.0.0.21";
    const answers: Answer[] = [];
    for (let n = 0; n < 30; n++) answers.push(await guess(n, from));
    expect(answers.slice(0, 10).every(({ status }) => status === 401)).toBe(true);
    expect(count(answers, 429)).toBeGreaterThanOrEqual(10);
    expect((await front.ask("/v2/", { user: "team:blue", from: "127.0.0.22" })).status).toBe(200);
  });

  it("touches nobody at the same address whose password was right before", async () => {
    const from = "127.0.0.23";
    expect((await front.ask("/v2/", { user: "team:blue", from })).status).toBe(200);
    let guessing = true;
    const guesses = (async () => {
      for (let n = 0; guessing; n++) await Promise.all([0, 1, 2, 3].map((m) => guess(4 * n + m, from)));
    })();
    for (let n = 0; n < 5; n++) {
      await sleep(1200);
      expect((await front.ask("/v2/", { user: "team:blue", from })).status).toBe(200);
    }
    guessing = false;
    await guesses;
    expect((await guess(1000, from)).status).toBe(429);
  });

  it("is remembered until the address has been still for a while", async () => {
    const brief = await frontWith(
      {},
      { "zone=refused_logins:1m timeout=2m": "zone=refused_logins:1m timeout=2s" },
    );
    const tried = async (count: number): Promise<number[]> => {
      const statuses: number[] = [];
      for (let n = 0; n < count; n++) {
        await sleep(300);
        statuses.push((await brief.ask("/v2/", { user: `admin:guess${n}`, from: "127.0.0.26" })).status);
      }
      return statuses;
    };
    expect(await tried(25)).toContain(429);
    await sleep(4000);
    expect(await tried(5)).toEqual([401, 401, 401, 401, 401]);
  });

  it("is not what clients without a password do, as each does at first", async () => {
    const from = "127.0.0.24";
    for (let n = 0; n < 60; n++) expect((await front.ask("/v2/", { from })).status).toBe(401);
    expect((await front.ask("/v2/", { user: admin, from })).status).toBe(200);
  });

  it("with a password that was right once is guessing, too", async () => {
    const from = "127.0.0.25";
    front.addPassword("previous", "admin", "older");
    expect((await front.ask("/v2/", { user: "admin:older", from })).status).toBe(200);
    front.forgetPasswords("previous");
    await sleep(2500);
    const answers: Answer[] = [];
    for (let n = 0; n < 30; n++) answers.push(await front.ask("/v2/", { user: "admin:older", from }));
    expect(count(answers, 200)).toBe(0);
    expect(count(answers, 429)).toBeGreaterThanOrEqual(10);
  });
});
