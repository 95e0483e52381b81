import { describe, expect, it } from "vitest";
import { admin, Fronts } from "./fronts";

const fronts = new Fronts(25490, "127.0.6.1");

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
