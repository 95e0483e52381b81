import type { ServerResponse } from "node:http";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../../support/waiting";
import type { Answer, Front } from "./front";
import { admin, Fronts } from "./fronts";
import type { Upstream } from "./upstream";

const digestOf = (n: number): string => `sha256:${String(n).padStart(64, "0")}`;
const team = "team:blue";
const type = "application/vnd.oci.image.manifest.v1+json";

const fronts = new Fronts();
const { haproxy } = fronts;

/** What registries have, by path; HAProxy marks tags as expired. */
const content = new Map<string, string>();
const registry: Upstream["reply"] = ({ method, url, headers }, response) => {
  const path = url.split("?")[0] ?? "";
  const found = content.get(path);
  const isExpired = /\/manifests\/[^:]+$/.test(path);
  if (found === undefined) {
    response.writeHead(404, { "Content-Type": "application/json" }).end('{"errors":[]}');
    return;
  }
  const etag = `"${found.length}-${found.slice(0, 8)}"`;
  const expires = isExpired ? { "X-Accel-Expires": "@1" } : {};
  const always = { Etag: etag, "Cache-Control": "max-age=31536000", ...expires };
  if (headers["if-none-match"] === etag) {
    response.writeHead(304, always).end();
    return;
  }
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const start = Number(from ?? 0);
  const part = found.slice(start, to ? Number(to) + 1 : undefined);
  response.writeHead(from === undefined ? 200 : 206, {
    ...always,
    "Content-Type": path.includes("/manifests/") ? type : "application/octet-stream",
    "Content-Length": part.length,
    ...(from !== undefined && {
      "Content-Range": `bytes ${start}-${start + part.length - 1}/${found.length}`,
    }),
  });
  response.end(method === "HEAD" ? "" : part);
};
const gone: Upstream["reply"] = (_, response) => void response.writeHead(503).end("no registry");

let front: Front;
beforeAll(async () => {
  front = await fronts.start(
    {},
    {
      "200 206 60s": "200 206 1s",
      "200 60s": "200 1s",
      // Wrong passwords are no matter here.
      ...Object.fromEntries(["5r/s", "20r/m", "2r/s"].map((rate) => [`rate=${rate};`, "rate=9999r/s;"])),
    },
  );
  haproxy.reply = registry;
});
afterEach(() => {
  haproxy.reply = registry;
});

const asked = (): string[] => haproxy.seen.map(({ method, url }) => `${method} ${url}`);
const forget = (): void => void (haproxy.seen.length = 0);
const get = (path: string, headers: Record<string, string> = {}, user = admin): Promise<Answer> =>
  front.ask(path, { user, headers });

describe("a blob", () => {
  const path = `/v2/team/app/blobs/${digestOf(1)}`;
  beforeAll(() => void content.set(path, "0123456789"));

  it("is fetched once, then served without the registry", async () => {
    expect((await get(path)).body).toBe("0123456789");
    forget();
    expect(await get(path)).toMatchObject({ status: 200, body: "0123456789" });
    expect(asked()).toEqual([]);
  });

  it("is served in ranges", async () => {
    await get(path);
    const { status, headers, body } = await get(path, { Range: "bytes=2-4" });
    expect([status, headers["content-range"], body]).toEqual([206, "bytes 2-4/10", "234"]);
  });

  it("is fetched once for all clients that wait for it", async () => {
    const waited = `/v2/team/app/blobs/${digestOf(2)}`;
    content.set(waited, "a layer");
    const held: [Parameters<Upstream["reply"]>[0], ServerResponse][] = [];
    haproxy.reply = (...one) => void held.push(one);
    forget();
    const answers = Promise.all([1, 2, 3, 4, 5].map(() => get(waited)));
    await until("it is asked for", () => expect(held).toHaveLength(1));
    haproxy.reply = registry;
    for (const one of held) registry(...one);
    for (const { body } of await answers) expect(body).toBe("a layer");
    expect(asked()).toEqual([`GET ${waited}`]);
  });

  it("is asked for by HEAD each time, as clients skip uploads on that answer", async () => {
    await get(path);
    forget();
    for (let n = 0; n < 2; n++)
      expect((await front.ask(path, { user: admin, method: "HEAD" })).status).toBe(200);
    haproxy.reply = gone;
    expect((await front.ask(path, { user: admin, method: "HEAD" })).status).toBe(503);
    expect(asked()).toEqual(Array.from({ length: 3 }, () => `HEAD ${path}`));
  });

  it("is served while no registry answers, and HAProxy's answer is passed for one that is not there", async () => {
    await get(path);
    haproxy.reply = gone;
    expect(await get(path)).toMatchObject({ status: 200, body: "0123456789" });
    expect(await get(`/v2/team/app/blobs/${digestOf(3)}`)).toMatchObject({ status: 503 });
  });

  it("that was deleted is not served any more, and does not come back", async () => {
    const deleted = `/v2/team/app/blobs/${digestOf(4)}`;
    content.set(deleted, "deleted");
    expect((await get(deleted)).status).toBe(200);
    content.delete(deleted);
    await until("it is gone", async () => expect((await get(deleted)).status).toBe(404));
    haproxy.reply = gone;
    expect((await get(deleted)).status).not.toBe(200);
  });
});

describe("a manifest by digest", () => {
  const path = `/v2/team/app/manifests/${digestOf(5)}`;
  beforeAll(() => void content.set(path, '{"schemaVersion":2}'));

  it("is the same for clients that accept other types, and asked for without conditions", async () => {
    forget();
    await get(path, { Accept: "text/plain", "If-None-Match": '"x"' });
    expect(haproxy.seen[0]?.headers["if-none-match"]).toBeUndefined();
    expect(haproxy.seen[0]?.headers.accept).toContain("oci.image.index");
    forget();
    expect((await get(path, { Accept: type })).body).toBe('{"schemaVersion":2}');
    expect(asked()).toEqual([]);
  });

  it("is asked for by HEAD each time, and found in the cache only while no registry answers", async () => {
    const head = () => front.ask(path, { user: admin, method: "HEAD" });
    await get(path);
    forget();
    expect((await head()).status).toBe(200);
    expect((await head()).status).toBe(200);
    expect(asked()).toEqual([`HEAD ${path}`, `HEAD ${path}`]);
    haproxy.reply = gone;
    const { status, headers, body } = await head();
    expect({ status, body }).toEqual({ status: 200, body: "" });
    expect(headers["content-length"]).toBe(String('{"schemaVersion":2}'.length));
    const unknown = `/v2/team/app/manifests/${digestOf(7)}`;
    expect((await front.ask(unknown, { user: admin, method: "HEAD" })).status).toBe(503);
  });

  it("that was deleted is not served any more, and does not come back", async () => {
    await get(path);
    content.delete(path);
    await until("it is gone", async () => expect((await get(path)).status).toBe(404));
    haproxy.reply = gone;
    expect((await get(path)).status).not.toBe(200);
  });
});

describe("a tag", () => {
  const path = "/v2/team/app/manifests/v1";
  beforeAll(() => void content.set(path, "first"));

  it("is asked for each time, so that it moves at once", async () => {
    expect((await get(path)).body).toBe("first");
    content.set(path, "second");
    expect((await get(path)).body).toBe("second");
  });

  it("is served while no registry answers, by GET and HEAD, for the types that it was asked with", async () => {
    for (const method of ["GET", "HEAD"])
      await front.ask(path, { user: admin, method, headers: { Accept: type } });
    haproxy.reply = gone;
    expect(await get(path, { Accept: type })).toMatchObject({ status: 200, body: "second" });
    const head = await front.ask(path, { user: admin, method: "HEAD", headers: { Accept: type } });
    expect(head.status).toBe(200);
    const other = await get(path, { Accept: "application/vnd.docker.distribution.manifest.v2+json" });
    expect(other.status).toBe(503);
  });

  it("that was removed is not served later", async () => {
    const removed = "/v2/team/app/manifests/removed";
    content.set(removed, "removed");
    await get(removed);
    content.delete(removed);
    expect((await get(removed)).status).toBe(404);
    haproxy.reply = gone;
    expect((await get(removed)).status).not.toBe(200);
  });
});

describe("rights are checked before the cache", () => {
  const paths = ["team", "other"].flatMap((name) => [
    `/v2/${name}/app/blobs/${digestOf(6)}`,
    `/v2/${name}/app/manifests/${digestOf(6)}`,
    `/v2/${name}/app/manifests/v6`,
  ]);
  beforeAll(() => paths.forEach((path) => content.set(path, `content of ${path}`)));

  // Before anything is cached, cached, and cached with the store gone.
  describe.each(["not cached", "cached", "cached, no registry"])("%s", (state) => {
    it.each(paths)("%s", async (path) => {
      if (state === "not cached") forget();
      else await get(path);
      haproxy.reply = state === "cached, no registry" ? gone : registry;
      for (const [user, status] of [
        ["admin:wrong", 401],
        ["nobody:root", 401],
        [team, path.startsWith("/v2/team/") ? 200 : 403],
        [admin, 200],
      ] as const) {
        const requests: Record<string, string>[] = [{}, { "If-None-Match": "*" }, { Range: "bytes=0-3" }];
        for (const headers of requests) {
          const answer = await get(path, headers, user);
          if (status === 200) {
            expect([200, 206, 304, 412]).toContain(answer.status);
          } else {
            expect(answer.status).toBe(status);
            expect(answer.body).not.toContain("cont");
          }
        }
      }
    });
  });
});

it.each([
  `/v2/team/app/blobs/${digestOf(7)}/`,
  `/v2/team%2Fapp/blobs/${digestOf(7)}`,
  `/v2/team/./app/blobs/${digestOf(7)}`,
  `//v2/team/app/blobs/${digestOf(7)}`,
  `/v2/team/app/blobs/sha256%3A${digestOf(7).slice(7)}`,
])("a path that may be read in two ways reaches neither cache nor registry: %s", async (path) => {
  content.set(`/v2/team/app/blobs/${digestOf(7)}`, "content");
  await get(`/v2/team/app/blobs/${digestOf(7)}`);
  forget();
  expect((await get(path)).status).toBe(404);
  expect(asked()).toEqual([]);
});
