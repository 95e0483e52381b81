import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { NameServer } from "./dns";
import { Front, withLooks } from "./front";
import { admin, users } from "./fronts";
import { Upstream } from "./upstream";

/** As many as a rack has and more, with the longest names that Docker takes for `registry-NODE`. */
const nodes = Array.from({ length: 60 }, (_, index) => `rack-${"n".repeat(46)}-${100 + index}`.slice(-54));
const registry = new Upstream("registry", "127.0.0.2");
const balancer = new Upstream("s3", "127.0.0.3");
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  await Promise.all([registry.start(), balancer.start()]);
  for (const node of nodes) {
    names.names.set(`registry-${node}`, registry.host);
    names.names.set(`s3-${node}`, balancer.host);
  }
  const balancers = nodes.map((node) => ({ name: `s3-${node}`, port: balancer.port }));
  const registries = nodes.map((node, at) => ({
    name: `registry-${node}`,
    port: registry.port,
    balancer: balancers[at],
  }));
  const fronts = nodes.map((_, index) => `192.168.100.${100 + index}:65535`);
  const patient = {
    ...withLooks,
    // A busy machine may be slow to answer so many at once.
    "interval=1200ms;": "interval=10s;",
    "resolver_timeout 400ms;": "resolver_timeout 10s;",
    "js_fetch_timeout 700ms;": "js_fetch_timeout 10s;",
  };
  front = new Front(users, { registries, balancers, fronts, resolver: names.address }, patient);
});
afterAll(async () => {
  await front.stop();
  await Promise.all([registry.stop(), balancer.stop()]);
  names.stop();
});

it("a front of dozens of registries with long names starts, knows and asks all of them", async () => {
  await front.start();
  await until("it serves", async () =>
    expect((await front.ask("/v2/", { user: admin })).status, front.log.slice(-2000)).toBe(200),
  );
  const asked = ({ seen }: Upstream) =>
    new Set(seen.map(({ headers }) => headers.host).filter((host) => host?.includes("nnn-"))).size;
  await until("all are asked for their health", () =>
    expect([asked(registry), asked(balancer)]).toEqual([nodes.length, nodes.length]),
  );
  expect(front.log).not.toMatch(/no memory|too long|could not/);
});
