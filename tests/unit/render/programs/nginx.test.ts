import * as fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stays, timed, until } from "../../../support/waiting";
import { NameServer } from "./dns";
import { Front } from "./front";
import { Upstream } from "./upstream";

const digest = `sha256:${"a".repeat(64)}`;
const users = {
  admin: { password: "root", rights: [{ prefix: "", access: "write" as const }] },
  team: {
    password: "blue",
    rights: [
      { prefix: "team/", access: "write" as const },
      { prefix: "base", access: "read" as const },
    ],
  },
};
const admin = "admin:root";
const team = "team:blue";

let names: NameServer;
let front: Front;
/** Stand-ins for the node's own HAProxy and for a neighbour's. */
const own = new Upstream("haproxy-own", "127.0.1.1");
const other = new Upstream("haproxy-other", "127.0.1.2");

/** What reached them from a client. */
const passed = (): string[] => [...own.seen, ...other.seen].map(({ method, url }) => `${method} ${url}`);
const forget = (): void => void (own.seen.length = other.seen.length = 0);
const setName = ({ name, host }: Upstream): unknown => names.names.set(name, host);
/** Waits until that one answers. */
const answeredBy = ({ name }: Upstream): Promise<void> =>
  until(`${name} answers`, async () => {
    const { status, headers } = await front.ask("/v2/", { user: admin });
    expect([status, headers["x-upstream"]]).toEqual([200, name]);
  });

beforeAll(async () => {
  names = await NameServer.start();
  for (const upstream of [own, other]) await (await upstream.start()).stop();
  front = new Front(users, { haproxies: [own, other], resolver: names.address });
  // Nothing resolves and nothing listens when nginx starts.
  await front.start();
});
afterAll(async () => {
  await front.stop();
  await Promise.all([own.stop(), other.stop()]);
  names.stop();
});

describe("the way to HAProxy", () => {
  it("answers 503 in the registry's format, with Retry-After, if there is none", async () => {
    const answer = await front.ask("/v2/", { user: admin });
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe("5");
    expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });
    expect(answer.headers["content-type"]).toBe("application/json");
    expect((await front.ask("/healthz")).status).toBe(200);
    expect((await front.ask("/healthz/registry")).status).toBe(503);
  });

  it("leads to a neighbour's HAProxy until the node's own has a name, and to its own from then on", async () => {
    await Promise.all([own.start(), other.start()]);
    setName(other);
    await timed("nginx finds HAProxy by its name", () => answeredBy(other));
    expect((await front.ask("/healthz/registry")).status).toBe(200);
    setName(own);
    await answeredBy(own);
    forget();
    for (let n = 0; n < 10; n++) await front.ask(`/v2/team/app${n}/tags/list`, { user: team });
    expect([own.seen.length, other.seen.length]).toEqual([10, 0]);
  });

  it("leads to a neighbour's without a request failing if its own dies, and back once it runs at a new address", async () => {
    await own.stop();
    for (let n = 0; n < 5; n++) {
      const { status, headers } = await front.ask("/v2/team/app/tags/list", { user: team });
      expect([status, headers["x-upstream"]]).toEqual([200, other.name]);
    }
    names.names.delete(own.name);
    const moved = await new Upstream("moved", "127.0.1.3", own.port).start();
    names.names.set(own.name, moved.host);
    await answeredBy(moved);
    await Promise.all([moved.stop(), own.start()]);
    setName(own);
    await answeredBy(own);
  });

  it("is known while the name server is silent", async () => {
    names.silent = true;
    try {
      await stays(
        "requests pass",
        async () => expect((await front.ask("/v2/team/app/tags/list", { user: team })).status).toBe(200),
        { rounds: 3, event: () => names.nextQuery() },
      );
    } finally {
      names.silent = false;
    }
  });
});

describe("passwords", () => {
  it.each([
    ["none", undefined],
    ["a wrong one", "admin:wrong"],
    ["an unknown user's", "nobody:root"],
  ])("asks for a password given %s", async (_, user) => {
    const answer = await front.ask("/v2/", user === undefined ? {} : { user });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe('Basic realm="Registry"');
    expect(answer.headers["docker-distribution-api-version"]).toBe("registry/2.0");
    expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ code: "UNAUTHORIZED" }] });
  });

  it("does not tell an unauthenticated client what it would be allowed", async () => {
    for (const target of ["/v2/_catalog", "/v2/secret/tags/list", "/v2/nonsense"]) {
      expect((await front.ask(target, { user: "team:wrong" })).status).toBe(401);
    }
  });

  it("accepts the password before the last change until its end, and the new one", async () => {
    const status = async (user: string): Promise<number> => (await front.ask("/v2/", { user })).status;
    front.setPrevious("admin", "older", -1);
    expect(await status("admin:older")).toBe(401);
    front.setPrevious("admin", "older", 3600);
    expect(await status("admin:older")).toBe(200);
    expect(await status(admin)).toBe(200);
    expect(await status("team:older")).toBe(401);
    // Its end is missing.
    front.setPrevious("admin", "older", 3600);
    fs.writeFileSync(front.at("previous.json"), "{}");
    expect(await status("team:older")).toBe(401);
  });

  it.each([
    ["in chunks", { "Transfer-Encoding": "chunked" }],
    ["of a known length", { "Content-Length": "100000" }],
  ])("checks a password that is not known yet without waiting for a body %s", async (_, headers) => {
    // What nginx has remembered.
    for (const file of fs.readdirSync(front.at("tmp/passwords")))
      fs.rmSync(front.at(`tmp/passwords/${file}`));
    const body = Buffer.alloc(100_000, 1);
    const target = "/v2/team/app/blobs/uploads/0a-1b?_state=x";
    const answer = await front.ask(target, { method: "PATCH", user: team, headers, body });
    expect(answer.status).toBe(200);
  });

  it("never hands credentials on to a registry, nor logs them", async () => {
    forget();
    await front.ask("/v2/team/app/tags/list", { user: team });
    expect(own.seen).toHaveLength(1);
    expect(own.seen[0]?.headers.authorization).toBeUndefined();
    const encoded = Buffer.from(team).toString("base64");
    await until("the request is logged", () => expect(front.log).toContain("/v2/team/app/tags/list"));
    expect(front.log).not.toContain(encoded);
  });
});

describe("rights", () => {
  it.each([
    ["GET", "/v2/", 200],
    ["GET", "/v2/team/app/manifests/latest", 200],
    ["PUT", "/v2/team/app/manifests/latest", 200],
    ["DELETE", `/v2/team/app/manifests/${digest}`, 200],
    ["GET", `/v2/team/app/blobs/${digest}`, 200],
    ["DELETE", `/v2/team/app/blobs/${digest}`, 200],
    ["POST", "/v2/team/app/blobs/uploads/", 200],
    ["POST", `/v2/team/app/blobs/uploads/?mount=${digest}&from=base`, 200],
    ["POST", `/v2/team/app/blobs/uploads/?mount=${digest}&from=team%2Fother`, 200],
    ["GET", "/v2/team/app/blobs/uploads/0a-1b?_state=x", 200],
    ["PATCH", "/v2/team/app/blobs/uploads/0a-1b?_state=x", 200],
    ["PUT", `/v2/team/app/blobs/uploads/0a-1b?_state=x&digest=${digest}`, 200],
    ["DELETE", "/v2/team/app/blobs/uploads/0a-1b?_state=x", 200],
    ["GET", `/v2/team/app/referrers/${digest}?artifactType=a%2Fb`, 200],
    ["GET", "/v2/base/tags/list?n=1", 200],
    ["HEAD", "/v2/base/manifests/latest", 200],
    ["PUT", "/v2/team/app/manifests/sha256:totallywrong", 200],
    ["PUT", "/v2/base/manifests/latest", 403],
    ["DELETE", `/v2/base/blobs/${digest}`, 403],
    ["POST", "/v2/base/blobs/uploads/", 403],
    ["GET", "/v2/base/blobs/uploads/0a-1b?_state=x", 403],
    ["PATCH", "/v2/base/blobs/uploads/0a-1b?_state=x", 403],
    ["PUT", `/v2/base/blobs/uploads/0a-1b?_state=x&digest=${digest}`, 403],
    ["DELETE", "/v2/base/blobs/uploads/0a-1b?_state=x", 403],
    ["GET", "/v2/_catalog", 403],
    ["GET", "/v2/secret/tags/list", 403],
    ["HEAD", "/v2/secret/manifests/latest", 403],
    ["GET", `/v2/secret/blobs/${digest}`, 403],
    ["DELETE", `/v2/secret/blobs/${digest}`, 403],
    ["GET", "/v2/secret/blobs/uploads/0a-1b?_state=x", 403],
    ["PUT", `/v2/secret/blobs/uploads/0a-1b?_state=x&digest=${digest}`, 403],
    ["DELETE", "/v2/secret/blobs/uploads/0a-1b?_state=x", 403],
    ["GET", "/v2/teams/app/tags/list", 403],
    ["GET", "/v2/team/tags/list", 403],
    ["GET", "/v2/base/more/tags/list", 403],
    ["POST", `/v2/team/app/blobs/uploads/?mount=${digest}&from=secret`, 403],
    ["POST", `/v2/team/app/blobs/uploads/?from=base&from=secret&mount=${digest}`, 403],
    ["POST", `/v2/team/app/blobs/uploads/?mount=${digest}&%66rom=secret`, 403],
    ["POST", "/v2/team/app/blobs/uploads/?from=%ff", 403],
    ["GET", "/v2/team/../secret/tags/list", 404],
    ["GET", "/v2/team%2f..%2fsecret/tags/list", 404],
    ["GET", "/v2/team//app/tags/list", 404],
    ["GET", "/v2/team/./app/tags/list", 404],
    ["GET", "/v2/Team/app/tags/list", 404],
    ["GET", "/v2/team/app/tags/list/", 404],
    ["GET", "/v2/%74eam/app/tags/list", 404],
    ["GET", "//v2/secret/tags/list", 404],
    ["GET", "/v1/search", 404],
    ["GET", "/", 404],
    ["GET", "/-/password", 404],
    ["GET", "/metrics", 404],
  ])("%s %s is answered with %i", async (method, target, status) => {
    forget();
    const answer = await front.ask(target, { method, user: team });
    expect(answer.status).toBe(status);
    // What passes, passes as it came; what does not never reaches a registry.
    expect(passed()).toEqual(status === 200 ? [`${method} ${target}`] : []);
    if (status !== 200 && method !== "HEAD") {
      expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ code: expect.any(String) as string }] });
      expect(answer.headers["strict-transport-security"]).toBeDefined();
    }
  });

  it("lets no form in a body outweigh the query", async () => {
    const target = "/v2/team/app/blobs/uploads/";
    const headers = { "Content-Type": "application/X-WWW-form-urlencoded; charset=utf-8" };
    forget();
    await front.ask(target, { method: "POST", user: team, headers, body: `mount=${digest}&from=secret` });
    expect(own.seen[0]?.headers["content-type"]).toBe("application/octet-stream");
  });

  it("lists everything for whom everything is allowed", async () => {
    expect((await front.ask("/v2/_catalog", { user: admin })).status).toBe(200);
  });
});

describe("requests and answers", () => {
  it("passes the registry's own errors, and adds what is missing", async () => {
    const reply: Upstream["reply"] = (_, response) => {
      response.writeHead(404, { "Docker-Distribution-Api-Version": "registry/2.0" });
      response.end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
    };
    const answer = await own.answering(reply, () => front.ask("/v2/team/app/manifests/none", { user: team }));
    expect(answer.status).toBe(404);
    expect(answer.body).toBe('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
    expect(answer.headers["docker-distribution-api-version"]).toBe("registry/2.0");
  });

  it("passes the headers of the API as they came, both ways", async () => {
    const asked = {
      Accept: "application/vnd.oci.image.index.v1+json",
      Range: "bytes=5-9",
      "Content-Range": "0-4",
      "Content-Type": "application/octet-stream",
      "If-None-Match": `"${digest}"`,
    };
    const answered = {
      "Docker-Content-Digest": digest,
      "Docker-Upload-UUID": "1234",
      "Content-Range": "bytes 5-9/10",
      Etag: `"${digest}"`,
      Link: '</v2/_catalog?last=b&n=2>; rel="next"',
      Location: "/v2/team/app/blobs/uploads/1234?_state=abc",
      "OCI-Subject": digest,
      Range: "0-4",
    };
    forget();
    const reply: Upstream["reply"] = (_, response) => response.writeHead(202, answered).end();
    const upload = { method: "PATCH", user: team, headers: asked, body: "12345" };
    const answer = await own.answering(reply, () => front.ask("/v2/team/app/blobs/uploads/1234", upload));
    const lower = (headers: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    expect(own.seen.map(({ headers, body }) => ({ headers, body }))).toEqual([
      { headers: expect.objectContaining(lower(asked)) as object, body: "12345" },
    ]);
    expect(answer).toMatchObject({ status: 202, headers: lower(answered) });
  });

  it("sends a manifest to a neighbour's HAProxy if its own dies over it", async () => {
    forget();
    const put = () => front.ask("/v2/team/app/manifests/v1", { user: team, method: "PUT", body: "{}" });
    const answer = await own.answering((_, response) => void response.destroy(), put);
    expect([answer.status, answer.headers["x-upstream"]]).toEqual([200, other.name]);
    expect([own.seen.length, other.seen.length]).toEqual([1, 1]);
  });

  it.each([
    ["POST", `/v2/team/app/blobs/uploads/?digest=${digest}`],
    ["PATCH", "/v2/team/app/blobs/uploads/0a-1b?_state=x"],
  ])("does not repeat an upload that a registry may have begun: %s", async (method, target) => {
    forget();
    const ask = () => front.ask(target, { user: team, method, body: "a layer" });
    const dying: Upstream["reply"] = (_, response) => void response.destroy();
    const answer = await own.answering(dying, () => other.answering(dying, ask));
    expect(answer.status).toBe(503);
    expect(passed()).toEqual([`${method} ${target}`]);
  });

  it("takes large layers and refuses large manifests", async () => {
    const layer = Buffer.alloc(8 * 1024 * 1024, 1);
    const upload = await front.ask("/v2/team/app/blobs/uploads/0a", {
      user: team,
      method: "PATCH",
      body: layer,
    });
    expect(upload.status).toBe(200);
    const manifest = await front.ask("/v2/team/app/manifests/v1", {
      user: team,
      method: "PUT",
      body: layer.subarray(0, 6 * 1024 * 1024),
      headers: { "Content-Length": String(6 * 1024 * 1024) },
    });
    expect(manifest.status).toBe(413);
    expect(JSON.parse(manifest.body)).toMatchObject({ errors: [{ code: "SIZE_INVALID" }] });
  });
});

it("answers questions about its health to the node and its neighbours only", async () => {
  const haproxies = [{ name: own.host, port: own.port }];
  const outside = new Front(users, { haproxies, neighbours: ["127.0.0.3"] });
  try {
    await outside.startAsInContainer();
    // By the gateway the container's node comes, which is 127.0.0.4 here; by its own loopback address Docker's check.
    for (const [from, status] of [
      ["127.0.0.1", 200],
      ["127.0.0.3", 200],
      ["127.0.0.4", 200],
      ["127.0.0.5", 404],
    ] as const)
      for (const path of ["/healthz", "/healthz/registry"])
        expect((await outside.ask(path, { from })).status, `${path} from ${from}`).toBe(status);
  } finally {
    await outside.stop();
  }
});

describe("what makes no sense", () => {
  it.each([
    ["a huge header", "/v2/", { "X-Large": "x".repeat(20_000) }, 400],
    ["a huge path", `/v2/${"a".repeat(20_000)}`, {}, 414],
    ["a huge password", "/v2/", { Authorization: `Basic ${"x".repeat(15_000)}` }, 401],
    ["no base64", "/v2/", { Authorization: "Basic %%%" }, 401],
    ["another scheme", "/v2/", { Authorization: "Bearer x" }, 401],
  ])("%s is answered in the registry's format", async (_, target, headers, status) => {
    const answer = await front.ask(target, { headers });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toHaveProperty("errors");
  });
});
