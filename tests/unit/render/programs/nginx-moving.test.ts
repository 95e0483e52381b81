import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { NameServer } from "./dns";
import { Front, type Ask } from "./front";
import { admin, users } from "./fronts";
import { SilentAddress } from "./silent";
import { Upstream } from "./upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const digest = `sha256:${"a".repeat(64)}`;
const former = new SilentAddress("127.0.7.1", 25000);
const next = new Upstream("next", "127.0.7.2", 25000);
const other = new Upstream("other", "127.0.7.3", 25000);
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  await Promise.all([former.start(), next.start(), other.start()]);
  const registries = ["moving", "other"].map((name) => ({ name: `registry-${name}`, port: 25000 }));
  const patient = {
    // Long enough that names are asked for anew while a request waits, on a machine that is busy, too.
    "proxy_connect_timeout 400ms;": "proxy_connect_timeout 3s;",
    // As between two looks: after one nobody would ask it.
    "js_periodic pick.look interval=1200ms;": "",
  };
  front = new Front(25495, users, { registries, resolver: names.address }, patient);
  names.names.set("registry-other", other.host);
  await front.start();
});
afterAll(async () => {
  await front.stop();
  await Promise.all([next.stop(), other.stop()]);
  former.stop();
  names.stop();
});

/** What all repositories get, some of which begin with the registry that moves, while it moves. */
async function whileItMoves(target: (repository: string) => string, asked: Ask): Promise<number[]> {
  names.names.set("registry-moving", former.host);
  // The front asks anew for a name when its answer is a second old.
  await sleep(2500);
  const answers: Promise<number>[] = [];
  for (let number = 0; number < 30; number++) {
    if (number === 5) names.names.set("registry-moving", next.host);
    const asking = front.ask(target(`team/app-${number}`), { user: admin, ...asked });
    answers.push(asking.then(({ status }) => status));
    await sleep(50);
  }
  return Promise.all(answers);
}

it.each([
  ["a list of tags", "GET", (repository: string) => `/v2/${repository}/tags/list`],
  ["a layer", "GET", (repository: string) => `/v2/${repository}/blobs/${digest}`],
  ["a manifest", "PUT", (repository: string) => `/v2/${repository}/manifests/latest`],
  ["an upload's start", "POST", (repository: string) => `/v2/${repository}/blobs/uploads/`],
])("serves %s while a registry goes to another address", async (_, method, target) => {
  // More than nginx keeps in memory.
  const body = method === "PUT" ? "x".repeat(200_000) : "";
  next.seen.length = other.seen.length = 0;
  const logged = front.log.length;
  const statuses = await whileItMoves(target, { method, body });
  expect(statuses).toEqual(statuses.map(() => 200));
  const sent = [...next.seen, ...other.seen].filter(({ url }) => url !== "/");
  expect(sent).toHaveLength(statuses.length);
  expect(sent.filter((request) => request.method !== method || request.body !== body)).toEqual([]);
  const failedOver = `"upstream":"${former.host}:25000, registry-moving : `;
  await vi.waitFor(() => expect(front.log.slice(logged)).toContain(failedOver), 10_000);
});
