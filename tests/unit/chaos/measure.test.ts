import { describe, expect, test } from "vitest";
import type { Probe } from "../../chaos/client/probe";
import {
  answeredFrom,
  begunIn,
  countIn,
  countsOf,
  inNone,
  longestGap,
  longestInVain,
  longestOfTwo,
  lookedAt,
  pushFailures,
  secondsOfTwo,
  seldomLooked,
  slowestFirstByte,
  wasElsewhere,
} from "../../chaos/measure";
import { asDocker, outcomeOf, type Copied } from "../../chaos/skopeo";
import { holdersOf, nextLook, showsAddress, showsOf } from "../../chaos/vip";

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

test("a path is in vain from the first to the last request on end without success", () => {
  const asked = (...statuses: number[]): Probe[] =>
    statuses.map((status, index) => probe(1000 + index * 1200, 10, status));
  const span = { from: 0, to: 60_000 };
  expect(longestInVain(asked(200, 0, 200, 503, 503, 200), "/v2/", span)).toBe(1200);
  expect(longestInVain(asked(200, 503, 0, 503, 200), "/v2/", span)).toBe(2400);
  expect(longestInVain(asked(503, 503, 503), "/v2/other", span)).toBe(0);
  expect(longestInVain(asked(503, 503, 503), "/v2/", { from: 2000, to: 60_000 })).toBe(1200);
});

test("the slowest first byte counts those asked in the spans, and one without success as never", () => {
  const probes = [probe(100, 5000), probe(1000, 30), probe(1500, 80), probe(2500, 10, 503)];
  expect(slowestFirstByte(probes, [{ from: 900, to: 2000 }])).toBe(80);
  expect(slowestFirstByte(probes, [{ from: 900, to: 3000 }])).toBe(Infinity);
  expect(slowestFirstByte(probes, [])).toBe(0);
});

describe("two holders", () => {
  const of = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index}`);
  const looks = (...those: [number, number][]) => those.map(([at, count]) => ({ at, nodes: of(count) }));

  test("count while they last on end", () => {
    const counts = [1, 2, 2, 1, 2, 3, 2, 0];
    const samples = looks(...counts.map((count, second): [number, number] => [second * 1000, count]));
    expect(secondsOfTwo(samples, { from: 0, to: 9000 })).toBe(3);
    expect(longestOfTwo(samples, { from: 0, to: 9000 })).toBe(3000);
    expect(secondsOfTwo(samples, { from: 0, to: 3500 })).toBe(2);
    expect(secondsOfTwo(looks([0, 1], [1000, 1]), { from: 0, to: 3500 })).toBe(0);
  });

  test("count by the clock's seconds, however long they last beyond the last of them", () => {
    const short = looks([1010, 2], [1210, 2], [2010, 2], [2990, 2], [3010, 1]);
    expect(secondsOfTwo(short, { from: 0, to: 9000 })).toBe(2);
    expect(longestOfTwo(short, { from: 0, to: 9000 })).toBe(2000);
    // A look that is late makes them no longer.
    expect(secondsOfTwo(looks([1010, 2], [2010, 2], [3800, 1]), { from: 0, to: 9000 })).toBe(2);
    expect(secondsOfTwo(looks([1010, 2], [2010, 2], [3010, 2], [3210, 1]), { from: 0, to: 9000 })).toBe(3);
  });

  test("count in seconds without a look, too, as long as nobody saw one alone", () => {
    const seldom = looks([9000, 1], [1000, 2], [4000, 2]);
    expect(secondsOfTwo(seldom, { from: 0, to: 20_000 })).toBe(8);
    expect(longestOfTwo(seldom, { from: 0, to: 20_000 })).toBe(8000);
    expect(secondsOfTwo(looks([1000, 2]), { from: 0, to: 6000 })).toBe(5);
  });
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

test("who has the VIP is looked at as each second begins, and more often while several have it", () => {
  expect(nextLook(1010, 1, 1090)).toBe(2010);
  expect(nextLook(1010, 2, 1090)).toBe(1290);
  expect(nextLook(1900, 2, 1990)).toBe(2010);
  // It was a look of the second before, by a timer that was early.
  expect(nextLook(1999, 1, 1999)).toBe(2010);
  expect(nextLook(2010, 1, 4300)).toBe(3010);
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

test("a layer that skopeo gives up at once is asked for again, as Docker's client does, and nothing else", async () => {
  const fatal = (error: string): Copied => outcomeOf(1, `time="x" level=fatal msg="${error}"\n`);
  const reset =
    'reading blob sha256:ab: Get \\"https://r/v2/\\": write tcp a->b: write: connection reset by peer';
  const tries = async (...answers: readonly Copied[]): Promise<[Copied, number]> => {
    let asked = 0;
    const copied = await asDocker(() => Promise.resolve(answers[asked++] ?? answers[answers.length - 1]!), 1);
    return [copied, asked];
  };
  const done = outcomeOf(0, "");
  const [soon, twice] = await tries(fatal(reset), done);
  expect([soon.ok, soon.retries, twice]).toEqual([true, 1, 2]);
  expect(soon.error).toContain("connection reset");
  const ended = fatal("writing blob: happened during read: unexpected EOF");
  expect(await tries(ended, done)).toEqual([{ ...done, retries: 1, error: ended.error }, 2]);
  const [never, often] = await tries(fatal(reset));
  expect([never.ok, never.retries, often]).toEqual([false, 3, 4]);
  expect(await tries(done)).toEqual([done, 1]);
  const refused = fatal("reading manifest t: unauthorized");
  expect(await tries(refused)).toEqual([refused, 1]);
  // It has tried again itself.
  const tired = { ...fatal(reset), retries: 3 };
  expect(await tries(tired)).toEqual([tired, 1]);
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
  // Once one has succeeded that was begun after it.
  const again = [push(16, 21), push(21, 24), push(23, 25, "EOF"), push(25, 26, "EOF"), push(35, 36, "EOF")];
  expect(pushFailures(again, { from: 10, to: 30 }, { from: 13, to: 20 })).toEqual([
    { begun: "around", cause: "cut" },
    { begun: "on return", cause: "cut" },
  ]);
});
