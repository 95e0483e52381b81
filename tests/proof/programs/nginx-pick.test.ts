import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pause, until } from "../../support/waiting";
import { NameServer } from "../../unit/render/programs/dns";
import { Front, withLooks } from "../../unit/render/programs/front";
import { admin, users } from "../../unit/render/programs/fronts";
import { Upstream } from "../../unit/render/programs/upstream";

const nodes = ["one", "two", "three"];
const registries = nodes.map((node, index) => new Upstream(`registry-${node}`, `127.0.9.${index + 1}`));
const balancers = nodes.map((node, index) => new Upstream(`s3-${node}`, `127.0.9.${index + 11}`));
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  for (const upstream of [...registries, ...balancers]) names.names.set(upstream.name, upstream.host);
  await Promise.all([...registries, ...balancers].map((upstream) => upstream.start()));
});
afterAll(async () => {
  await Promise.all([...registries, ...balancers].map((upstream) => upstream.stop()));
  names.stop();
});

const whole = [...registries, ...balancers].map(({ reply }) => reply);
/** A front for each test: what one found before, it may have forgotten since. */
beforeEach(async () => {
  const all = registries.map(({ name, port }, at) => ({ name, port, balancer: balancers[at] }));
  front = await new Front(users, { registries: all, resolver: names.address }, withLooks).start();
  await until("all are well", async () => {
    // Where none is well, all are asked, too.
    expect(unwell()).toEqual([]);
    expect(new Set(await asked())).toEqual(new Set(registries.map(({ name }) => name)));
  });
});
afterEach(async () => {
  await front.stop();
  names.untold.clear();
  [...registries, ...balancers].forEach(
    (upstream, index) => (upstream.reply = whole[index] ?? upstream.reply),
  );
});

interface Answer {
  readonly status: number;
  readonly by: string;
}

async function ask(repository: string): Promise<Answer> {
  const { status, headers } = await front.ask(`/v2/${repository}/tags/list`, { user: admin });
  return { status, by: String(headers["x-upstream"]) };
}

const repositories = Array.from({ length: 24 }, (_, number) => `team/app${number}`);

/** Who answers for each of them. */
async function asked(): Promise<string[]> {
  const answers = await Promise.all(repositories.map((repository) => ask(repository)));
  expect(answers.map(({ status }) => status)).toEqual(repositories.map(() => 200));
  return answers.map(({ by }) => by);
}

/** Those of whom the front said last that they do not serve. */
function unwell(): string[] {
  const last = (name: string): string | undefined =>
    front.log.match(new RegExp(`${name} (does not serve|serves again)`, "g"))?.at(-1);
  return registries.map(({ name }) => name).filter((name) => last(name) === `${name} does not serve`);
}

/** Within as many looks as there are in five seconds: those of a busy machine may take longer. */
async function seenMissing(...missing: readonly Upstream[]): Promise<void> {
  const names = missing.map(({ name }) => name);
  const looks = (): number[] => missing.map(({ seen }) => seen.filter(({ url }) => url === "/").length);
  const before = looks();
  await until("it is missed", () => expect(unwell()).toEqual(expect.arrayContaining(names)));
  looks().forEach((now, index) => expect(now - (before[index] ?? 0)).toBeLessThanOrEqual(4));
}

/** Who answers for each of them while nobody else is missed: where none is well, all are asked, and a busy machine's may seem so. */
async function askedWithout(gone: Upstream): Promise<string[]> {
  const said = (): number => front.log.match(/does not serve|serves again/g)?.length ?? 0;
  for (let tries = 0; tries < 5; tries++) {
    await until("it alone is missed", () => expect(unwell()).toEqual([gone.name]));
    const before = said();
    gone.seen.length = 0;
    const by = await asked();
    if (said() === before) return by;
  }
  throw new Error(`others than ${gone.name} are missed again and again:\n${front.log}`);
}

/** It takes requests and answers none, and the front has seen so. */
async function seenHanging(registry: Upstream): Promise<void> {
  registry.reply = () => undefined;
  await seenMissing(registry);
}

it("a registry that hangs is not asked a few looks later, others keep what they have, and it gets back what it had", async () => {
  const before = await asked();
  const [gone] = registries;
  if (!gone) throw new Error("no registry");
  await seenHanging(gone);
  const now = await askedWithout(gone);
  expect(gone.seen.filter(({ url }) => url !== "/")).toEqual([]);
  expect(now).not.toContain(gone.name);
  now.forEach((name, index) => {
    if (before[index] !== gone.name) expect(name).toBe(before[index]);
  });
  gone.reply = whole[0] ?? gone.reply;
  await until("it has what it had", async () => expect(await asked()).toEqual(before));
});

describe("a registry that is back", () => {
  it("is asked once nginx must have learned its address, which takes up to two seconds", async () => {
    const [back] = registries;
    if (!back) throw new Error("no registry");
    await seenHanging(back);
    const at: { look?: number; request?: number } = {};
    back.reply = (request, response) => {
      if (request.url === "/") at.look ??= performance.now();
      // Where none is well, all are asked.
      else if (unwell().length < nodes.length) at.request ??= performance.now();
      whole[0]?.(request, response);
    };
    await until("it is asked", async () => {
      await asked();
      expect(at.request).toBeDefined();
    });
    expect(Number(at.request) - Number(at.look)).toBeGreaterThan(2000);
  });
});

describe("a registry that is gone", () => {
  it("is not asked, though the name server says nothing about it any more", async () => {
    const [gone] = registries;
    if (!gone) throw new Error("no registry");
    await seenHanging(gone);
    names.untold.add(gone.name);
    // Longer than what was seen before counts.
    await pause(7000);
    expect(new Set(await askedWithout(gone))).toEqual(new Set(registries.slice(1).map(({ name }) => name)));
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
  await seenMissing(...registries);
  registries.forEach((one) => (one.seen.length = 0));
  expect((await ask("team/app0")).status).toBe(503);
  expect(registries.some(({ seen }) => seen.some(({ url }) => url !== "/"))).toBe(true);
});
