import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { NameServer } from "./dns";
import { Front } from "./front";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const users = { admin: { password: "root", rights: [{ prefix: "", access: "write" as const }] } };

let names: NameServer;
beforeAll(async () => {
  names = await NameServer.start();
});
afterAll(() => names.stop());

describe("on its way out", () => {
  it("is not well first, so that the VIP leaves, and serves until it is gone", async () => {
    const leaving = new Front(25445, users, {
      registries: [{ name: "registry-one", port: 25000 }],
      resolver: names.address,
    });
    try {
      const child = await leaving.startAsInContainer();
      const since = Date.now();
      const ended = new Promise<number>((resolve) => child.once("exit", () => resolve(Date.now() - since)));
      child.kill("SIGQUIT");
      await expect.poll(async () => (await leaving.ask("/healthz")).status).toBe(503);
      expect(Date.now() - since).toBeLessThan(500);
      // Told twice, it leaves no sooner.
      child.kill("SIGTERM");
      await sleep(2000);
      expect((await leaving.ask("/v2/")).status).toBe(401);
      expect(await ended).toBeGreaterThan(2900);
      expect(child.exitCode).toBe(0);
      await expect(leaving.ask("/v2/")).rejects.toThrow("ECONNREFUSED");
    } finally {
      await leaving.stop();
    }
  });

  it("ends with nginx where that ends by itself", async () => {
    const broken = new Front(
      25446,
      users,
      { registries: [{ name: "one", port: 1 }] },
      { "events {": "evens {" },
    );
    try {
      await expect(broken.startAsInContainer()).rejects.toThrow("nginx ended");
    } finally {
      await broken.stop();
    }
  });
});
