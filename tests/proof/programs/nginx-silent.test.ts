import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../../support/waiting";
import { NameServer } from "../../unit/render/programs/dns";
import { Front, withLooks, type Answer, type Ask } from "../../unit/render/programs/front";
import { admin, users } from "../../unit/render/programs/fronts";
import { nodeOf } from "../../support/probed";
import { SilentAddress } from "./silent";
import { Upstream } from "../../unit/render/programs/upstream";

const nodes = ["one", "two", "three", "four", "five"];
const silent = nodes.slice(0, 4).map((_, index) => new SilentAddress(`127.0.10.${index + 1}`));
const there = new Upstream("registry-five", "127.0.10.5");
let names: NameServer;
let front: Front;

/** A repository of which that node's registry is asked first, and those of the nodes after it are asked next. */
function repositoryOf(node: string): string {
  const candidates = Array.from({ length: 100 }, (_, number) => `team/app${number}`);
  const found = candidates.find((repository) => nodeOf(repository, nodes) === node);
  if (found === undefined) throw new Error(`no repository is ${node}'s`);
  return found;
}

const asked: Readonly<Record<string, [string, Ask]>> = {
  "a manifest that is read": ["manifests/latest", {}],
  "a manifest that is written": ["manifests/latest", { method: "PUT", body: "{}" }],
  "a layer that is read": [`blobs/sha256:${"a".repeat(64)}`, {}],
  "an upload's start": ["blobs/uploads/", { method: "POST" }],
  "a part of a layer": ["blobs/uploads/1", { method: "PATCH", body: "part" }],
};
const answers = new Map<string, Answer>();

beforeAll(async () => {
  names = await NameServer.start();
  nodes.forEach((node, index) => names.names.set(`registry-${node}`, `127.0.10.${index + 1}`));
  await Promise.all([there.start(), ...silent.map((one) => one.start())]);
  const registries = [...silent, there].map(({ port }, at) => ({ name: `registry-${nodes[at]}`, port }));
  // One look alone, which knows after four seconds who is silent: when all requests are there, and before four were silent for one.
  const looked = {
    ...withLooks,
    "proxy_connect_timeout 400ms;": "proxy_connect_timeout 1500ms;",
    "interval=1200ms;": "interval=60s;",
    "js_fetch_timeout 700ms;": "js_fetch_timeout 4s;",
    "zone=registries:64k timeout=5s": "zone=registries:64k timeout=60s",
  };
  front = await new Front(users, { registries, resolver: names.address }, looked).start();
  const asks = ["one", "two"].flatMap((node) =>
    Object.entries(asked).map(async ([what, [path, ask]]) => {
      const answer = await front.ask(`/v2/${repositoryOf(node)}/${path}`, { user: admin, ...ask });
      answers.set(`${node}: ${what}`, answer);
    }),
  );
  await Promise.all(asks);
});
afterAll(async () => {
  await front.stop();
  await there.stop();
  silent.forEach((one) => one.stop());
  names.stop();
});

/** How the log tells of what was asked of a repository: the status of each that was tried. */
const tried = (node: string): string[] =>
  front.log
    .split("\n")
    .filter((line) => line.includes(`"path":"/v2/${repositoryOf(node)}/`))
    .map((line) => (JSON.parse(line) as { upstreamStatus: string }).upstreamStatus);

it.each(Object.keys(asked))("the fourth registry is asked where three are silent: %s", (what) => {
  expect(answers.get(`two: ${what}`)?.status).toBe(200);
});

it.each(Object.keys(asked).slice(0, 4))(
  "where all that are tried are silent, another one that is known to be there is asked: %s",
  (what) => {
    expect(answers.get(`one: ${what}`)?.status).toBe(200);
  },
);

it("what cannot be sent again is refused for a while", () => {
  const answer = answers.get("one: a part of a layer");
  expect(answer).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
  expect(answer?.body).toContain("UNAVAILABLE");
});

it("each was tried once by a request, the one that is picked first and the others in any order", async () => {
  // A request is told of when it is over, which may be after its answer.
  for (const node of ["one", "two"])
    await until("all are logged", () => expect(tried(node)).toHaveLength(Object.keys(asked).length));
  for (const one of tried("two")) expect(one).toMatch(/^(504, ){1,3}200$/);
  expect(tried("one").sort()).toEqual([
    "504, 504, 504, 504",
    ...Object.keys(asked)
      .slice(1)
      .map(() => "504, 504, 504, 504 : 200"),
  ]);
});
