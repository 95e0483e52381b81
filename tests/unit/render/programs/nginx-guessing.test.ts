import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { count, type Answer, type Front } from "./front";
import { admin, Fronts } from "./fronts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const fronts = new Fronts(25461, "127.0.2.2");

describe("guessing", () => {
  let front: Front;
  const guess = (n: number, from: string): Promise<Answer> =>
    front.ask("/v2/", { user: `admin:guess${n}`, from });
  beforeAll(async () => {
    // Answers that the front remembers for half a minute are forgotten here before the next request.
    front = await fronts.start({}, { "proxy_cache_valid 204 30s": "proxy_cache_valid 204 1s" });
  });

  it("is refused after ten passwords, from that address alone", async () => {
    const from = "127.0.0.21";
    const answers: Answer[] = [];
    for (let n = 0; n < 30; n++) answers.push(await guess(n, from));
    expect(answers.slice(0, 10).every(({ status }) => status === 401)).toBe(true);
    expect(count(answers, 429)).toBeGreaterThanOrEqual(10);
    expect((await front.ask("/v2/", { user: "team:blue", from: "127.0.0.22" })).status).toBe(200);
  });

  it("touches nobody at the same address whose password was right before", async () => {
    const from = "127.0.0.23";
    expect((await front.ask("/v2/", { user: "team:blue", from })).status).toBe(200);
    let guessing = true;
    const guesses = (async () => {
      for (let n = 0; guessing; n++) await Promise.all([0, 1, 2, 3].map((m) => guess(4 * n + m, from)));
    })();
    const statuses: number[] = [];
    for (let n = 0; n < 5; n++) {
      await sleep(1200);
      statuses.push((await front.ask("/v2/", { user: "team:blue", from })).status);
    }
    guessing = false;
    await guesses;
    expect(statuses).toEqual([200, 200, 200, 200, 200]);
    expect((await guess(1000, from)).status).toBe(429);
  });

  it("is remembered until the address has been still for a while", async () => {
    const brief = await fronts.start(
      {},
      { "zone=refused_logins:1m timeout=2m": "zone=refused_logins:1m timeout=2s" },
    );
    const tried = async (count: number): Promise<number[]> => {
      const statuses: number[] = [];
      for (let n = 0; n < count; n++) {
        await sleep(300);
        statuses.push((await brief.ask("/v2/", { user: `admin:guess${n}`, from: "127.0.0.26" })).status);
      }
      return statuses;
    };
    expect(await tried(25)).toContain(429);
    await sleep(4000);
    expect(await tried(5)).toEqual([401, 401, 401, 401, 401]);
  });

  it("is not what clients without a password do, as each does at first", async () => {
    const from = "127.0.0.24";
    for (let n = 0; n < 60; n++) expect((await front.ask("/v2/", { from })).status).toBe(401);
    // At once, too, and without waiting for each other.
    const since = performance.now();
    const ask = () => front.ask("/v2/", { from });
    expect(count(await Promise.all(Array.from({ length: 60 }, ask)), 401)).toBe(60);
    expect(performance.now() - since).toBeLessThan(4000);
    expect((await front.ask("/v2/", { user: admin, from })).status).toBe(200);
  });

  it("with a password that was right once is guessing, too", async () => {
    const from = "127.0.0.25";
    front.addPassword("previous", "admin", "older");
    expect((await front.ask("/v2/", { user: "admin:older", from })).status).toBe(200);
    front.forgetPasswords("previous");
    await sleep(2500);
    const answers: Answer[] = [];
    for (let n = 0; n < 30; n++) answers.push(await front.ask("/v2/", { user: "admin:older", from }));
    expect(count(answers, 200)).toBe(0);
    expect(count(answers, 429)).toBeGreaterThanOrEqual(10);
  });
});
