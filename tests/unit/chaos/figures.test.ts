import { describe, expect, test } from "vitest";
import type { Probe } from "../../chaos/client/probe";
import { figures, type Recorded, type Times } from "../../chaos/figures";
import type { Step } from "../../chaos/plan";

const times: Times = { from: 10_000, hurt: 12_000, mending: 30_000, to: 50_000 };
const freeze: Step = { fault: "freeze", choice: "registry", role: "registry" };
const power: Step = { fault: "power", role: "registry" };

const silent = (at: number): Probe => ({ path: "/v2/", at, status: 0, firstByteMs: 10_000 });

function figuresOf(recorded: Partial<Recorded>, step: Step) {
  const nothing: Recorded = { probes: [], probed: [], load: { outcomes: [] }, vip: { samples: [] } };
  return figures({ ...nothing, ...recorded }, step, ["n1"], times);
}

describe("first bytes have to be fast from three seconds", () => {
  test("after the fault was done, which takes what it takes", () => {
    expect(figuresOf({ probes: [silent(14_999)] }, freeze).slowestMs).toBe(0);
    expect(figuresOf({ probes: [silent(15_000)] }, freeze).slowestMs).toBe(Infinity);
  });

  test("after it was begun where it hurts from then on", () => {
    expect(figuresOf({ probes: [silent(12_999)] }, power).slowestMs).toBe(0);
    expect(figuresOf({ probes: [silent(13_000)] }, power).slowestMs).toBe(Infinity);
  });
});
