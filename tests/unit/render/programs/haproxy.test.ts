import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { Balancer, quick, type Balanced } from "./balancer";
import { NameServer } from "./dns";
import { version } from "./sandbox";
import { Upstream } from "./upstream";

const registries = [1, 2, 3].map((n) => new Upstream(`registry-${n}`, `127.0.3.${n}`));
const minio = [1, 2, 3].map((n) => new Upstream(`minio-${n}`, `127.0.4.${n}`));
const [own = expect.unreachable(), ...others] = minio;
const all = [...registries, ...minio];
const isCheck = (url: string): boolean => url === "/" || url.startsWith("/minio/health/");
const cluster = { writes: "/minio/health/cluster", reads: "/minio/health/cluster/read" };

let names: NameServer;
/** On a node with a member of MinIO, and on one without. */
let balancer: Balancer;
let elsewhere: Balancer;

const setName = ({ name, host }: Upstream): unknown => names.names.set(name, host);
const forget = (): void => void all.forEach((one) => (one.seen.length = 0));
/** Requests that reached these, without checks. */
const passed = (upstreams: readonly Upstream[]): string[] =>
  upstreams.flatMap(({ seen }) =>
    seen.filter(({ url }) => !isCheck(url)).map(({ method, url }) => `${method} ${url}`),
  );
const read = (repository: string, by = balancer): Promise<Balanced> =>
  by.ask("nginx", `/v2/${repository}/tags/list`);

/** While `work` runs, these answer what `isAffected` says with a status, or not at all. */
async function answering<T>(
  upstreams: readonly Upstream[],
  isAffected: (url: string) => boolean,
  status: number | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const before = upstreams.map(({ reply }) => reply);
  upstreams.forEach((upstream, at) => {
    upstream.reply = (request, response) => {
      if (!isAffected(request.url)) before[at]?.(request, response);
      else if (status === undefined) response.destroy();
      else response.writeHead(status, { "X-Upstream": upstream.name }).end();
    };
  });
  try {
    return await work();
  } finally {
    upstreams.forEach((upstream, at) => (upstream.reply = before[at] ?? upstream.reply));
  }
}

const healthy = (): Promise<void> =>
  until("all of it works", async () => {
    for (const by of [balancer, elsewhere]) {
      expect((await by.ask("nginx", "/healthz/registry")).status).toBe(200);
      expect((await by.ask("nginx", "/v2/a/blobs/uploads/", { method: "POST" })).status).toBe(200);
      expect((await read("a", by)).status).toBe(200);
    }
    expect((await balancer.ask("registry", "/x")).from).toBe(own.name);
  });

beforeAll(async () => {
  names = await NameServer.start();
  for (const one of all) await (await one.start()).stop();
  const soon = { ...quick, "slowstart 30s": "slowstart 1s" };
  balancer = new Balancer({ names, registries, minio, ownMinio: own }, soon);
  const impatient = { ...quick, "timeout server 15s": "timeout server 3s" };
  elsewhere = new Balancer({ names, registries, minio }, impatient);
  // No name resolves yet.
  await Promise.all([balancer.start(), elsewhere.start()]);
});
afterAll(async () => {
  await Promise.all([balancer.remove(), elsewhere.remove()]);
  await Promise.all(all.map((one) => one.stop()));
  names.stop();
});

describe("without registries and store", () => {
  it("runs, and says its version", async () => {
    expect(await balancer.ask("health", "/")).toMatchObject({ status: 200, body: version });
  });

  it("refuses requests at once, in the registry's format", async () => {
    for (const [method, target] of [
      ["GET", "/v2/"],
      ["GET", "/v2/a/manifests/b"],
      ["PUT", "/v2/a/manifests/b"],
      ["GET", "/healthz/registry"],
    ] as const) {
      const { status, headers, body } = await balancer.ask("nginx", target, { method });
      expect(status).toBe(503);
      expect(headers["retry-after"]).toBe("5");
      expect(headers["content-type"]).toBe("application/json");
      expect(JSON.parse(body)).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });
    }
  });

  it("finds them once they have names", async () => {
    await Promise.all(all.map((one) => one.start()));
    all.forEach(setName);
    await healthy();
  });
});

describe("between nginx and the registries", () => {
  it("has one registry for all of a repository, the same on every node", async () => {
    const used = new Set<string>();
    for (let app = 0; app < 12; app++) {
      const { from } = await read(`team/app${app}`);
      used.add(from);
      expect((await read(`team/app${app}`, elsewhere)).from).toBe(from);
      for (const [method, path] of [
        ["GET", "manifests/v1"],
        ["GET", "blobs/sha256:a"],
        ["POST", "blobs/uploads/"],
        ["PATCH", "blobs/uploads/0a?_state=x"],
      ] as const)
        expect((await balancer.ask("nginx", `/v2/team/app${app}/${path}`, { method })).from).toBe(from);
    }
    expect(used.size).toBe(3);
  });

  it.each([
    ["answers 503", 503],
    ["breaks off", undefined],
  ])("asks another registry for what can be read if one %s", async (_, status) => {
    const { from } = await read("team/app");
    const bad = registries.filter(({ name }) => name === from);
    await answering(
      bad,
      (url) => url !== "/",
      status,
      async () => {
        for (let n = 0; n < 5; n++) {
          const answer = await read("team/app");
          expect(answer.status).toBe(200);
          expect(answer.from).not.toBe(from);
        }
      },
    );
  });

  it("leaves out a registry whose health check fails, for writes too", async () => {
    const { from } = await read("team/app");
    const bad = registries.filter(({ name }) => name === from);
    const write = () => balancer.ask("nginx", "/v2/team/app/blobs/uploads/", { method: "POST" });
    await answering(
      bad,
      (url) => url === "/",
      503,
      () => until("another one gets the writes", async () => expect((await write()).from).not.toBe(from)),
    );
    await until("it gets them again", async () => expect((await write()).from).toBe(from));
  });

  it("does not repeat a write that a registry has seen", async () => {
    forget();
    const target = "/v2/team/app/blobs/uploads/0a";
    const write = () => balancer.ask("nginx", target, { method: "PATCH", body: "a layer" });
    // On a connection that had been used before, HAProxy breaks off, too.
    const answer = await answering(
      registries,
      (url) => url !== "/",
      undefined,
      () => write().catch(() => undefined),
    );
    expect(answer?.status ?? 502).toBe(502);
    expect(passed(registries)).toEqual([`PATCH ${target}`]);
    await healthy();
  });

  it("waits for the answer to a write longer than for that to a read", async () => {
    const { from } = await read("team/app", elsewhere);
    const slow = registries.find(({ name }) => name === from) ?? expect.unreachable();
    const { reply } = slow;
    const held: (() => void)[] = [];
    slow.reply = (request, response) => {
      if (isCheck(request.url)) reply(request, response);
      else held.push(() => reply(request, response));
    };
    try {
      const target = "/v2/team/app/blobs/uploads/0a";
      const write = elsewhere.ask("nginx", target, { method: "PATCH", body: "a layer" });
      await until("it has the write", () => expect(held).toHaveLength(1));
      // The read came later, and its time was over before.
      expect((await read("team/app", elsewhere)).from).not.toBe(from);
      for (const answer of held) answer();
      expect(await write).toMatchObject({ status: 200, from });
    } finally {
      slow.reply = reply;
    }
  });

  it.each([
    ["GET", "/v2/a/manifests/v1", 200, "@1"],
    ["HEAD", "/v2/a/manifests/v1", 200, "@1"],
    ["HEAD", "/v2/a/manifests/sha256:a", 200, undefined],
    ["GET", "/v2/a/manifests/v1", 304, "@1"],
    ["GET", "/v2/a/manifests/v1", 404, undefined],
    ["GET", "/v2/a/manifests/sha256:a", 200, undefined],
    ["GET", "/v2/a/blobs/sha256:a", 200, undefined],
  ])("marks what is to be asked for each time: %s %s with %i", async (method, target, status, expires) => {
    const { headers } = await answering(
      registries,
      (url) => url !== "/",
      status,
      () => balancer.ask("nginx", target, { method }),
    );
    expect(headers["x-accel-expires"]).toBe(expires);
  });
});

describe("if the store has too few members", () => {
  const ask = (method: string, path: string) => balancer.ask("nginx", path, { method });

  it("to write, refuses writes before their body, and nothing else", async () => {
    await answering(
      minio,
      (url) => url === cluster.writes,
      503,
      async () => {
        await until("a write is refused", async () =>
          expect((await ask("PUT", "/v2/a/manifests/v1")).status).toBe(503),
        );
        forget();
        for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
          const { status, headers, body } = await ask(method, "/v2/a/blobs/uploads/0a");
          expect([status, headers["retry-after"]]).toEqual([503, "5"]);
          expect(body).toContain("too few members of the store");
        }
        expect(passed(registries)).toEqual([]);
        for (const path of ["/v2/", "/v2/a/manifests/v1"]) expect((await ask("GET", path)).status).toBe(200);
      },
    );
    await healthy();
  });

  it("to read, refuses reads, but for /v2/ and its own health", async () => {
    await answering(
      minio,
      (url) => url === cluster.reads,
      503,
      async () => {
        await until("a read is refused", async () =>
          expect((await ask("GET", "/v2/a/manifests/v1")).status).toBe(503),
        );
        for (const path of ["/v2/", "/healthz/registry"]) expect((await ask("GET", path)).status).toBe(200);
      },
    );
    await healthy();
  });

  it("believes one member that counts a quorum", async () => {
    await answering(
      others,
      (url) => url === cluster.writes,
      503,
      async () => {
        forget();
        await until("they are checked", () => {
          for (const { seen } of others)
            expect(seen.filter(({ url }) => url === cluster.writes).length).toBeGreaterThan(3);
        });
        expect((await ask("PUT", "/v2/a/manifests/v1")).status).toBe(200);
      },
    );
  });
});

describe("between a registry and MinIO", () => {
  const ask = (by = balancer): Promise<Balanced> => by.ask("registry", "/registry/x");

  it("prefers its own node's member", async () => {
    for (let n = 0; n < 10; n++) expect((await ask()).from).toBe(own.name);
  });

  it("uses another member if its own is gone, and its own again once that has settled", async () => {
    await own.stop();
    for (let n = 0; n < 5; n++) {
      const { status, from } = await ask();
      expect(status).toBe(200);
      expect(from).not.toBe(own.name);
    }
    await own.start();
    await until("its own is used again", async () => expect((await ask()).from).toBe(own.name));
  });

  it.each([404, 503])("asks another member once more after status %i", async (status) => {
    await answering(
      [own],
      (url) => !isCheck(url),
      status,
      async () => {
        for (const method of ["GET", "HEAD"]) {
          const answer = await balancer.ask("registry", "/registry/x", { method });
          expect(answer.status).toBe(200);
          expect(answer.from).not.toBe(own.name);
        }
      },
    );
  });

  it("repeats no POST, and asks two members for what is nowhere", async () => {
    forget();
    const work = async (): Promise<number[]> => [
      (await ask()).status,
      (await balancer.ask("registry", "/registry/x?uploadId=1", { method: "POST", body: "<a/>" })).status,
    ];
    expect(await answering(minio, (url) => !isCheck(url), 404, work)).toEqual([404, 404]);
    expect(passed([own])).toEqual(["GET /registry/x", "POST /registry/x?uploadId=1"]);
    expect(passed(others)).toEqual(["GET /registry/x"]);
  });

  it("still tries members if the health check of each fails", async () => {
    await answering(minio, isCheck, 503, async () => {
      await until("writes are refused", async () =>
        expect((await balancer.ask("nginx", "/v2/a/manifests/v1", { method: "PUT" })).status).toBe(503),
      );
      for (const by of [balancer, elsewhere]) expect((await ask(by)).status).toBe(200);
    });
    await healthy();
  });

  it("follows a member to another address", async () => {
    const [moving = expect.unreachable()] = others;
    await moving.stop();
    const moved = await new Upstream(moving.name, "127.0.4.9", moving.port).start();
    names.names.set(moving.name, moved.host);
    await until("it is checked there", () => expect(moved.seen.length).toBeGreaterThan(0));
    await moved.stop();
    await moving.start();
    setName(moving);
  });
});
