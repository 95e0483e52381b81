import { expect, test } from "vitest";
import type { Probe } from "../../chaos/client/probe";
import {
  awaitRefusal,
  openUpload,
  refusalProblems,
  unclear,
  wronglyAnswered,
  wronglyPushed,
} from "../../chaos/refusal";

test("a clear refusal is a 503 with Retry-After and an error of the registry's", () => {
  const answer = { status: 503, firstByteMs: 1, digest: "", headers: { "retry-after": "5" }, body: "" };
  expect(unclear({ ...answer, body: '{"errors":[{"code":"UNAVAILABLE"}]}' })).toBeUndefined();
  expect(unclear({ ...answer, body: "<html>" })).toBe("503 with a body that is no JSON");
  expect(unclear({ ...answer, headers: {} })).toBe("503 without Retry-After");
  expect(unclear({ ...answer, headers: { "retry-after": "soon" } })).toBe("503 with Retry-After: soon");
  expect(unclear({ ...answer, status: 0, error: "silent for 9 ms" })).toBe("silent for 9 ms");
});

const refusedAnswer = {
  status: 503,
  firstByteMs: 1,
  digest: "",
  headers: { "retry-after": "5" },
  body: '{"errors":[{"code":"UNAVAILABLE"}]}',
};
const known = {
  repository: "a/b",
  digest: `sha256:${"ab".repeat(32)}`,
  upload: "/v2/a/b/blobs/uploads/0a-1b?_state=xyz",
};

test("every kind of write has to be refused, and where nothing can be read a pull too", async () => {
  const asked: string[] = [];
  const ask = (those: readonly { path: string; method: string }[]) => {
    asked.push(...those.map(({ path, method }) => `${method} ${path}`));
    return Promise.resolve(
      those.map(({ method }) => (method === "PATCH" ? { ...refusedAnswer, status: 502 } : refusedAnswer)),
    );
  };
  const problems = ["a layer that is open is not refused clearly: status 502"];
  expect(await refusalProblems("pushes", known, ask)).toEqual(problems);
  expect(asked).toEqual([
    "POST /v2/a/b/blobs/uploads/",
    "PATCH /v2/a/b/blobs/uploads/0a-1b?_state=xyz",
    `PUT /v2/a/b/blobs/uploads/0a-1b?_state=xyz&digest=sha256%3A${"ab".repeat(32)}`,
    "PUT /v2/a/b/manifests/refused",
    `DELETE /v2/a/b/manifests/${known.digest.slice(0, -8)}00000000`,
  ]);
  asked.length = 0;
  expect(await refusalProblems("everything", known, ask)).toEqual(problems);
  expect(asked).toHaveLength(6);
  expect(asked).toContain(`GET /v2/a/b/manifests/${known.digest}`);
});

const answers = (status: number) => (those: readonly unknown[]) =>
  those.map(() => ({ ...refusedAnswer, status }));

test("a refusal is waited for as long as it may take, and no longer", async () => {
  let rounds = 0;
  const after = (times: number) => (those: readonly unknown[]) => {
    rounds += 1;
    return Promise.resolve(answers(rounds > times ? 503 : 202)(those));
  };
  const await_ = (times: number, seconds: number) => {
    const since = Date.now() - seconds * 1000;
    return awaitRefusal("pushes", known, after(times), { since, until: since }, undefined, 1, 1);
  };
  const soon = await await_(2, 12);
  expect(rounds).toBe(3);
  expect(soon.problems).toEqual([]);
  expect(soon.seconds).toBeGreaterThanOrEqual(12);
  expect(soon.seconds).toBeLessThan(20);
  expect((await await_(0, 41)).problems).toEqual(["all is refused clearly only after 41 s"]);
  const never = await await_(1e9, 36);
  expect(never.seconds).toBeUndefined();
  expect(never.problems).toContain("a layer that is open is not refused clearly: status 202");
});

test("a refusal has to stay clear until the fault is taken back", async () => {
  const since = Date.now() - 12_000;
  let rounds = 0;
  const told: number[] = [];
  const ask = (those: readonly unknown[]) => {
    rounds += 1;
    return Promise.resolve(answers(rounds === 3 ? 500 : 503)(those));
  };
  const until = Date.now() + 3000;
  const refusal = await awaitRefusal("pushes", known, ask, { since, until }, () => told.push(rounds), 1, 200);
  expect(told).toEqual([1]);
  expect(rounds).toBeGreaterThan(3);
  expect(Date.now()).toBeGreaterThanOrEqual(until);
  expect(refusal.seconds).toBeLessThan(20);
  expect(refusal.problems).toHaveLength(5);
  expect(refusal.problems[0]).toMatch(
    /^12 s after the fault, the beginning of a push is not refused clearly: status 500$/,
  );
});

test("an upload is open by what the registry says of it, with its state", async () => {
  const location = "/v2/a/b/blobs/uploads/0a?_state=x%3D";
  const begun = { ...refusedAnswer, status: 202, headers: { location } };
  expect(await openUpload("a/b", () => Promise.resolve([begun]))).toBe(location);
  const whole = { ...begun, headers: { location: `https://10.0.2.10${location}` } };
  expect(await openUpload("a/b", () => Promise.resolve([whole]))).toBe(location);
  // A moment in which nobody answers is none in which everything is refused.
  let tries = 0;
  const after = (refused: number) => () => Promise.resolve([tries++ < refused ? refusedAnswer : begun]);
  const soon = { times: 3, pauseMs: 1 };
  expect(await openUpload("a/b", after(2), soon)).toBe(location);
  tries = 0;
  await expect(openUpload("a/b", after(3), soon)).rejects.toThrow(/status 503/);
  expect(tries).toBe(3);
});

test("pushes that begin and end while all is refused get 503, and nothing else", () => {
  const push = { kind: "push", client: "c", start: 110, end: 120, ok: false, retries: 0 } as const;
  const refused = { ...push, error: "received unexpected HTTP status: 503 Service Unavailable" };
  const clear = { from: 100, to: 200 };
  expect(wronglyPushed([refused], clear)).toEqual([]);
  expect(wronglyPushed([], clear)).toEqual(["no push was tried while pushes were refused"]);
  // One that was under way when the fault came, or ended once it was over, says nothing.
  const around = [
    { ...push, start: 90, error: "EOF" },
    { ...push, end: 201, ok: true },
  ];
  expect(wronglyPushed([refused, ...around], clear)).toEqual([]);
  const wrong = [
    { ...push, ok: true },
    { ...push, error: "unexpected HTTP status: 500" },
    { ...push, error: "not done after 120 s" },
  ];
  expect(wronglyPushed(wrong, clear)).toEqual([
    "a push was acknowledged while pushes were refused",
    "a push was not refused with 503: unexpected HTTP status: 500",
    "a push was not refused with 503: not done after 120 s",
  ]);
});

test("pulls are refused while nothing can be read, or nobody is there", () => {
  const of = (at: number, status: number, firstByteMs = 1): Probe => ({
    path: "/v2/a/manifests/x",
    at,
    status,
    firstByteMs,
  });
  const span = { from: 100, to: 200 };
  const seen = [
    of(50, 200),
    of(110, 503),
    of(120, 503),
    of(199, 200, 500),
    { ...of(130, 200), path: "/v2/" },
  ];
  expect(wronglyAnswered(seen, span, [503])).toEqual([]);
  expect(wronglyAnswered([...seen, of(140, 0), of(150, 500)], span, [503])).toEqual([
    "1 of 4 pulls were answered with nothing",
    "1 of 4 pulls were answered with 500",
  ]);
  expect(wronglyAnswered([...seen, of(140, 0)], span, [0, 503])).toEqual([]);
});
