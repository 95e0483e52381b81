import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { describeInstance } from "../../../lab/instance";
import { LEAST_PULLS } from "../../chaos/bounds";
import { begin } from "../../chaos/hurt";
import { passLeadership } from "../../chaos/leadership";
import type { Outcome } from "../../chaos/load";
import type { Step } from "../../chaos/plan";
import { recover } from "../../chaos/recover";
import { round } from "../../chaos/round";
import type { Stage } from "../../chaos/stage";
import { leaderOf } from "../../chaos/strength";
import { holdersOf } from "../../chaos/vip";

vi.mock("../../chaos/bites", () => ({ watchBites: () => Promise.resolve(() => Promise.resolve([])) }));
vi.mock("../../chaos/hurt", () => ({ begin: vi.fn(), takeBack: vi.fn() }));
vi.mock("../../chaos/leadership", () => ({ passLeadership: vi.fn() }));
vi.mock("../../chaos/recover", async (original) => ({ ...(await original<object>()), recover: vi.fn() }));
vi.mock("../../chaos/strength", () => ({ leaderOf: vi.fn() }));
vi.mock("../../chaos/vip", () => ({ holdersOf: vi.fn() }));

const instance = describeInstance(3);
const named = (kind: string) => instance.hosts.filter((host) => host.kind === kind);

/** When the load was hurried, in seconds from when the fault was begun. */
let hurried: number[];
/** What the load has pulled, and how often it does so whenever it is hurried. */
let outcomes: Outcome[];
let pullsEach: number;
let readBacks: number;
/** The large layers that were pushed, by their sizes; and how many of those while the fault lasts fail. */
let pushed: number[];
let failing: number;

const pulls = (count: number): Outcome[] =>
  Array<Outcome>(count).fill({
    kind: "pull",
    client: "client1",
    ok: true,
    retries: 0,
    start: 0,
    end: Infinity,
  });

function stage(): Stage {
  const large = {
    sizes: [1, 2, 3],
    push: (bytes: number) => {
      pushed.push(bytes);
      return Promise.resolve(
        bytes === 3 && pushed.filter((one) => one === 3).length <= failing ? undefined : {},
      );
    },
    acknowledged: () => Promise.resolve({ count: 3, bytes: 6, meanwhile: 1 }),
  };
  const of = {
    instance,
    members: { nodes: named("node").map((host) => ({ instance, host })), managers: 3 },
    clients: named("client"),
    load: {
      outcomes,
      settled: () => Promise.resolve(),
      hurry: () => {
        hurried.push(Date.now());
        outcomes.push(...pulls(pullsEach));
      },
    },
    probes: [],
    probed: [],
    vip: { samples: [] },
    etcd: { start: () => () => Promise.resolve([]), lost: () => Promise.resolve([]) },
    nextRow: () => large,
    readBack: () => Promise.resolve([`${++readBacks}`]),
    say: () => undefined,
  };
  return of as unknown as Stage;
}

async function rowOf(step: Step) {
  const row = round(stage(), step).catch((error: unknown) => error as Error);
  await vi.advanceTimersByTimeAsync(120_000);
  return row;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  hurried = [];
  outcomes = pulls(LEAST_PULLS);
  pullsEach = 1;
  readBacks = 0;
  pushed = [];
  failing = 0;
  vi.mocked(holdersOf).mockResolvedValue(["coreos1"]);
  vi.mocked(leaderOf).mockResolvedValue("coreos2");
  vi.mocked(recover).mockResolvedValue({ seconds: 20, problems: [] });
  vi.mocked(begin).mockResolvedValue(undefined);
});

afterEach(() => {
  vi.useRealTimers();
  vi.clearAllMocks();
});

const kill: Step = { fault: "kill", choice: "s3", role: "registry" };
const drop: Step = { fault: "drop", role: "registry" };

describe("a row", () => {
  const secondsOf = async (step: Step): Promise<number[]> => {
    let begun = 0;
    vi.mocked(begin).mockImplementation(() => {
      begun = Date.now();
      return Promise.resolve();
    });
    await rowOf(step);
    return hurried.map((at) => Math.round((at - begun) / 1000));
  };

  test("has the load ask for more as the fault begins, once it has lasted, and where nothing ends it", async () => {
    expect(await secondsOf(kill)).toEqual([-1, 3, 8]);
    hurried = [];
    expect(await secondsOf(drop)).toEqual([-1, 3]);
  });

  test("has the load ask for more until there are enough pulls, for a minute at most", async () => {
    outcomes = pulls(LEAST_PULLS - 5);
    expect(await secondsOf(kill)).toEqual([-1, 3, 8, 8, 9]);
    hurried = [];
    outcomes = [];
    pullsEach = 0;
    const last = (await secondsOf(kill)).at(-1);
    expect(last).toBeGreaterThan(60);
    expect(last).toBeLessThan(70);
  });

  test("pushes large layers while the fault lasts until one is acknowledged, two at most", async () => {
    await rowOf(kill);
    expect(pushed).toEqual([1, 2, 3]);
    pushed = [];
    failing = 1;
    await rowOf(kill);
    expect(pushed).toEqual([1, 2, 3, 3]);
    pushed = [];
    failing = 9;
    await rowOf(kill);
    expect(pushed).toEqual([1, 2, 3, 3]);
  });

  test("is read back where it is whole, or where somebody answers", async () => {
    expect(await rowOf(kill)).toMatchObject({ lost: ["1"], problems: [] });
    vi.mocked(recover).mockResolvedValue({ seconds: undefined, problems: ["missing: nginx"] });
    expect(await rowOf(kill)).toMatchObject({ lost: ["2"], problems: ["missing: nginx"] });
    vi.mocked(holdersOf).mockResolvedValueOnce(["coreos1"]).mockResolvedValue([]);
    const problems = ["missing: nginx", "nothing was read back, as no node has the VIP"];
    expect(await rowOf(kill)).toMatchObject({ lost: [], problems });
  });
});

describe("Docker is killed on Swarm's leader", () => {
  const docker: Step = { fault: "kill", choice: "docker", role: "leader" };

  test("as it is where that has not got the VIP", async () => {
    expect(await rowOf(docker)).toMatchObject({ nodes: ["coreos2"] });
    expect(passLeadership).not.toHaveBeenCalled();
  });

  test("once another manager is the leader where it has", async () => {
    vi.mocked(holdersOf).mockResolvedValue(["coreos2"]);
    vi.mocked(passLeadership).mockImplementation(() => {
      vi.mocked(leaderOf).mockResolvedValue("coreos3");
      return Promise.resolve();
    });
    expect(await rowOf(docker)).toMatchObject({ nodes: ["coreos3"], roles: ["leader"] });
    expect(vi.mocked(passLeadership).mock.calls[0]?.[1]).toBe("coreos2");
    expect(await rowOf({ ...docker, role: "holder" })).toMatchObject({ nodes: ["coreos2"] });
  });

  test("not at all where the one with the VIP stays the leader", async () => {
    vi.mocked(holdersOf).mockResolvedValue(["coreos2"]);
    vi.mocked(passLeadership).mockResolvedValue();
    expect(await rowOf(docker)).toMatchObject({ message: "coreos2 has the VIP, and leads the Swarm again" });
    expect(begin).not.toHaveBeenCalled();
  });
});
