import { expect, test } from "vitest";
import { awaitRefusal, refusalProblems, unclear } from "../../chaos/refusal";

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
const known = { repository: "a/b", digest: `sha256:${"ab".repeat(32)}` };

test("every kind of write has to be refused, and where nothing can be read a pull too", async () => {
  const asked: string[] = [];
  const ask = (those: readonly { path: string; method: string }[]) => {
    asked.push(...those.map(({ path, method }) => `${method} ${path}`));
    return Promise.resolve(
      those.map(({ method }) => (method === "PATCH" ? { ...refusedAnswer, status: 502 } : refusedAnswer)),
    );
  };
  const problems = ["a layer is not refused clearly: status 502"];
  expect(await refusalProblems("pushes", known, ask)).toEqual(problems);
  expect(asked).toEqual([
    "POST /v2/a/b/blobs/uploads/",
    "PATCH /v2/a/b/blobs/uploads/0a-1b",
    "PUT /v2/a/b/manifests/refused",
    `DELETE /v2/a/b/manifests/${known.digest.slice(0, -8)}00000000`,
  ]);
  asked.length = 0;
  expect(await refusalProblems("everything", known, ask)).toEqual(problems);
  expect(asked).toHaveLength(5);
  expect(asked).toContain(`GET /v2/a/b/manifests/${known.digest}`);
});

test("a refusal is waited for as long as it may take, and no longer", async () => {
  let rounds = 0;
  const after = (times: number) => (those: readonly unknown[]) => {
    rounds += 1;
    return Promise.resolve(those.map(() => ({ ...refusedAnswer, status: rounds > times ? 503 : 202 })));
  };
  const soon = await awaitRefusal("pushes", known, after(2), Date.now() - 12_000, 1);
  expect(rounds).toBe(3);
  expect(soon.problems).toEqual([]);
  expect(soon.seconds).toBeGreaterThanOrEqual(12);
  expect(soon.seconds).toBeLessThan(20);
  const late = await awaitRefusal("pushes", known, after(0), Date.now() - 41_000, 1);
  expect(late.problems).toEqual(["all is refused clearly only after 41 s"]);
  const never = await awaitRefusal("pushes", known, after(1e9), Date.now() - 36_000, 1);
  expect(never.seconds).toBeUndefined();
  expect(never.problems).toContain("a layer is not refused clearly: status 202");
});
