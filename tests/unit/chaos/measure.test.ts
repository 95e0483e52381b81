import { describe, expect, test } from "vitest";
import type { Probe } from "../../chaos/client/probe";
import {
  answeredFrom,
  begunIn,
  countIn,
  countsOf,
  inNone,
  longestGap,
  lookedAt,
  pushFailures,
  secondsOfTwo,
  seldomLooked,
  slowestFirstByte,
  wasElsewhere,
} from "../../chaos/measure";
import { outcomeOf } from "../../chaos/skopeo";
import { holdersOf, showsAddress, showsOf } from "../../chaos/vip";

const probe = (at: number, firstByteMs: number, status = 200): Probe => ({
  path: "/v2/",
  at,
  firstByteMs,
  status,
});

describe("the longest gap", () => {
  test("is between two answers, whenever they were asked for", () => {
    const probes = [
      probe(900, 10),
      probe(1000, 10),
      probe(1100, 2900),
      probe(1300, 2500, 503),
      probe(3000, 20),
    ];
    expect(longestGap(probes, "/v2/", { from: 1050, to: 4500 })).toBe(3020 - 1010);
    expect(longestGap(probes, "/v2/", { from: 3900, to: 9000 })).toBe(9000 - 4000);
  });

  test("is all of a span without an answer", () => {
    expect(longestGap([probe(1100, 10, 0)], "/v2/", { from: 1000, to: 3000 })).toBe(2000);
    expect(longestGap([probe(1100, 10)], "/v2/other", { from: 1000, to: 3000 })).toBe(2000);
  });
});

test("the slowest first byte counts those asked in the spans, and one without success as never", () => {
  const probes = [probe(100, 5000), probe(1000, 30), probe(1500, 80), probe(2500, 10, 503)];
  expect(slowestFirstByte(probes, [{ from: 900, to: 2000 }])).toBe(80);
  expect(slowestFirstByte(probes, [{ from: 900, to: 3000 }])).toBe(Infinity);
  expect(slowestFirstByte(probes, [])).toBe(0);
});

test("two holders count while they last on end", () => {
  const counts = [1, 2, 2, 1, 2, 3, 2, 0];
  const samples = counts.map((count, second) => ({
    at: second * 1000,
    nodes: Array.from({ length: count }, (_, index) => `n${index}`),
  }));
  expect(secondsOfTwo(samples, { from: 0, to: 9000 })).toBe(3);
  expect(secondsOfTwo(samples, { from: 0, to: 3500 })).toBe(2);
  // By tenths, and what is over counts as one.
  const two = ["n1", "n2"];
  const often = [0, 1000, 1200, 2240].map((at) => ({ at, nodes: two }));
  expect(secondsOfTwo([...often, { at: 2430, nodes: ["n1"] }], { from: 0, to: 9000 })).toBe(2.5);
});

test("two holders count by the clock, where some looks are missing or late", () => {
  const two = ["n1", "n2"];
  const samples = [
    { at: 9000, nodes: ["n1"] },
    { at: 1000, nodes: two },
    { at: 4000, nodes: two },
  ];
  expect(secondsOfTwo(samples, { from: 0, to: 20_000 })).toBe(8);
  expect(secondsOfTwo([{ at: 1000, nodes: two }], { from: 0, to: 6000 })).toBe(5);
});

test("the VIP is elsewhere once another node has it, and none that was hurt", () => {
  const samples = [
    { at: 500, nodes: ["n2"] },
    { at: 1000, nodes: ["n1"] },
    { at: 2000, nodes: [] },
    { at: 3000, nodes: ["n1", "n2"] },
    { at: 4000, nodes: ["n2"] },
  ];
  expect(wasElsewhere(samples, ["n1"], { from: 1000, to: 3000 })).toBe(false);
  expect(wasElsewhere(samples, ["n1"], { from: 1000, to: 4000 })).toBe(true);
  expect(wasElsewhere(samples, ["n1", "n2"], { from: 1000, to: 4000 })).toBe(false);
  expect(countIn(samples, { from: 1000, to: 3000 })).toBe(3);
});

test("a look at a node that fails is none", async () => {
  const host = (name: string) => ({ kind: "node", name, netns: name }) as const;
  const hosts = ["n1", "n2", "n3"].map(host) as unknown as Parameters<typeof holdersOf>[0]["hosts"];
  const shows = (netns: string) =>
    netns === "n2" ? Promise.reject(new Error("no such namespace")) : Promise.resolve(netns === "n3");
  await expect(holdersOf({ hosts, vip: "10.0.2.10" }, shows)).rejects.toThrow("no such namespace");
  const off = (netns: string) => Promise.resolve(netns === "n3");
  expect(await holdersOf({ hosts, vip: "10.0.2.10" }, off)).toEqual(["n3"]);
});

test("a host that is off has no address, and one of which nothing can be said is told from it", () => {
  const failed = (stderr: string) => ({ code: 1, stdout: "", stderr });
  expect(showsOf({ code: 0, stdout: "[]", stderr: "" })).toBe(false);
  expect(showsOf(failed('Cannot open network namespace "moorage0-coreos1": No such file or directory'))).toBe(
    false,
  );
  expect(showsOf(failed('Device "eth0" does not exist.'))).toBe(false);
  expect(() => showsOf(failed("fork: Resource temporarily unavailable"))).toThrow(
    /who has the VIP cannot be seen: fork/,
  );
});

test("seconds count as looked at once, however often that was", () => {
  const samples = [1000, 1200, 1900, 2100, 4000, 9000].map((at) => ({ at, nodes: [] }));
  expect(lookedAt(samples, { from: 1000, to: 5500 })).toEqual({ seconds: 3, of: 4 });
  expect(seldomLooked({ seconds: 9, of: 10 })).toEqual([]);
  expect(seldomLooked({ seconds: 8, of: 10 })).toEqual(["the VIP was looked for in 8 of 10 seconds only"]);
});

test("an address counts on a link that others can see", () => {
  const shown = (operstate: string, addresses: unknown[]): string =>
    JSON.stringify([{ ifname: "eth0", operstate, addr_info: addresses }]);
  expect(showsAddress(shown("UP", [{ local: "10.0.2.10" }]))).toBe(true);
  expect(showsAddress(shown("DOWN", [{ local: "10.0.2.10" }]))).toBe(false);
  expect(showsAddress(shown("UP", []))).toBe(false);
  expect(showsAddress("[]")).toBe(false);
  expect(showsAddress("")).toBe(false);
});

test("what skopeo tried again is a failure before its retries, and none after them", () => {
  const warning = (count: number): string =>
    `time="2026-11-25" level=warning msg="Failed, retrying in 1s ... (${count}/3). Error: connection refused"\n`;
  const done = outcomeOf(0, warning(1) + warning(2));
  expect(done).toMatchObject({ ok: true, retries: 2 });
  expect(done.error).toContain("(2/3)");
  expect(outcomeOf(0, "")).toEqual({ ok: true, retries: 0 });
  expect(outcomeOf(1, `${warning(1)}time="x" level=fatal msg="gone"\n`).error).toContain("gone");
  expect(outcomeOf(255, 'exec of "skopeo" failed\n').error).toContain("skopeo");
  expect(outcomeOf(137, "").error).toBe("code 137");
  const span = { from: 10, to: 20 };
  const outcome = (start: number, end: number, ok: boolean, retries: number) =>
    ({ kind: "pull", client: "c", start, end, ok, retries }) as const;
  const outcomes = [
    outcome(1, 9, false, 0),
    outcome(1, 11, true, 1),
    outcome(15, 30, false, 3),
    outcome(12, 13, true, 0),
    outcome(21, 22, false, 0),
  ];
  expect(countsOf(outcomes, "pull", span)).toEqual({ all: 3, before: 2, after: 1 });
  expect(countsOf(outcomes, "push", span)).toEqual({ all: 0, before: 0, after: 0 });
  expect(begunIn(outcomes, "pull", span)).toEqual({ ok: 1, failed: 1 });
  expect(begunIn(outcomes, "push", span)).toEqual({ ok: 0, failed: 0 });
  const spans = [span, { from: 22, to: 30 }];
  expect(inNone(outcomes, spans).map(({ start }) => start)).toEqual([1]);
  expect(inNone(outcomes, [])).toEqual(outcomes);
});

test("a path is answered again by its first success after that", () => {
  const probes = [probe(900, 10), probe(1200, 10, 503), probe(1500, 30), probe(1400, 900)];
  expect(answeredFrom(probes, "/v2/", { from: 1000, to: 9000 })).toBe(1530);
  expect(answeredFrom(probes, "/v2/", { from: 2000, to: 9000 })).toBe(9000);
});

test("pushes that failed for good are told by when they were begun, and why", () => {
  const push = (start: number, end: number, error?: string) =>
    ({ kind: "push", client: "c", retries: 0, start, end, ok: error === undefined, error }) as const;
  const outcomes = [
    push(5, 9, "EOF"),
    push(8, 12, "use of closed network connection"),
    push(14, 40, "HTTP status: 500"),
    push(15, 16),
    push(22, 23, "the moon was full"),
    { ...push(15, 16, "EOF"), kind: "pull" } as const,
  ];
  expect(pushFailures(outcomes, { from: 10, to: 30 }, { from: 13, to: 20 })).toEqual([
    { begun: "around", cause: "cut" },
    { begun: "while it lasted", cause: "inside" },
    { begun: "around", cause: "other" },
  ]);
});
