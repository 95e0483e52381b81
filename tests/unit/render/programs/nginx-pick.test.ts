import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { NameServer } from "./dns";
import { Front } from "./front";
import { admin, users } from "./fronts";
import { nodeOf } from "../../../chaos/probed";
import { Upstream } from "./upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const port = 25000;
const nodes = ["one", "two", "three"];
const registries = nodes.map((node, index) => new Upstream(`registry-${node}`, `127.0.9.${index + 1}`, port));
const balancers = nodes.map((node, index) => new Upstream(`s3-${node}`, `127.0.9.${index + 11}`, port));
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  for (const upstream of [...registries, ...balancers]) names.names.set(upstream.name, upstream.host);
  front = new Front(25497, users, {
    registries: nodes.map((node) => ({
      name: `registry-${node}`,
      port,
      balancer: { name: `s3-${node}`, port },
    })),
    resolver: names.address,
  });
  await Promise.all([...registries, ...balancers].map((upstream) => upstream.start()));
  await front.start();
});
afterAll(async () => {
  await front.stop();
  await Promise.all([...registries, ...balancers].map((upstream) => upstream.stop()));
  names.stop();
});

const whole = [...registries, ...balancers].map(({ reply }) => reply);
beforeEach(async () => {
  await vi.waitFor(
    async () => expect(new Set(await asked())).toEqual(new Set(registries.map(({ name }) => name))),
    {
      timeout: 20_000,
      interval: 500,
    },
  );
});
afterEach(() => {
  names.untold.clear();
  [...registries, ...balancers].forEach(
    (upstream, index) => (upstream.reply = whole[index] ?? upstream.reply),
  );
});

interface Answer {
  readonly status: number;
  readonly by: string;
  readonly seconds: number;
}

async function ask(repository: string, kind = "tags/list"): Promise<Answer> {
  const since = performance.now();
  const { status, headers } = await front.ask(`/v2/${repository}/${kind}`, { user: admin });
  return { status, by: String(headers["x-upstream"]), seconds: (performance.now() - since) / 1000 };
}

const repositories = Array.from({ length: 24 }, (_, number) => `team/app${number}`);

/** Who answers for each of them. */
async function asked(): Promise<string[]> {
  const answers = await Promise.all(repositories.map((repository) => ask(repository)));
  expect(answers.map(({ status }) => status)).toEqual(repositories.map(() => 200));
  return answers.map(({ by }) => by);
}

/** How the log calls who does not serve. */
const missed = (name: string): number => front.log.split(`${name} does not serve: `).length - 1;

it("has one registry for all of a repository, by its name and theirs", async () => {
  expect(await asked()).toEqual(repositories.map((repository) => `registry-${nodeOf(repository, nodes)}`));
});

describe.each([
  ["hangs", registries, () => undefined],
  [
    "says that it has no store",
    registries,
    (_: unknown, response: { writeHead(status: number): { end(): void } }) => response.writeHead(503).end(),
  ],
  ["has a balancer that hangs", balancers, () => undefined],
] as const)("a registry that %s", (_how, of, reply) => {
  it("is asked by nobody two seconds later, others keep what they have, and it gets back what it had", async () => {
    const before = await asked();
    const [first] = of;
    const [gone] = registries;
    if (!first || !gone) throw new Error("no registry");
    const times = missed(gone.name);
    first.reply = reply as Upstream["reply"];
    await vi.waitFor(() => expect(missed(gone.name), front.log.slice(-3000)).toBe(times + 1), {
      timeout: 5000,
    });
    const since = performance.now();
    const now = await asked();
    expect(performance.now() - since).toBeLessThan(5000);
    expect(now).not.toContain(gone.name);
    now.forEach((name, index) => {
      if (before[index] !== gone.name) expect(name).toBe(before[index]);
    });
    first.reply = whole[0] ?? first.reply;
    await vi.waitFor(async () => expect(await asked()).toEqual(before), { timeout: 20_000, interval: 500 });
  });
});

describe("a registry that is gone", () => {
  it("is asked by nobody, though the name server has no word about it any more", async () => {
    const [gone] = registries;
    if (!gone) throw new Error("no registry");
    const times = missed(gone.name);
    gone.reply = () => undefined;
    await vi.waitFor(() => expect(missed(gone.name), front.log.slice(-3000)).toBe(times + 1), {
      timeout: 5000,
    });
    names.untold.add(gone.name);
    // Longer than what was seen before counts.
    await sleep(7000);
    gone.seen.length = 0;
    expect(new Set(await asked())).toEqual(new Set(registries.slice(1).map(({ name }) => name)));
    expect(gone.seen).toEqual([]);
  });
});

describe("a registry that fails for everything but health", () => {
  const failing: Upstream["reply"] = (request, response) => {
    response.writeHead(request.url === "/" ? 200 : 500, { "X-Upstream": "failing" });
    response.end('{"errors":[{"code":"UNKNOWN"}]}');
  };

  it("has what can be sent again answered by another one", async () => {
    const [first] = registries;
    if (!first) throw new Error("no registry");
    first.reply = failing;
    expect(new Set(await asked())).not.toContain("failing");
  });

  it("says so itself where all of them do", async () => {
    for (const one of registries) one.reply = failing;
    expect(await ask("team/app0")).toMatchObject({ status: 500, by: "failing" });
    // Nobody is taken for gone because of that.
    const [, second] = registries;
    if (second) second.reply = whole[1] ?? second.reply;
    expect(new Set(await asked())).toEqual(new Set(["registry-two"]));
  });
});

it("all registries are asked where none is well", async () => {
  for (const one of registries) one.reply = (_request, response) => response.writeHead(503).end("{}");
  await vi.waitFor(
    () => expect(nodes.map((node) => missed(`registry-${node}`) > 0)).toEqual([true, true, true]),
    {
      timeout: 5000,
    },
  );
  registries.forEach((one) => (one.seen.length = 0));
  expect((await ask("team/app0")).status).toBe(503);
  expect(registries.some(({ seen }) => seen.some(({ url }) => url !== "/"))).toBe(true);
});
