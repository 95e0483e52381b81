import * as fs from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { basic, count, type Answer, type Front } from "./front";
import { admin, Fronts } from "./fronts";

const fronts = new Fronts();
const team = "team:blue";
const perSecond = "zone=checks:32k rate=2r/s;";

describe("guessing", () => {
  let front: Front;
  const guess = (n: number, from: string): Promise<Answer> =>
    front.ask("/v2/", { user: `admin:guess${n}`, from });
  beforeAll(async () => {
    // Each request is checked, at once: in production an answer is remembered for half a minute.
    front = await fronts.start(
      {},
      { "proxy_cache_valid 204 30s;": "", [perSecond]: perSecond.replace("2r", "1000r") },
    );
  });

  /** Asks until so many answers have been refused. A slow machine is allowed more of them. */
  async function refused(times: number, ask: (n: number) => Promise<Answer>): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let n = 0; count(answers, 429) < times && n < 300; n++) answers.push(await ask(n));
    expect(count(answers, 429)).toBe(times);
    return answers;
  }

  it("is refused after ten passwords, from that address alone", async () => {
    const answers = await refused(10, (n) => guess(n, "127.0.0.21"));
    expect(answers.slice(0, 10).every(({ status }) => status === 401)).toBe(true);
    expect((await front.ask("/v2/", { user: team, from: "127.0.0.22" })).status).toBe(200);
    const { headers, body } = answers.at(-1) ?? expect.unreachable();
    expect(headers["retry-after"]).toBe("1");
    expect(headers["www-authenticate"]).toBeUndefined();
    expect(JSON.parse(body)).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
  });

  it("does not hold back a user at the same address whose password was right before", async () => {
    const from = "127.0.0.23";
    expect((await front.ask("/v2/", { user: team, from })).status).toBe(200);
    const statuses: number[] = [];
    await refused(20, async (n) => {
      const [answer, known] = await Promise.all([guess(n, from), front.ask("/v2/", { user: team, from })]);
      statuses.push(known.status);
      return answer;
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("is not what clients without a password do, as each does at first", async () => {
    const from = "127.0.0.24";
    const ask = () => front.ask("/v2/", { from });
    for (let n = 0; n < 30; n++) expect((await ask()).status).toBe(401);
    // At once, too.
    expect(count(await Promise.all(Array.from({ length: 60 }, ask)), 401)).toBe(60);
    expect((await front.ask("/v2/", { user: admin, from })).status).toBe(200);
  });

  it("from many addresses is checked two at a time, and leaves the front's health and known users alone", async () => {
    // None of those that wait gets its turn during the test. The first of the two was the administrator's.
    const slow = await fronts.start({}, { [perSecond]: perSecond.replace("2r/s", "1r/m") });
    const answers: Answer[] = [];
    for (let n = 0; n < 60; n++) {
      const asked = slow.ask("/v2/", { user: `admin:guess${n}`, from: `127.0.1.${1 + (n % 30)}` });
      void asked.then((answer) => answers.push(answer)).catch(() => undefined);
    }
    const checked = () => [count(answers, 401), count(answers, 429)];
    await until("15 wait and the others are answered", () => expect(checked()).toEqual([1, 44]));
    expect((await slow.ask("/healthz")).status).toBe(200);
    expect((await slow.ask("/v2/", { user: admin, from: "127.0.1.1" })).status).toBe(200);
    expect(checked()).toEqual([1, 44]);
  });

  it("with a password that was right once is guessing, too", async () => {
    const from = "127.0.0.25";
    front.setPrevious("admin", "older", 3600);
    const ask = () => front.ask("/v2/", { user: "admin:older", from });
    expect((await ask()).status).toBe(200);
    front.setPrevious("admin", "older", -1);
    expect(count(await refused(10, ask), 200)).toBe(0);
  });
});

it("a user who does not exist costs a check of a password, too", async () => {
  const front = await fronts.start();
  const status = async (): Promise<number> => (await front.ask("/v2/", { user: "stranger:blue" })).status;
  expect(await status()).toBe(401);
  // Were that check's password right, it would be a user without rights.
  fs.writeFileSync(front.at("users.htpasswd"), "");
  front.addPassword("users.htpasswd", "-", "-");
  expect(await status()).toBe(403);
});

describe("a password that was right", () => {
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  const again = [
    basic(admin),
    basic(admin).replace("Basic", "bASIC"),
    `Basic${" ".repeat(1000)}${encoded(admin)}`,
    // nginx reads base64 until its first `=`.
    `${basic(admin)}=nothing`,
    // nginx compares the password until its first zero byte.
    `Basic ${encoded(`${admin}\0more`)}`,
  ];
  let front: Front;
  const status = async (Authorization: string): Promise<number> =>
    (await front.ask("/v2/", { headers: { Authorization } })).status;
  beforeAll(async () => void (front = await fronts.start()));

  it("is remembered once, however its header is written", async () => {
    for (const header of again) expect(await status(header), header.slice(0, 40)).toBe(200);
    expect(fs.readdirSync(front.at("tmp/passwords"))).toHaveLength(1);
  });

  it.each([
    ["of another user", basic("team:root")],
    ["with more behind it", basic(`${admin}t`)],
    ["without a scheme", encoded(admin)],
    ["of another scheme", `Bearer ${encoded(admin)}`],
    ["behind a tab", `Basic \t${encoded(admin)}`],
    ["with a character that is not base64's", `Basic ${encoded(admin).replaceAll("=", "")}-`],
    ["with one character of base64 too many", `Basic ${encoded("admin:root!!")}a`],
  ])("says nothing of one %s", async (_, header) => {
    expect(await status(basic(admin))).toBe(200);
    expect(await status(header)).toBe(401);
  });
});
