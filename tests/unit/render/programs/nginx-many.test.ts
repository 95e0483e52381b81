import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { NameServer } from "./dns";
import { Front } from "./front";
import { admin, users } from "./fronts";
import { Upstream } from "./upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** As many as a rack has and more, with the longest names that Docker takes for `registry-NODE`. */
const nodes = Array.from({ length: 60 }, (_, index) => `rack-${"n".repeat(46)}-${100 + index}`.slice(-54));
const registry = new Upstream("registry", "127.0.11.1", 25000);
const balancer = new Upstream("s3", "127.0.11.2", 9000);
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  for (const node of nodes) {
    names.names.set(`registry-${node}`, registry.host);
    names.names.set(`s3-${node}`, balancer.host);
  }
  front = new Front(25499, users, {
    registries: nodes.map((node) => ({
      name: `registry-${node}`,
      port: 25000,
      balancer: { name: `s3-${node}`, port: 9000 },
    })),
    balancers: nodes.map((node) => ({ name: `s3-${node}`, port: 9000 })),
    fronts: nodes.map((_, index) => `192.168.100.${100 + index}:65535`),
    resolver: names.address,
  });
  await Promise.all([registry.start(), balancer.start()]);
});
afterAll(async () => {
  await front.stop();
  await Promise.all([registry.stop(), balancer.stop()]);
  names.stop();
});

it("a front of dozens of registries with long names starts, knows and asks all of them", async () => {
  await front.start();
  await vi.waitFor(
    async () => expect((await front.ask("/v2/", { user: admin })).status, front.log.slice(-2000)).toBe(200),
    { timeout: 20_000, interval: 200 },
  );
  balancer.seen.length = 0;
  registry.reply = (_request, response) => response.writeHead(503).end();
  await vi.waitFor(
    () => expect(nodes.filter((node) => !front.log.includes(`${node} does not serve`))).toEqual([]),
    {
      timeout: 10_000,
    },
  );
  await sleep(2000);
  expect(balancer.seen.length).toBeGreaterThanOrEqual(nodes.length);
  expect(front.log).not.toMatch(/no memory|too long|could not/);
});
