import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkout } from "../../../lab/instance";
import { repositoriesOn, serverFor } from "../../chaos/ring";
import { NameServer } from "../render/programs/dns";
import { Front } from "../render/programs/front";
import { admin, users } from "../render/programs/fronts";
import { Upstream } from "../render/programs/upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];

test("each node has a repository of its own", () => {
  const found = repositoriesOn(nodes);
  expect([...found.keys()].sort()).toEqual(nodes);
  expect(new Set(found.values()).size).toBe(nodes.length);
  const servers = nodes.map((node) => `registry-${node}:5000`);
  for (const [node, repository] of found)
    expect(serverFor(repository, servers)).toBe(`registry-${node}:5000`);
  // By the names that the stack's front has.
  const rendered = fs.readFileSync(path.join(checkout(), "tests/golden/files/nginx.conf"), "utf8");
  for (const server of servers) expect(rendered).toContain(`server ${server} resolve`);
});

// In a network of its own each registry would have port 5000, which is part of what nginx counts by.
const PORT = 25000;
const upstreams = nodes.map((node, index) => new Upstream(node, `127.0.8.${index + 1}`, PORT));
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  for (const upstream of upstreams) {
    await upstream.start();
    names.names.set(`registry-${upstream.name}`, upstream.host);
  }
  const registries = nodes.map((node) => ({ name: `registry-${node}`, port: PORT }));
  front = new Front(25496, users, { registries, resolver: names.address });
  await front.start();
});
afterAll(async () => {
  await front.stop();
  await Promise.all(upstreams.map((upstream) => upstream.stop()));
  names.stop();
});

test("a real front asks the registry that was computed, for every repository", async () => {
  const servers = nodes.map((node) => `registry-${node}:${PORT}`);
  const repositories = Array.from({ length: 40 }, (_, number) => `chaos/probed-${number}`);
  // Until it knows all of their names.
  await vi.waitFor(async () => {
    const wrong: string[] = [];
    for (const repository of repositories) {
      const { headers } = await front.ask(`/v2/${repository}/manifests/latest`, { user: admin });
      const wanted = serverFor(repository, servers);
      if (`registry-${String(headers["x-upstream"])}:${PORT}` !== wanted) wrong.push(repository);
    }
    expect(wrong).toEqual([]);
  }, 30_000);
  expect(new Set(repositories.map((repository) => serverFor(repository, servers))).size).toBe(nodes.length);
});
