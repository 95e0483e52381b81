import { beforeAll, describe, expect, test } from "vitest";
import { urnsOf } from "../chaos/changes";
import { askOnce, probe } from "../chaos/clients";
import type { Probe } from "../chaos/client/probe";
import type { Login } from "../chaos/client/request";
import { longestGap } from "../chaos/measure";
import { TestLab } from "../support/testLab";

let lab: TestLab;
let reader: Login;

beforeAll(async () => {
  lab = await TestLab.standing();
  const { host, caCertificate: ca } = await lab.access();
  reader = { host, ca, username: "reader", password: await passwordNow() };
});

async function passwordNow(): Promise<string> {
  return ((await lab.outputs()).passwords as Record<string, string>).reader ?? "";
}

async function statusAt(address: string, password: string): Promise<number> {
  const once = {
    login: { ...reader, host: address, password },
    path: "/v2/",
    method: "GET",
    timeoutMs: 10_000,
  };
  return (await askOnce(lab.host("client1"), once)).status;
}

// `make chaos` has all changes, under load. These two go through every nginx together.
describe("a user's password and the front's certificate changed", () => {
  test("nobody finds the address without a front, and nobody is refused", async () => {
    const urns = urnsOf(await lab.state(), /^(registry-user-reader|ca-front-certificate)$/);
    expect(urns).toHaveLength(2);
    const seen: Probe[] = [];
    const from = Date.now();
    const stop = probe(lab.host("client1"), { login: reader, paths: ["/v2/"], everyMs: 150 }, (one) =>
      seen.push(one),
    );
    let code: number;
    let output: string;
    try {
      ({ code, output } = await lab.up(urns.flatMap((urn) => ["--replace", urn])));
    } finally {
      await stop();
    }
    expect(code, output).toBe(0);
    const to = Date.now();
    expect(seen.length).toBeGreaterThan(50);
    expect(
      [...new Set(seen.map(({ status }) => status))].filter((status) => ![0, 200].includes(status)),
    ).toEqual([]);
    // The VIP leaves before nginx stops: what was under way ends, and nothing new is turned away.
    expect(seen.filter(({ error }) => /ECONNREFUSED/.test(error ?? ""))).toEqual([]);
    expect(longestGap(seen, "/v2/", { from: seen[0]?.at ?? from, to })).toBeLessThan(3000);
  });

  test("old and new password are right at every front", async () => {
    const password = await passwordNow();
    expect(password).not.toBe(reader.password);
    for (const { address } of lab.nodes) {
      expect(await statusAt(address, reader.password), address).toBe(200);
      expect(await statusAt(address, password), address).toBe(200);
      expect(await statusAt(address, "neither"), address).toBe(401);
    }
    expect(await lab.plan()).toEqual([]);
  });
});
