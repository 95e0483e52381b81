import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Front } from "./front";
import { admin, Fronts } from "./fronts";

const fronts = new Fronts();

const inSeconds = (seconds: number): number => Math.round(Date.now() / 1000) + seconds;

describe("the password before the last change", () => {
  it("is right until each user's own end", async () => {
    const front = await fronts.start({ previousUntil: { admin: inSeconds(-1), team: inSeconds(3600) } });
    front.addPassword("previous", "admin", "older");
    front.addPassword("previous", "team", "older");
    const statusOf = async (user: string): Promise<number> => (await front.ask("/v2/", { user })).status;
    expect(await statusOf("admin:older")).toBe(401);
    expect(await statusOf("team:older")).toBe(200);
    for (const user of [admin, "team:blue"]) expect(await statusOf(user)).toBe(200);
  });

  it("is right past its end for as long as a front has no other", async () => {
    const behind = await fronts.start({ fronts: ["127.0.0.1:1"] });
    const patient = { "js_fetch_timeout 1s;": "js_fetch_timeout 60s;" };
    const front = await fronts.start(
      {
        previousUntil: { admin: inSeconds(-1) },
        // One of them is off.
        fronts: ["127.0.0.1:1", `127.0.0.1:${behind.port}`],
      },
      patient,
    );
    front.addPassword("previous", "admin", "older");
    const status = async (): Promise<number> => (await front.ask("/v2/", { user: "admin:older" })).status;
    // The other front has the new one, and then one that is newer still.
    expect(await status()).toBe(401);
    const has = (password: string): void => {
      behind.forgetPasswords("htpasswd");
      behind.addPassword("htpasswd", "admin", password);
    };
    has("blue");
    expect(await status()).toBe(401);
    has("older");
    expect(await status()).toBe(200);
  });

  it("is told by no front, to nobody but other fronts", async () => {
    const front = await fronts.start({
      fronts: ["127.0.0.3:1", "127.0.0.1:1"],
      healthFrom: ["127.0.0.2"],
    });
    const [line = ""] =
      /^admin:.*$/m.exec(fs.readFileSync(path.join(front.folder, "htpasswd"), "utf8")) ?? [];
    const digest = createHash("sha256").update(line).digest("hex");
    const status = async (query: string, from?: string): Promise<number> =>
      (await front.ask(`/healthz/password?${query}`, { from })).status;
    expect(await status(`user=admin&digest=${digest}`)).toBe(204);
    expect(await status(`user=admin&digest=${digest}`, "127.0.0.3")).toBe(204);
    // Who may ask for the front's health alone.
    expect((await front.ask("/healthz", { from: "127.0.0.2" })).status).toBe(200);
    expect(await status(`user=admin&digest=${digest}`, "127.0.0.2")).toBe(404);
    for (const query of [`user=team&digest=${digest}`, "user=stranger&digest=", "user=admin&digest=", ""])
      expect(await status(query)).toBe(404);
  });

  it("may be that of any user, whatever the name", async () => {
    const names = ["default", "hostnames", "volatile", "a".repeat(63)];
    const front = await fronts.start({
      previousUntil: Object.fromEntries(names.map((name) => [name, inSeconds(3600)])),
    });
    front.addPassword("previous", "admin", "older");
    expect((await front.ask("/v2/", { user: "admin:older" })).status).toBe(401);
  });
});

describe("a password that is not known yet", () => {
  let front: Front;
  beforeAll(async () => {
    front = await fronts.start({}, { "proxy_cache_valid 204 30s;": "" });
  });

  it.each([
    ["in chunks", { "Transfer-Encoding": "chunked" }],
    ["of a known length", { "Content-Length": "100000" }],
  ])("is checked without waiting for a body %s", async (_, headers) => {
    const body = Buffer.alloc(100_000, 1);
    const target = "/v2/team/app/blobs/uploads/0a-1b?_state=x";
    const answer = await front.ask(target, { method: "PATCH", user: "team:blue", headers, body });
    expect(answer.status).toBe(200);
  });
});
