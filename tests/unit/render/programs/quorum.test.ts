import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { Front, type Answer } from "./front";
import { admin, Fronts } from "./fronts";
import { bases, reads, writes } from "./requests";
import { Upstream } from "./upstream";

const fronts = new Fronts();
const { registry } = fronts;
/** Stand-ins for balancers, by the status that they report for a quorum; without one they do not answer. */
const balancers = ["one", "two"].map((name, at) => new Upstream(name, `127.0.0.${at + 3}`));
let says: Readonly<Record<"write" | "read", readonly (number | undefined)[]>>;
let front: Front;

const both = (...all: (number | undefined)[]) => ({ write: all, read: all });
const whole = both(200, 200);

beforeAll(async () => {
  says = whole;
  await Promise.all(balancers.map((one) => one.start()));
  balancers.forEach((balancer, at) => {
    balancer.reply = ({ url }, response) => {
      const status = says[url === "/healthz/writable" ? "write" : "read"][at];
      if (status !== undefined) response.writeHead(status).end();
    };
  });
  front = await fronts.start(
    { balancers: balancers.map(({ host, port }) => ({ name: host, port })) },
    {
      // Each request asks; on a busy machine a balancer may take its time.
      "proxy_cache_valid 200 503 1s;": "",
      "proxy_read_timeout 500ms;": "proxy_read_timeout 30s;",
      "proxy_next_upstream_timeout 1s;": "",
    },
  );
});
afterEach(() => void (says = whole));
afterAll(() => Promise.all(balancers.map((one) => one.stop())));

const ask = (method: string, target: string, user = admin): Promise<Answer> =>
  front.ask(target, { method, user });
const push = () => ask("POST", "/v2/team/app/blobs/uploads/");
const pull = () => ask("GET", "/v2/team/app/manifests/latest");

/** A refusal in the registry's own form, given without asking one. */
async function expectRefusal(method: string, target: string, why: string): Promise<void> {
  registry.seen.length = 0;
  const body = ["GET", "HEAD"].includes(method) ? undefined : "some of a layer";
  const answer = await front.ask(target, { method, user: admin, body });
  expect(answer.status).toBe(503);
  expect(answer.headers["retry-after"]).toBe("5");
  expect(answer.headers["content-type"]).toBe("application/json");
  expect(answer.headers["docker-distribution-api-version"]).toBe("registry/2.0");
  expect(answer.headers["www-authenticate"]).toBeUndefined();
  if (method !== "HEAD") {
    const { errors } = JSON.parse(answer.body) as { errors: Record<string, unknown>[] };
    const message = expect.stringContaining(why) as string;
    expect(errors).toEqual([{ code: "UNAVAILABLE", message, detail: null }]);
  }
  expect(registry.seen.filter(({ url }) => url !== "/")).toEqual([]);
}

describe("while the store has its quorums", () => {
  it.each([...writes, ...reads, ...bases])("%s %s passes", async (method, target) => {
    registry.seen.length = 0;
    expect((await ask(method, target)).status).toBe(200);
    const passed = registry.seen.filter(({ url }) => url !== "/").map((seen) => `${seen.method} ${seen.url}`);
    expect(passed).toEqual([`${method} ${target}`]);
  });
});

describe("without a write quorum", () => {
  const withoutWrites = { write: [503, 503], read: [200, 200] };

  it.each(writes)("%s %s is answered with 503, and why", (method, target) => {
    says = withoutWrites;
    return expectRefusal(method, target, "pulls work");
  });

  it.each([...reads, ...bases])("%s %s passes", async (method, target) => {
    says = withoutWrites;
    expect((await ask(method, target)).status).toBe(200);
  });

  it("an upload is turned away before its body is there", async () => {
    says = withoutWrites;
    const authorization = `Authorization: Basic ${Buffer.from(admin).toString("base64")}`;
    const head = ["PATCH /v2/team/app/blobs/uploads/0a-1b HTTP/1.1", "Host: registry.test", authorization];
    const socket = await front.connect();
    const answered = new Promise<string>((resolve) => socket.once("data", (text) => resolve(String(text))));
    socket.on("error", () => undefined);
    socket.write([...head, "Content-Length: 1000000000", "", "the first bytes"].join("\r\n"));
    expect(await answered).toMatch(/^HTTP\/1.1 503 /);
    socket.destroy();
  });
});

describe("without a read quorum", () => {
  it.each(reads)("%s %s is answered with 503, and why", (method, target) => {
    says = both(503, 503);
    return expectRefusal(method, target, "up to read from it");
  });

  it.each(bases)("%s %s passes", async (method, target) => {
    says = both(503, 503);
    expect((await ask(method, target)).status).toBe(200);
  });
});

it.each([
  ["POST", "/v2/secret/blobs/uploads/", "/v2/Nonsense/blobs/uploads/"],
  ["GET", "/v2/secret/manifests/latest", "/v2/Nonsense/manifests/latest"],
])("passwords and rights are decided first: %s", async (method, secret, nonsense) => {
  says = both(503, 503);
  expect((await ask(method, secret, "team:wrong")).status).toBe(401);
  expect((await ask(method, secret, "team:blue")).status).toBe(403);
  expect((await ask(method, nonsense)).status).toBe(404);
});

describe("a request passes, unless a balancer says no and none says yes:", () => {
  it.each([
    ["both say no", [503, 503], 503],
    ["one says no, and the other reaches no member", [503, 504], 503],
    ["one says no, and one yes, as a node that was cut off does", [503, 200], 200],
    ["neither reaches a member", [504, 504], 200],
    ["both are of a version that knows nothing of quorums", [403, 403], 200],
  ])("%s", async (_, statuses, status) => {
    says = both(...statuses);
    // nginx begins with another one of them each time.
    for (let i = 0; i < 2; i++) {
      expect((await push()).status).toBe(status);
      expect((await pull()).status).toBe(status);
    }
  });

  it("both are gone", async () => {
    await Promise.all(balancers.map((one) => one.stop()));
    expect([(await push()).status, (await pull()).status]).toEqual([200, 200]);
    await Promise.all(balancers.map((one) => one.start()));
  });

  it("both hang", async () => {
    const impatient = await fronts.start({
      balancers: balancers.map(({ host, port }) => ({ name: host, port })),
    });
    says = both(undefined, undefined);
    const ask = (method: string, target: string) => impatient.ask(target, { method, user: admin });
    expect((await ask("POST", "/v2/team/app/blobs/uploads/")).status).toBe(200);
    expect((await ask("GET", "/v2/team/app/manifests/latest")).status).toBe(200);
  });
});

it("a front asks once for many requests, and sends nothing of them", async () => {
  const busy = await fronts.start(
    { balancers: balancers.map(({ host, port }) => ({ name: host, port })) },
    { "proxy_cache_valid 200 503 1s;": "proxy_cache_valid 200 503 1h;" },
  );
  const list = () => busy.ask("/v2/team/app/tags/list", { user: admin });
  for (const balancer of balancers) balancer.seen.length = 0;
  expect((await list()).status).toBe(200);
  await until("its answer is remembered", async () => {
    const before = balancers.flatMap(({ seen }) => seen).length;
    await list();
    expect(balancers.flatMap(({ seen }) => seen).length).toBe(before);
  });
  const [{ method, url, headers, body } = expect.unreachable()] = balancers.flatMap(({ seen }) => seen);
  expect({ method, url, body }).toEqual({ method: "GET", url: "/healthz/readable", body: "" });
  expect(headers.authorization).toBeUndefined();
});
