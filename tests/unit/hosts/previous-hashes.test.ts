import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PreviousHashesOutputs } from "../../../hosts/src/contract";
import { previousHashes } from "../../../hosts/src/previous-hashes";
import { logged } from "./support/stop";

const start = Date.parse("2026-01-01T00:00:00Z");
const seconds = (after: number): number => start / 1000 + after;

beforeEach(() => void vi.useFakeTimers({ now: start, toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

const state = {
  hashes: { a: "a2", b: "b1" },
  minutes: 15,
  previous: { a: "a1" },
  until: { a: seconds(900) },
};

interface Row {
  readonly later?: number;
  readonly hashes: Record<string, string>;
  readonly minutes?: number;
  readonly previous: Record<string, string>;
  readonly until: Record<string, number>;
}

test.each<[string, Row]>([
  ["ends as it was if nothing changes", { hashes: state.hashes, previous: { a: "a1" }, until: { a: 900 } }],
  [
    "ends as it was if another user's changes",
    { later: 600, hashes: { a: "a2", b: "b2" }, previous: { a: "a1", b: "b1" }, until: { a: 900, b: 1500 } },
  ],
  [
    "stays past its end, for fronts that have no other",
    { later: 9_000, hashes: { a: "a2", b: "b1", c: "c1" }, previous: { a: "a1" }, until: { a: 900 } },
  ],
  [
    "is that of the user's last change",
    { later: 600, hashes: { a: "a3", b: "b1" }, previous: { a: "a2" }, until: { a: 1500 } },
  ],
  ["goes with its user", { hashes: { b: "b1" }, previous: {}, until: {} }],
  [
    "is refused at once if that is configured",
    { hashes: { a: "a3", b: "b1" }, minutes: 0, previous: {}, until: {} },
  ],
])("a former password %s", async (_what, { later = 0, hashes, minutes = 15, previous, until }) => {
  vi.setSystemTime(start + later * 1000);
  const ends = Object.fromEntries(Object.entries(until).map(([user, end]) => [user, seconds(end)]));
  const after = await previousHashes.update("", state, { hashes, minutes });
  expect(after).toEqual({ hashes, minutes, previous, until: ends });
});

test("there is no former password at first; the end of one is reported", async () => {
  const { outs } = await previousHashes.create({ hashes: { a: "a1" }, minutes: 15 });
  expect(outs).toMatchObject({ previous: {}, until: {} });
  await previousHashes.update("", outs, { hashes: { a: "a2" }, minutes: 15 });
  expect(logged.at(-1)).toContain("a is another one; the one before is right until 2026-01-01T00:15:00.000Z");
});

test("a state in which all had one end gets one for each by the next update", async () => {
  const recorded = { ...state, until: seconds(900) } as unknown as PreviousHashesOutputs;
  const inputs = { hashes: state.hashes, minutes: 15 };
  expect(previousHashes.diff(recorded, inputs)).toMatchObject({ changes: true, replaces: [] });
  expect(await previousHashes.update("", recorded, inputs)).toEqual(state);
  expect(previousHashes.diff(state, inputs).changes).toBe(false);
});
