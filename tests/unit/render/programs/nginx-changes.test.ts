import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Front } from "./front";
import { admin, Fronts } from "./fronts";

const fronts = new Fronts(25460, "127.0.6.1");

describe("the password before the last change", () => {
  it.each([
    ["right until the time that is given", 60, 200],
    ["no longer right after it", -1, 401],
  ])("is %s", async (_, seconds, status) => {
    const front = await fronts.start({ previousUntil: Math.round(Date.now() / 1000) + seconds });
    front.addPassword("previous", "admin", "older");
    expect((await front.ask("/v2/", { user: "admin:older" })).status).toBe(status);
    expect((await front.ask("/v2/", { user: admin })).status).toBe(200);
  });
});

describe("a password that is not known yet", () => {
  it.each([
    ["in chunks", { "Transfer-Encoding": "chunked" }],
    ["of a known length", { "Content-Length": "100000" }],
  ])("is checked without waiting for a body %s", async (_, headers) => {
    const front = await fronts.start();
    const since = Date.now();
    const body = Buffer.alloc(100_000, 1);
    const target = "/v2/team/app/blobs/uploads/0a-1b?_state=x";
    const answer = await front.ask(target, { method: "PATCH", user: "team:blue", headers, body });
    expect(answer.status).toBe(200);
    expect(Date.now() - since).toBeLessThan(5000);
  });
});

describe("on its way out", () => {
  const registries = [{ name: "nobody", port: 1 }];

  it("is not well first, so that the VIP leaves, and serves until it is gone", async () => {
    const front = new Front(25468, {}, { registries, resolver: "127.0.0.1" });
    try {
      const child = await front.startAsInContainer();
      const since = Date.now();
      const ended = new Promise<number>((resolve) => child.once("exit", () => resolve(Date.now() - since)));
      child.kill("SIGQUIT");
      await expect.poll(async () => (await front.ask("/healthz")).status).toBe(503);
      expect(Date.now() - since).toBeLessThan(2500);
      // Told twice, it leaves no sooner.
      child.kill("SIGTERM");
      await sleep(2000 - (Date.now() - since));
      expect((await front.ask("/v2/")).status).toBe(401);
      expect(await ended).toBeGreaterThan(2900);
      expect(child.exitCode).toBe(0);
      await expect(front.ask("/v2/")).rejects.toThrow("ECONNREFUSED");
    } finally {
      await front.stop();
    }
  });

  it("ends with nginx where that ends by itself", async () => {
    const front = new Front(25469, {}, { registries, resolver: "127.0.0.1" }, { "events {": "evens {" });
    try {
      await expect(front.startAsInContainer()).rejects.toThrow("nginx ended");
    } finally {
      await front.stop();
    }
  });
});
