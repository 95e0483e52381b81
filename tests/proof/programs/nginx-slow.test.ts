/** Limits of the edge proxy that are a matter of time. */
import { expect, it } from "vitest";
import { pause } from "../../support/waiting";
import { basic, count } from "../../unit/render/programs/front";
import { admin, Fronts } from "../../unit/render/programs/fronts";

const fronts = new Fronts();

it("slows down an address that asks too often before it refuses more", async () => {
  const front = await fronts.start({ limits: { requestsPerSecond: 10 } });
  const ask = async (_: unknown, n: number) => {
    const since = performance.now();
    const answer = await front.ask(`/v2/team/app/manifests/t${n}`, { user: admin });
    return { ...answer, seconds: (performance.now() - since) / 1000 };
  };
  const answers = await Promise.all(Array.from({ length: 300 }, ask));
  expect(count(answers, 200) + count(answers, 429)).toBe(300);
  expect(count(answers, 429)).toBeGreaterThan(20);
  expect(count(answers, 200)).toBeGreaterThanOrEqual(90);
  expect(Math.max(...answers.map(({ seconds }) => seconds))).toBeGreaterThan(3);
});

it("remembers that an address guesses until the address has been still for a while", async () => {
  const instead = { "zone=refused_logins:1m timeout=2m": "zone=refused_logins:1m timeout=2s" };
  const front = await fronts.start({}, instead);
  const tried = async (times: number): Promise<number[]> => {
    const statuses: number[] = [];
    for (let n = 0; n < times; n++) {
      await pause(300);
      statuses.push((await front.ask("/v2/", { user: `admin:guess${n}`, from: "127.0.0.26" })).status);
    }
    return statuses;
  };
  expect(await tried(25)).toContain(429);
  await pause(4000);
  expect(await tried(5)).toEqual([401, 401, 401, 401, 401]);
});

it("passes a large layer that comes in small pieces, for longer than one may take", async () => {
  const front = await fronts.start({}, { "client_body_timeout 60s": "client_body_timeout 2s" });
  const socket = await front.connect();
  const authorization = `Authorization: ${basic(admin)}`;
  const head = ["Host: registry.test", authorization, "Content-Length: 60000", "Connection: close"];
  socket.write(`PATCH /v2/team/app/blobs/uploads/0b HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  const closed = new Promise((resolve) => socket.on("close", resolve).on("error", resolve));
  for (let at = 0; at < 6; at++) {
    await pause(700);
    socket.write(Buffer.alloc(10_000, at));
  }
  await closed;
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});
