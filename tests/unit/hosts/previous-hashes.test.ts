import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { PreviousHashesOutputs } from "../../../hosts/src/contract";
import { previousHashes } from "../../../hosts/src/previous-hashes";
import { logged } from "./support/stop";

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
    expect(outs).toMatchObject({ previous: {}, until: {} });
    const after = await changed(outs, { a: "a2", b: "b1", c: "c1" });
    expect(after).toEqual({
      hashes: { a: "a2", b: "b1", c: "c1" },
      minutes: 15,
      previous: { a: "a1" },
      until: { a: seconds(900) },
    });
    expect(previousHashes.diff(after, { hashes: after.hashes, minutes: 15 }).changes).toBe(false);
    expect(logged.at(-1)).toContain(
      "a is another one; the one before is right until 2026-01-01T00:15:00.000Z",
    );
  });

  const state = {
    hashes: { a: "a2", b: "b1" },
    minutes: 15,
    previous: { a: "a1" },
    until: { a: seconds(900) },
  };

  test.each([600, 900, 100_000])(
    "keep their end where another user's is changed %i s later, also past it",
    async (later) => {
      vi.setSystemTime(start + later * 1000);
      const end = { a: seconds(900) };
      expect(await changed(state, { a: "a2", b: "b2" })).toMatchObject({
        previous: { a: "a1", b: "b1" },
        until: { ...end, b: seconds(later + 900) },
      });
      expect((await changed(state, { a: "a2", b: "b1", c: "c1" })).until).toEqual(end);
      expect((await changed(state, { a: "a2", b: "b2" }, 0)).until).toEqual(end);
    },
  );

  test("are those of a user's last change alone, and no former user's", async () => {
    vi.setSystemTime(start + 600_000);
    const again = await changed(state, { a: "a3", b: "b1" });
    expect(again).toMatchObject({ previous: { a: "a2" }, until: { a: seconds(1500) } });
    const without = await changed(state, { b: "b1" });
    expect([without.previous, without.until]).toEqual([{}, {}]);
  });

  test("are refused at once where that is asked for", async () => {
    const after = await changed(state, { a: "a3", b: "b1" }, 0);
    expect([after.previous, after.until]).toEqual([{}, {}]);
  });

  test("of a state in which all had one end get it each, by the next update", async () => {
    const recorded = { ...state, until: seconds(900) } as unknown as PreviousHashesOutputs;
    const inputs = { hashes: state.hashes, minutes: 15 };
    expect(previousHashes.diff(recorded, inputs)).toMatchObject({ changes: true, replaces: [] });
    const after = await previousHashes.update("", recorded, inputs);
    expect(after).toEqual(state);
    expect(previousHashes.diff(after, inputs).changes).toBe(false);
  });
});
