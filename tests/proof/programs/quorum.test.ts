/** How soon a store without a quorum is seen by real balancers, and that nothing else holds requests up. */
import { balancerQuorumPaths, quorums, type Quorum } from "@moorage/render";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { measured, pause } from "../../support/waiting";
import { Balancer } from "../../unit/render/programs/balancer";
import { NameServer } from "../../unit/render/programs/dns";
import { Front, type Answer } from "../../unit/render/programs/front";
import { admin, users } from "../../unit/render/programs/fronts";
import { Upstream } from "../../unit/render/programs/upstream";

const clusterPaths: Readonly<Record<Quorum, string>> = {
  write: "/minio/health/cluster",
  read: "/minio/health/cluster/read",
};
const registry = new Upstream("registry", "127.0.7.9");
const members = [1, 2, 3, 4].map((at) => new Upstream(`minio-${at}`, `127.0.7.${at}`));
/** What members say of their quorums; without an answer they are slow. */
const says: Readonly<Record<Quorum, Map<Upstream, number | undefined>>> = {
  write: new Map(),
  read: new Map(),
};
/** Those that accept connections and answer nothing. */
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
  for (const name of ["s3-0", "s3-1"]) names.names.set(name, "127.0.0.1");
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
  balancers = [1, 2].map(() => new Balancer({ backends, resolver: names.address }));
  await Promise.all(balancers.map((balancer) => balancer.start()));
  front = new Front(users, {
    registries: [{ name: "registry", port: registry.port }],
    balancers: balancers.map(({ port }, at) => ({ name: `s3-${at}`, port })),
    resolver: names.address,
  });
  await front.start();
  await secondsUntil(() => asked("GET", "/v2/"), 200);
});
afterAll(async () => {
  await front.stop();
  await Promise.all(balancers.map((balancer) => balancer.remove()));
  await Promise.all([registry, ...members].map((one) => one.stop()));
  names.stop();
});

const asked = (method: string, target: string): Promise<Answer> => front.ask(target, { method, user: admin });
const push = (): Promise<Answer> => asked("POST", "/v2/team/app/blobs/uploads/");
const pull = (): Promise<Answer> => asked("GET", "/v2/team/app/manifests/latest");
const first = (): Balancer => balancers[0] ?? expect.unreachable();

/** Seconds until the answer has that status. */
async function secondsUntil(
  work: () => Promise<{ readonly status: number }>,
  status: number,
): Promise<number> {
  const since = Date.now();
  while ((await work()).status !== status) {
    if (Date.now() - since > 20_000) throw new Error(`no answer has status ${status}`);
    await pause(50);
  }
  return (Date.now() - since) / 1000;
}

/** The other balancer's refusal counts, whichever of the two is asked last. */
async function expectRefusedByOne(ask: () => Promise<Answer>): Promise<void> {
  const forSeconds = async (): Promise<void> => {
    for (let i = 0; i < 12; i++, await pause(300)) expect((await ask()).status).toBe(503);
  };
  first().freeze(true);
  await forSeconds();
  await first().stop();
  await forSeconds();
  await first().start();
}

describe.each([
  ["write", push, 5],
  ["read", pull, 11],
] as const)("the store's quorum to %s", (quorum, ask, bound) => {
  it(`is missed within ${bound} s, whatever becomes of one balancer, and its return seen within 4 s`, async () => {
    saying(quorum, 503, ...members);
    const lost = await secondsUntil(ask, 503);
    measured(`the loss of the ${quorum} quorum is seen`, lost);
    expect(lost).toBeLessThan(bound);
    await expectRefusedByOne(ask);
    saying(quorum, 200, ...members);
    const back = await secondsUntil(ask, 200);
    measured(`the return of the ${quorum} quorum is seen`, back);
    expect(back).toBeLessThan(4);
  });
});

it("a balancer that just started reports a lost quorum within seconds", async () => {
  sayingAll(503, ...members);
  await secondsUntil(push, 503);
  await first().stop();
  await first().start();
  expect(await secondsUntil(() => first().ask(balancerQuorumPaths.write), 503)).toBeLessThan(5);
  sayingAll(200, ...members);
  await secondsUntil(push, 200);
});

// A machine that stands still for a second looks the same for once; what is held up is so each time.
describe("requests are not held up", { retry: 2 }, () => {
  /** Statuses of requests that did not pass, for which no machine is an excuse. */
  const refused: number[] = [];
  afterEach(async () => {
    sayingAll(200, ...members);
    for (const balancer of balancers) balancer.freeze(false);
    await pause(3000);
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

  /** Every push and pull of some seconds passes, at most 1.5 s after a request for which no store is asked. */
  async function passing(seconds: number): Promise<void> {
    const since = Date.now();
    let slowest = 0;
    while (Date.now() - since < seconds * 1000) {
      const [base, ...others] = await Promise.all([() => asked("GET", "/v2/"), push, pull].map(taken));
      slowest = Math.max(slowest, ...others.map((one) => one - (base ?? 0)));
      await pause(50);
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
    for (const member of members) member.seen.length = 0;
    saying("read", 503, ...members);
    for (const since = Date.now(); Date.now() - since < 6000; await pause(10)) {
      if (haveSaid()) saying("read", 200, ...members);
      expect((await first().ask(balancerQuorumPaths.read)).status).toBe(200);
    }
    expect(haveSaid()).toBe(true);
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
      for (let i = 0; i < 100; i++, await pause(10)) {
        for (const quorum of quorums)
          expect((await balancer.ask(balancerQuorumPaths[quorum])).status).not.toBe(503);
      }
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
  expect(await secondsUntil(push, 503)).toBeLessThan(10);
  expect((await pull()).status).toBe(200);
  hanging.clear();
  saying("write", 200, ...members);
  await secondsUntil(push, 200);
});
