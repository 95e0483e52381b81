import { previousHashes, type PreviousHashesOutputs } from "@moorage/hosts";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const start = Date.parse("2026-01-01T00:00:00Z");
const seconds = (after: number): number => start / 1000 + after;

beforeEach(() => void vi.useFakeTimers({ now: start, toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

async function changed(state: PreviousHashesOutputs, hashes: Record<string, string>, minutes = 15) {
  return previousHashes.update("", state, { hashes, minutes });
}

describe("the passwords before a change", () => {
  test("are none at first, and what was there once one is another", async () => {
    const { outs } = await previousHashes.create({ hashes: { a: "a1", b: "b1" }, minutes: 15 });
    expect(outs).toMatchObject({ previous: {}, until: 0 });
    const after = await changed(outs, { a: "a2", b: "b1", c: "c1" });
    expect(after).toEqual({
      hashes: { a: "a2", b: "b1", c: "c1" },
      minutes: 15,
      previous: { a: "a1" },
      until: seconds(900),
    });
    expect(previousHashes.diff(after, { hashes: after.hashes, minutes: 15 }).changes).toBe(false);
    // A user added later gives nobody more time.
    vi.setSystemTime(start + 60_000);
    expect(await changed(after, { ...after.hashes, d: "d1" })).toMatchObject({
      previous: { a: "a1" },
      until: seconds(900),
    });
  });

  const state = { hashes: { a: "a2", b: "b1" }, minutes: 15, previous: { a: "a1" }, until: seconds(900) };

  test("are kept for another user's change while they are right, and forgotten after", async () => {
    vi.setSystemTime(start + 600_000);
    const soon = await changed(state, { a: "a2", b: "b2" });
    expect(soon).toMatchObject({ previous: { a: "a1", b: "b1" }, until: seconds(1500) });
    vi.setSystemTime(start + 900_000);
    expect(await changed(state, { a: "a2", b: "b2" })).toMatchObject({ previous: { b: "b1" } });
  });

  test("are those of the last change alone, and no former user's", async () => {
    expect(await changed(state, { a: "a3", b: "b1" })).toMatchObject({ previous: { a: "a2" } });
    expect(await changed(state, { b: "b1" })).toMatchObject({ previous: {} });
  });

  test("are refused at once where that is asked for", async () => {
    expect(await changed(state, { a: "a3", b: "b1" }, 0)).toMatchObject({ previous: {} });
  });
});
