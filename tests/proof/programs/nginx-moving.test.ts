import { afterAll, beforeAll, expect, it } from "vitest";
import { pause, until } from "../../support/waiting";
import { NameServer } from "../../unit/render/programs/dns";
import { Front, type Ask } from "../../unit/render/programs/front";
import { admin, users } from "../../unit/render/programs/fronts";
import { SilentAddress } from "./silent";
import { Upstream } from "../../unit/render/programs/upstream";

const digest = `sha256:${"a".repeat(64)}`;
const former = new SilentAddress("127.0.7.1");
const next = new Upstream("next", "127.0.7.2");
const other = new Upstream("other", "127.0.7.3");
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  await Promise.all([former.start(), other.start()]);
  next.port = former.port;
  await next.start();
  const registries = [
    { name: "registry-moving", port: next.port },
    { name: "registry-other", port: other.port },
  ];
  const patient = {
    // Long enough that names are asked for anew while a request waits, on a machine that is busy, too.
    "proxy_connect_timeout 400ms;": "proxy_connect_timeout 3s;",
  };
  front = new Front(users, { registries, resolver: names.address }, patient);
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
  await pause(2500);
  const answers: Promise<number>[] = [];
  for (let number = 0; number < 30; number++) {
    if (number === 5) names.names.set("registry-moving", next.host);
    const asking = front.ask(target(`team/app-${number}`), { user: admin, ...asked });
    answers.push(asking.then(({ status }) => status));
    await pause(50);
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
  const failedOver = `"upstream":"${former.host}:${former.port}, registry-moving : `;
  await until("it is logged", () => expect(front.log.slice(logged)).toContain(failedOver));
});
