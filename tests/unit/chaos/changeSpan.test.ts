import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { describeInstance } from "../../../lab/instance";
import type { Probe } from "../../chaos/client/probe";
import { changeRound } from "../../chaos/changing";
import type { Change } from "../../chaos/changes";
import type { Stage } from "../../chaos/stage";
import type { TestLab } from "../../support/testLab";

vi.mock("../../chaos/vip", () => ({ holdersOf: () => Promise.resolve(["coreos1"]) }));
vi.mock("../../chaos/pause", () => ({ watchPause: () => () => Promise.resolve(20) }));

const UPDATE_MS = 10_000;
const WHOLE_MS = 30_000;

const after = <T>(ms: number, what: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(what), ms));

/** A manifest that is not there from the second second of the update until the tenth. */
const manifests: Probe[] = Array.from({ length: 40 }, (_, index) => ({
  path: "/v2/a/manifests/x",
  at: index * 1200,
  status: index * 1200 >= 2000 && index * 1200 <= 10_000 ? 503 : 200,
  firstByteMs: 5,
}));

function stage(): Stage {
  const large = {
    sizes: [1, 2, 3],
    push: () => Promise.resolve(undefined),
    keepPushing: () => () => undefined,
    acknowledged: () => Promise.resolve({ count: 3, bytes: 6, meanwhile: 1 }),
  };
  const of = {
    instance: describeInstance(3),
    load: { outcomes: [], settled: () => Promise.resolve() },
    probes: manifests,
    probed: [{ node: "coreos1", repository: "a", digest: "x" }],
    vip: { samples: [] },
    strength: { until: () => after(WHOLE_MS, 30) },
    nextRow: () => large,
    readBack: () => Promise.resolve([]),
    say: () => undefined,
  };
  return of as unknown as Stage;
}

const lab = { up: () => after(UPDATE_MS, { code: 0, output: "" }) } as unknown as TestLab;

async function rowOf(change: Change) {
  const row = changeRound(stage(), lab, change);
  await vi.advanceTimersByTimeAsync(120_000);
  return row;
}

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

test("a change's row ends soon after its update, whatever is waited for then", async () => {
  const { span, manifestsMs } = await rowOf({ name: "one" });
  expect(span).toEqual({ from: 0, to: UPDATE_MS + 5000 });
  expect(manifestsMs).toBe(9600 - 2400);
});

test("one that has a pause lasts until all is whole", async () => {
  const { span } = await rowOf({ name: "one", pauses: true });
  expect(span).toEqual({ from: 0, to: UPDATE_MS + 5000 + WHOLE_MS });
});
