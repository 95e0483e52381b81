import { setTimeout as sleep } from "node:timers/promises";
import { balancerQuorumPaths, balancerStoragePath, quorums, type Quorum } from "@moorage/render";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Balancer } from "./balancer";
import { NameServer } from "./dns";
import { Front, type Answer, type Ask } from "./front";
import { admin, users } from "./fronts";
import { bases, reads, writes } from "./requests";
import { Upstream } from "./upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const clusterPaths: Readonly<Record<Quorum, string>> = {
  write: "/minio/health/cluster",
  read: "/minio/health/cluster/read",
};
const registry = new Upstream("registry", "127.0.7.9", 25000);
const members = [1, 2, 3, 4].map((at) => new Upstream(`minio-${at}`, `127.0.7.${at}`, 25921));
type Said = Map<Upstream, number | undefined>;
/** What members say of their quorums; without an answer they are slow. */
const says: Readonly<Record<Quorum, Said>> = { write: new Map(), read: new Map() };
/** Those that take connections, and answer nothing. */
const hanging = new Set<Upstream>();
let names: NameServer;
let front: Front;
let balancers: Balancer[];

function saying(quorum: Quorum, status: number | undefined, ...some: readonly Upstream[]): void {
  for (const member of some) says[quorum].set(member, status);
}
function sayingAll(status: number | undefined, ...some: readonly Upstream[]): void {
  for (const quorum of quorums) saying(quorum, status, ...some);
}

beforeAll(async () => {
  names = await NameServer.start();
  for (const { name, host } of [registry, ...members]) names.names.set(name, host);
  for (const name of ["s3-one", "s3-two"]) names.names.set(name, "127.0.0.1");
  for (const member of members) {
    member.reply = ({ url }, response) => {
      const quorum = quorums.find((one) => clusterPaths[one] === url);
      const status = quorum ? says[quorum].get(member) : 200;
      if (status !== undefined && !hanging.has(member)) response.writeHead(status).end();
    };
  }
  sayingAll(200, ...members);
  await Promise.all([registry, ...members].map((one) => one.start()));
  const backends = members.map(({ name, port }) => ({ name, port }));
  balancers = [25922, 25923].map((port) => new Balancer(port, { backends, resolver: names.address }));
  await Promise.all(balancers.map((balancer) => balancer.start()));
  front = new Front(25448, users, {
    registries: [{ name: "registry", port: 25000 }],
    balancers: [
      { name: "s3-one", port: 25922 },
      { name: "s3-two", port: 25923 },
    ],
    resolver: names.address,
  });
  await front.start();
  await until(() => asked("GET", "/v2/"), 200);
});
afterAll(async () => {
  await front.stop();
  await Promise.all(balancers.map((balancer) => balancer.remove()));
  await Promise.all([registry, ...members].map((one) => one.stop()));
  names.stop();
});

const asked = (method: string, target: string, more: Ask = {}): Promise<Answer> =>
  front.ask(target, { method, user: admin, ...more });
const push = (): Promise<Answer> => asked("POST", "/v2/team/app/blobs/uploads/");
const pull = (): Promise<Answer> => asked("GET", "/v2/team/app/manifests/latest");

/** Seconds until the answer has that status. */
async function until(work: () => Promise<{ readonly status: number }>, status: number): Promise<number> {
  const since = Date.now();
  while ((await work()).status !== status) {
    if (Date.now() - since > 20_000) throw new Error(`no answer has status ${status}`);
    await sleep(50);
  }
  return (Date.now() - since) / 1000;
}

/** A refusal in the registry's own form, given without asking one. */
async function expectRefusal(method: string, target: string, why: string): Promise<void> {
  registry.seen.length = 0;
  const body = ["GET", "HEAD"].includes(method) ? undefined : "some of a layer";
  const answer = await asked(method, target, { body });
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

/** The other balancer's refusal counts, whichever of the two is asked last. */
async function expectRefusedByOne(ask: () => Promise<Answer>): Promise<void> {
  const forSeconds = async (): Promise<void> => {
    for (let i = 0; i < 12; i++, await sleep(300)) expect((await ask()).status).toBe(503);
  };
  balancers[0]?.freeze(true);
  await forSeconds();
  await balancers[0]?.stop();
  await forSeconds();
  await balancers[0]?.start();
}

describe("while the store has its quorums", () => {
  it.each([...writes, ...reads, ...bases])("%s %s passes", async (method, target) => {
    registry.seen.length = 0;
    expect((await asked(method, target)).status).toBe(200);
    const passed = registry.seen
      .filter(({ url }) => url !== "/")
      .map(({ method: by, url }) => `${by} ${url}`);
    expect(passed).toEqual([`${method} ${target}`]);
  });

  it.each([
    ["write", "POST", "/v2/team/app/blobs/uploads/"],
    ["read", "GET", "/v2/team/app/manifests/latest"],
  ] as const)("who is busy asks a balancer about once a second: %s", async (quorum, by, target) => {
    const one = await new Upstream("counted", "127.0.7.8", 25924).start();
    names.names.set("s3-counted", "127.0.7.8");
    const counted = new Front(25449, users, {
      registries: [{ name: "registry", port: 25000 }],
      balancers: [{ name: "s3-counted", port: 25924 }],
      resolver: names.address,
    });
    try {
      await counted.start();
      const ask = () => counted.ask(target, { method: by, user: admin });
      await until(ask, 200);
      await until(() => Promise.resolve({ status: one.seen.length > 0 ? 1 : 0 }), 1);
      const before = one.seen.length;
      const since = Date.now();
      // A busy machine takes longer for as many requests.
      for (let sent = 0; sent <= 50 || Date.now() - since < 3000; sent++)
        expect((await ask()).status).toBe(200);
      const seconds = (Date.now() - since) / 1000;
      expect(one.seen.length - before).toBeLessThanOrEqual(2 * seconds);
      const { method, url, headers, body } = one.seen[0] ?? {};
      expect({ method, url, body }).toEqual({ method: "GET", url: balancerQuorumPaths[quorum], body: "" });
      expect(headers?.authorization).toBeUndefined();
    } finally {
      await counted.stop();
      await one.stop();
    }
  });
});

describe("without a write quorum", () => {
  let seconds: number;
  beforeAll(async () => {
    saying("write", 503, ...members);
    seconds = await until(push, 503);
    console.log(`pushes are refused ${seconds.toFixed(1)} s after the quorum is lost`);
  });
  afterAll(async () => {
    saying("write", 200, ...members);
    await until(push, 200);
  });

  it("is seen within 5 s", () => {
    expect(seconds).toBeLessThan(5);
  });

  it.each(writes)("%s %s is answered with 503, and why", (method, target) =>
    expectRefusal(method, target, "pulls work"),
  );

  it.each([...reads, ...bases])("%s %s passes", async (method, target) => {
    expect((await asked(method, target)).status).toBe(200);
  });

  it("the members are used for reading all the same", async () => {
    expect((await balancers[0]?.ask(balancerStoragePath))?.status).toBe(200);
  });

  it("passwords and rights are decided first", async () => {
    const target = "/v2/secret/blobs/uploads/";
    expect((await asked("POST", target, { user: "team:wrong" })).status).toBe(401);
    expect((await asked("POST", target, { user: "team:blue" })).status).toBe(403);
    expect((await asked("POST", "/v2/Nonsense/blobs/uploads/")).status).toBe(404);
  });

  it("an upload is turned away before its body is there", async () => {
    const authorization = `Authorization: Basic ${Buffer.from(admin).toString("base64")}`;
    const head = ["PATCH /v2/team/app/blobs/uploads/0a-1b HTTP/1.1", "Host: registry.test", authorization];
    const socket = await front.connect();
    socket.on("error", () => undefined);
    const answered = new Promise<string>((resolve) => socket.once("data", (text) => resolve(String(text))));
    socket.write([...head, "Content-Length: 1000000000", "", "the first bytes"].join("\r\n"));
    const first = await Promise.race([answered, sleep(2000, "nothing")]);
    socket.destroy();
    expect(first).toMatch(/^HTTP\/1.1 503 /);
  });

  it("a balancer that just started says so too, within seconds", async () => {
    await balancers[0]?.stop();
    await balancers[0]?.start();
    const seconds = await until(() => balancers[0]?.ask(balancerQuorumPaths.write) ?? push(), 503);
    expect(seconds).toBeLessThan(5);
  });

  it("one balancer that is gone or silent is no answer", () => expectRefusedByOne(push));
});

describe("without a read quorum", () => {
  let seconds: number;
  beforeAll(async () => {
    sayingAll(503, ...members);
    seconds = await until(pull, 503);
    console.log(`pulls are refused ${seconds.toFixed(1)} s after the quorum is lost`);
    await until(push, 503);
  });
  afterAll(async () => {
    sayingAll(200, ...members);
    await until(pull, 200);
    await until(push, 200);
  });

  it("is seen within 11 s", () => {
    expect(seconds).toBeLessThan(11);
  });

  it.each(reads)("%s %s is answered with 503, and why", (method, target) =>
    expectRefusal(method, target, "up to read from it"),
  );

  it.each(writes)("%s %s is, too", (method, target) => expectRefusal(method, target, "to write to it"));

  it.each(bases)("%s %s passes", async (method, target) => {
    expect((await asked(method, target)).status).toBe(200);
  });

  it("passwords and rights are decided first", async () => {
    const target = "/v2/secret/manifests/latest";
    expect((await asked("GET", target, { user: "team:wrong" })).status).toBe(401);
    expect((await asked("GET", target, { user: "team:blue" })).status).toBe(403);
    expect((await asked("GET", "/v2/Nonsense/manifests/latest")).status).toBe(404);
  });

  it("one balancer that is gone or silent is no answer", () => expectRefusedByOne(pull));
});

describe("the quorum is back", () => {
  it.each([
    ["write", push],
    ["read", pull],
  ] as const)("and requests pass within 4 s: %s", async (quorum, ask) => {
    saying(quorum, 503, ...members);
    await until(ask, 503);
    saying(quorum, 200, ...members);
    const seconds = await until(ask, 200);
    console.log(`requests pass ${seconds.toFixed(1)} s after the ${quorum} quorum is back`);
    expect(seconds).toBeLessThan(4);
  });
});

// A machine that stands still for a second looks the same for once; who is held up is so each time.
describe("requests are not held up", { retry: 2 }, () => {
  /** Statuses of requests that did not pass, for which no machine is an excuse. */
  const refused: number[] = [];
  afterEach(async () => {
    sayingAll(200, ...members);
    for (const balancer of balancers) balancer.freeze(false);
    await sleep(3000);
  });
  afterAll(() => expect(refused).toEqual([]));

  /** Milliseconds until a request has passed. */
  async function taken(ask: () => Promise<Answer>): Promise<number> {
    const since = Date.now();
    const { status } = await ask();
    if (status !== 200) refused.push(status);
    expect(status).toBe(200);
    return Date.now() - since;
  }

  /** Every push and pull of some seconds passes, at most 1.5 s after a request for which nobody asks the store. */
  async function passing(seconds: number): Promise<void> {
    const since = Date.now();
    let slowest = 0;
    while (Date.now() - since < seconds * 1000) {
      const [base, ...others] = await Promise.all([() => asked("GET", "/v2/"), push, pull].map(taken));
      slowest = Math.max(slowest, ...others.map((one) => one - (base ?? 0)));
      await sleep(50);
    }
    expect(slowest).toBeLessThan(1500);
  }

  it("by three members that say no, while one says yes", async () => {
    sayingAll(503, ...members.slice(1));
    await passing(7);
  });

  it("by members that all say once that nothing can be read", async () => {
    const haveSaid = (): boolean =>
      members.every(({ seen }) => seen.some(({ url }) => url === clusterPaths.read));
    await balancers[1]?.stop();
    try {
      for (const member of members) member.seen.length = 0;
      saying("read", 503, ...members);
      for (const since = Date.now(); Date.now() - since < 6000; await sleep(10)) {
        if (haveSaid()) saying("read", 200, ...members);
        expect((await balancers[0]?.ask(balancerQuorumPaths.read))?.status).toBe(200);
      }
      expect(haveSaid()).toBe(true);
    } finally {
      await balancers[1]?.start();
    }
  });

  it("by members that have not said yet what they wait 10 s for", async () => {
    sayingAll(undefined, ...members);
    await passing(10);
  });

  it("by balancers that are frozen", async () => {
    for (const balancer of balancers) balancer.freeze(true);
    await passing(6);
  });

  it("by balancers that just started", async () => {
    for (const balancer of balancers) {
      await balancer.stop();
      await balancer.start();
      for (let i = 0; i < 100; i++, await sleep(10)) {
        for (const quorum of quorums)
          expect((await balancer.ask(balancerQuorumPaths[quorum])).status).not.toBe(503);
      }
    }
  });

  it("by one that reaches no member", async () => {
    await balancers[0]?.stop();
    const backends = [{ name: "nowhere", port: 25921 }];
    const blind = new Balancer(25922, { backends, resolver: names.address });
    try {
      await blind.start();
      for (const quorum of quorums) expect((await blind.ask(balancerQuorumPaths[quorum])).status).toBe(504);
      await passing(6);
      // The other one's refusal counts all the same.
      sayingAll(503, ...members);
      expect(await until(push, 503)).toBeLessThan(6);
      expect(await until(pull, 503)).toBeLessThan(11);
    } finally {
      await blind.remove();
      await balancers[0]?.start();
    }
  });

  it("by balancers that know nothing of it", async () => {
    await Promise.all(balancers.map((balancer) => balancer.stop()));
    const older = await new Upstream("older", "127.0.0.1", 25922).start();
    older.reply = (_, response) => response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
    try {
      await passing(5);
      expect(older.seen.length).toBeGreaterThan(0);
    } finally {
      await older.stop();
      await Promise.all(balancers.map((balancer) => balancer.start()));
    }
  });

  it("by a balancer that says no while another one says yes, as one does whose node was cut off", async () => {
    await balancers[0]?.stop();
    const returned = await new Upstream("returned", "127.0.0.1", 25922).start();
    returned.reply = (_, response) => response.writeHead(503).end();
    try {
      await passing(5);
      expect(returned.seen.length).toBeGreaterThan(0);
    } finally {
      await returned.stop();
      await balancers[0]?.start();
    }
  });

  it("by balancers that are gone", async () => {
    await Promise.all(balancers.map((balancer) => balancer.stop()));
    await passing(4);
    await Promise.all(balancers.map((balancer) => balancer.start()));
  });
});

it("two members that hang count for nothing, whatever they said of the quorum", async () => {
  members.slice(0, 2).forEach((member) => hanging.add(member));
  saying("write", 503, ...members.slice(2));
  expect(await until(push, 503)).toBeLessThan(10);
  expect((await pull()).status).toBe(200);
  hanging.clear();
  saying("write", 200, ...members);
  await until(push, 200);
});
