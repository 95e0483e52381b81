import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { request } from "../../chaos/client/request";
import { NameServer } from "../render/programs/dns";
import { Front } from "../render/programs/front";
import { admin, users } from "../render/programs/fronts";
import { Upstream } from "../render/programs/upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const upstream = new Upstream("one", "127.0.8.9", 25000);
let names: NameServer;
let front: Front;

beforeAll(async () => {
  names = await NameServer.start();
  await upstream.start();
  names.names.set("registry-one", upstream.host);
  front = new Front(25503, users, {
    registries: [{ name: "registry-one", port: upstream.port }],
    resolver: names.address,
  });
  await front.start();
});
afterAll(async () => {
  await front.stop();
  await upstream.stop();
  names.stop();
});

test("a client's request has the path, the query and the body that it was told", async () => {
  const ca = fs.readFileSync(path.join(front.folder, "tls.crt"), "utf8");
  const [username = "", password = ""] = admin.split(":");
  const login = { host: "127.0.0.1:25503", ca, username, password };
  const open = "/v2/a/b/blobs/uploads/0a?_state=x%3D";
  const heard = await request(login, open, 10_000, "PATCH", false, "more of it");
  expect(heard).toMatchObject({ status: 200, headers: { "x-upstream": "one" } });
  expect(JSON.parse(heard.body)).toEqual({ from: "one", method: "PATCH", url: open });
  expect((await request(login, "/v2/a/b/manifests/t", 10_000)).status).toBe(200);
  const seen = upstream.seen.filter(({ url }) => url.startsWith("/v2/a/"));
  expect(seen.map(({ method, body }) => [method, body])).toEqual([
    ["PATCH", "more of it"],
    ["GET", ""],
  ]);
  expect(seen[0]?.headers).toMatchObject({
    "content-type": "application/octet-stream",
    "content-length": "10",
  });
});
