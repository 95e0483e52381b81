import type { ServerResponse } from "node:http";
import * as net from "node:net";
import type { TLSSocket } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { basic, count, type Answer, type Front } from "./front";
import { admin, Fronts } from "./fronts";

const digest = `sha256:${"a".repeat(64)}`;
const uploads = "/v2/team/app/blobs/uploads/";

const fronts = new Fronts();
const { haproxy } = fronts;

function head(method: string, target: string, ...headers: string[]): string {
  const all = ["Host: registry.test", `Authorization: ${basic(admin)}`, ...headers];
  return `${method} ${target} HTTP/1.1\r\n${all.map((line) => `${line}\r\n`).join("")}\r\n`;
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);

/** Waits until the front ends a connection. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => resolve();
    socket.on("end", end).on("close", end).on("error", end).resume();
  });
}

/** One for what its usual configuration decides. */
let front: Front;
beforeAll(async () => void (front = await fronts.start()));

describe("TLS", () => {
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
    const held: ServerResponse[] = [];
    const answers = await haproxy.answering(
      (_, response) => void held.push(response),
      async () => {
        const layer = (_: unknown, n: number) =>
          front.ask(`/v2/team/app/blobs/sha256:${String(n).padStart(64, "0")}`, { user: admin });
        const layers = Promise.all(Array.from({ length: 36 }, layer));
        await until("all of them are in progress", () => expect(held).toHaveLength(36));
        for (const response of held) response.end(Buffer.alloc(64 * 1024));
        return layers;
      },
    );
    expect(count(answers, 200)).toBe(36);
    const small = () => front.ask("/v2/team/app/manifests/latest", { user: admin, method: "HEAD" });
    expect(count(await Promise.all(Array.from({ length: 100 }, small)), 200)).toBe(100);
  });

  it("has a limited number of requests in progress, while another goes on", async () => {
    const strict = await fronts.start({ limits: { connections: 8 } });
    const list = (from?: string) => strict.ask("/v2/team/app/tags/list", { user: admin, from });
    const held: ServerResponse[] = [];
    const answers: Answer[] = [];
    await haproxy.answering(
      (_, response) => void held.push(response),
      async () => {
        const many = Array.from({ length: 20 }, () => list().then((answer) => answers.push(answer)));
        await until("eight are in progress", () => expect([held.length, answers.length]).toEqual([8, 12]));
        const other = list("127.0.0.7");
        await until("another address's is, too", () => expect(held).toHaveLength(9));
        expect((await strict.ask("/healthz")).status).toBe(200);
        for (const response of held) response.end("{}");
        expect((await other).status).toBe(200);
        await Promise.all(many);
      },
    );
    expect([count(answers, 200), count(answers, 429)]).toEqual([8, 12]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers["retry-after"]).toBe("1");
    expect(JSON.parse(refused?.body ?? "")).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
    expect((await strict.ask("/v2/", { user: admin })).status).toBe(200);
  });

  it("has a limited number of writes in progress for each user, whose reads go on", async () => {
    const strict = await fronts.start({ limits: { writesPerUser: 3 } });
    const target = "/v2/team/app/manifests/v1";
    const ask = (user: string, method: string, from = "127.0.0.1", body = method === "PUT" ? "{}" : "") =>
      strict.ask(target, { user, method, from, body, headers: { "content-length": String(body.length) } });
    const team = "team:blue";
    // Its password is known from then on.
    expect((await ask(team, "GET")).status).toBe(200);
    const held: ServerResponse[] = [];
    const answers: Answer[] = [];
    const put = (user: string, from?: string) =>
      ask(user, "PUT", from).then((answer) => answers.push(answer));
    await haproxy.answering(
      ({ method }, response) => void (method === "PUT" ? held.push(response) : response.end("{}")),
      async () => {
        // From another address it is the same user.
        const many = [1, 2, 3, 4, 5].map((n) => put(admin, n % 2 ? "127.0.0.1" : "127.0.0.7"));
        await until("three are in progress", () => expect([held.length, answers.length]).toEqual([3, 2]));
        expect((await ask(admin, "GET")).status).toBe(200);
        // Its body would be kept as a write's is.
        expect((await ask(admin, "GET", "127.0.0.1", "{}")).status).toBe(429);
        // Who only says that it is the admin takes nothing from the admin.
        expect((await ask("admin:wrong", "PUT", "127.0.0.8")).status).toBe(401);
        many.push(put(team));
        await until("another user's is, too", () => expect(held).toHaveLength(4));
        for (const response of held) response.end("{}");
        await Promise.all(many);
      },
    );
    expect([count(answers, 200), count(answers, 429)]).toEqual([4, 2]);
    expect((await ask(admin, "PUT")).status).toBe(200);
  });

  it("is refused where it asks too often, while another goes on", async () => {
    // Five at once and none slowed down, as that takes seconds.
    const strict = await fronts.start(
      { limits: { requestsPerSecond: 1 } },
      { "burst=10 delay=5;": "burst=5 nodelay;" },
    );
    const ask = (_: unknown, n: number) => strict.ask(`/v2/team/app/manifests/t${n}`, { user: admin });
    const answers = await Promise.all(Array.from({ length: 60 }, ask));
    expect((await strict.ask("/v2/", { user: admin, from: "127.0.0.8" })).status).toBe(200);
    expect(count(answers, 200) + count(answers, 429)).toBe(60);
    expect(count(answers, 200)).toBeGreaterThanOrEqual(6);
    expect(count(answers, 429)).toBeGreaterThan(0);
  });
});

describe("who is slow", () => {
  it("is cut off before its request is there, in a body that does not go on, and however it fills the time", async () => {
    const strict = await fronts.start(
      {},
      {
        "client_header_timeout 15s": "client_header_timeout 2s",
        "client_body_timeout 60s": "client_body_timeout 2s",
      },
    );
    const silent = net.connect(strict.port, "127.0.0.1");
    const [greeted, dripping, stopped] = [
      await strict.connect(),
      await strict.connect(),
      await strict.connect(),
    ];
    dripping.write("GET /v2/ HTTP/1.1\r\n");
    const drip = setInterval(() => dripping.writable && dripping.write("X-Slow: 1\r\n"), 100);
    stopped.write(`${head("PATCH", `${uploads}0a`, "Content-Length: 1000000")}some`);
    await Promise.all([silent, greeted, dripping, stopped].map(closed));
    clearInterval(drip);
  });

  it("keeps nobody else out", async () => {
    const slow = await Promise.all(Array.from({ length: 100 }, () => front.connect()));
    for (const socket of slow) socket.on("error", () => undefined).write("GET /v2/ HTTP/1.1\r\nHost: x\r\n");
    expect((await front.ask("/v2/", { user: admin, from: "127.0.0.9" })).status).toBe(200);
    for (const socket of slow) socket.destroy();
  });
});

describe("what makes no sense", () => {
  const host = "Host: registry.test\r\n";
  const known = `Authorization: ${basic(admin)}\r\n`;
  it.each([
    ["no HTTP", "\x16\x03\x01 nonsense\r\n\r\n"],
    ["a request without a version", `GET /v2/\r\n`],
    ["a version that nobody has", `GET /v2/ HTTP/7.5\r\n${host}${known}\r\n`],
    ["no host", `GET /v2/ HTTP/1.1\r\n${known}\r\n`],
    ["two hosts", `GET /v2/ HTTP/1.1\r\n${host}Host: other\r\n${known}\r\n`],
    ["a host with a path", `GET /v2/ HTTP/1.1\r\nHost: a/../b\r\n${known}\r\n`],
    ["a zero byte in a header", `GET /v2/ HTTP/1.1\r\n${host}${known}X: a\0b\r\n\r\n`],
    ["a zero byte in the path", `GET /v2/a\0/tags/list HTTP/1.1\r\n${host}${known}\r\n`],
    ["an encoded zero byte", `GET /v2/a%00/tags/list HTTP/1.1\r\n${host}${known}\r\n`],
    ["half an escape", `GET /v2/a%2/tags/list HTTP/1.1\r\n${host}${known}\r\n`],
    ["a path above the root", `GET /../../etc/passwd HTTP/1.1\r\n${host}${known}\r\n`],
    ["a backslash", `GET /v2\\..\\x HTTP/1.1\r\n${host}${known}\r\n`],
    ["another site's address", `GET http://10.0.2.12:9000/minio/health/live HTTP/1.1\r\n${host}${known}\r\n`],
    ["a tunnel", `CONNECT 10.0.2.12:9000 HTTP/1.1\r\nHost: 10.0.2.12:9000\r\n\r\n`],
    ["TRACE", `TRACE /v2/ HTTP/1.1\r\n${host}${known}\r\n`],
    ["a method in small letters", `get /v2/ HTTP/1.1\r\n${host}${known}\r\n`],
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
      `GET /v2/ HTTP/1.1\r\n${host}${known}${Array.from({ length: 40 }, (_, n) => `X-${n}: ${"x".repeat(8000)}\r\n`).join("")}\r\n`,
    ],
  ])("%s is refused, and reaches no registry", async (what, bytes) => {
    haproxy.seen.length = 0;
    const answer = await front.say(bytes.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    // Without a version it is HTTP 0.9, where an answer is a body alone.
    if (what === "a request without a version") expect(answer).not.toMatch(/^HTTP/);
    else expect(answer).toMatch(/^HTTP\/1\.1 4(?!01)\d\d /);
    expect(answer).not.toMatch(/nginx\//);
    expect(haproxy.seen).toEqual([]);
    expect((await front.ask("/v2/", { user: admin })).status).toBe(200);
  });

  let strict: Front;
  beforeAll(async () => {
    strict = await fronts.start({}, { "client_max_body_size 312g": "client_max_body_size 1m" });
  });

  it.each([
    ["a manifest", "PUT", "/v2/team/app/manifests/v1", 6],
    ["a question", "GET", "/v2/team/app/tags/list", 1],
    ["a manifest that is read", "GET", "/v2/team/app/manifests/v1", 1],
    ["a deletion", "DELETE", `/v2/team/app/blobs/${digest}`, 1],
    ["a layer without an end", "PATCH", `${uploads}0c`, 64],
  ])("%s with a body in chunks that is too large ends there", async (_, method, target, mebibytes) => {
    haproxy.seen.length = 0;
    const socket = await strict.connect();
    let answer = "";
    const over = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
      socket
        .on("data", () => resolve())
        .on("close", resolve)
        .on("error", () => resolve());
    });
    socket.write(head(method, target, "Transfer-Encoding: chunked"));
    const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65536, 1), Buffer.from("\r\n")]);
    for (let sent = 0; sent < mebibytes * 16 && socket.writable && answer === ""; sent++) {
      if (socket.write(chunk)) continue;
      await Promise.race([new Promise<void>((resolve) => socket.once("drain", resolve)), over]);
    }
    await until("it is refused", () => expect(statusOf(answer)).toBe(413));
    socket.destroy();
    expect(haproxy.seen).toEqual([]);
  });

  it("an upload that its client gives up is given up towards the registry too", async () => {
    const socket = await front.connect();
    const upload = `PATCH ${uploads}0d`;
    socket.write(`${head("PATCH", `${uploads}0d`, "Content-Length: 1000000")}some`);
    await until("it has begun", () => expect(haproxy.begun).toContain(upload));
    socket.destroy();
    await until("it is given up", () => expect(haproxy.givenUp).toContain(upload));
    expect((await front.ask("/v2/", { user: admin })).status).toBe(200);
  });
});
