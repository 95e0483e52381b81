import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { NotHere } from "../../../lab/faults/cgroups";
import { describeInstance } from "../../../lab/instance";
import type { Row } from "../../chaos/bounds";
import type { Change } from "../../chaos/changes";
import { changeRounds } from "../../chaos/changing";
import { keptIn, nothing } from "../../chaos/kept";
import type { Span } from "../../chaos/measure";
import { nameOf, type Step } from "../../chaos/plan";
import { recover, restore } from "../../chaos/recover";
import { round } from "../../chaos/round";
import { Run, type Todo } from "../../chaos/run";
import type { Stage } from "../../chaos/stage";
import { undone } from "../../chaos/verdict";
import type { TestLab } from "../../support/testLab";
import { plainChange, plainRow } from "./rows";

vi.mock("../../chaos/round", () => ({ round: vi.fn() }));
vi.mock("../../chaos/changing", () => ({ changeRounds: vi.fn() }));
vi.mock("../../chaos/recover", async (original) => ({
  ...(await original<object>()),
  restore: vi.fn(),
}));

const drop: Step = { fault: "drop", role: "holder" };
const slow: Step = { fault: "slow-disk", role: "holder" };
const power: Step = { fault: "power", role: "holder" };
const leader: Step = { fault: "power", role: "leader" };
const plan = [drop, slow, power, leader];

const row = (step: Step): Row => ({ ...plainRow, step });

const outcome = (start: number, end: number, ok: boolean) =>
  ({ kind: "pull", client: "c", retries: 0, start, end, ok }) as const;
const outcomes = [outcome(2000, 3000, false), outcome(60_000, 70_000, false), outcome(100, 200, true)];

const COMMIT = "0123456789ab";

let folder: string;
let said: string[];
let room: number;
let run: Run;
let runOf: (todo: Todo) => Run;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  said = [];
  const ledger = { entries: [1, 2], bytes: 20 };
  const stage = {
    load: { outcomes, stop: () => Promise.resolve() },
    ledger,
    say: (line: string) => said.push(line),
    room: () => Promise.resolve(room),
    readBack: (how: string) => Promise.resolve([`x ${how}`]),
  };
  const lab = { instance: describeInstance(3), nodes: [1, 2, 3, 4] };
  const files = { page: path.join(folder, "page.md"), rows: path.join(folder, "rows.json"), style: folder };
  room = 4 * 1024 ** 3;
  runOf = (todo) =>
    new Run(stage as unknown as Stage, lab as unknown as TestLab, todo, files, nothing, COMMIT);
  run = runOf({ plan, steps: plan, changing: [] });
  vi.mocked(restore).mockResolvedValue(true);
  vi.mocked(round).mockImplementation((_stage, step) => {
    if (step === drop) return Promise.reject(new Error("no node has the VIP"));
    if (step === slow) return Promise.reject(new NotHere("there is no io.max"));
    return Promise.resolve(row(step));
  });
});

afterEach(() => {
  vi.clearAllMocks();
  fs.rmSync(folder, { recursive: true });
});

describe("a run", () => {
  test("goes on after a step that failed, or that this machine cannot do, and leaves out what is covered", async () => {
    await run.go();
    const { rows, notRun, between } = run.found;
    expect(rows.map(({ step }) => nameOf(step))).toEqual([nameOf(drop), nameOf(power)]);
    expect(rows[0]?.problems).toEqual(["no node has the VIP"]);
    expect(rows.map(({ commit }) => commit)).toEqual([COMMIT, COMMIT]);
    expect(notRun).toEqual([{ step: slow, because: "there is no io.max", commit: COMMIT }]);
    expect(undone(plan, run.found)).toEqual([]);
    expect(restore).toHaveBeenCalledTimes(1);
    expect(said.filter((line) => /min left/.test(line))).toEqual([
      expect.stringMatching(/ for 3 rows$/),
      expect.stringMatching(/ for 2 rows$/),
    ]);
    // Those of the good row are that row's.
    expect(between.map(({ pulls }) => pulls)).toEqual([{ all: 1, before: 0, after: 0 }]);
  });

  test("has each row on disk before the next step is begun", async () => {
    const kept: number[] = [];
    vi.mocked(round).mockImplementation((_stage, step) => {
      const file = path.join(folder, "rows.json");
      kept.push(fs.existsSync(file) ? keptIn(file).rows.length : 0);
      return Promise.resolve({ ...row(step), roles: [step.role] });
    });
    await run.go();
    expect(kept).toEqual([0, 1, 2, 3]);
    expect(keptIn(path.join(folder, "rows.json"))).toEqual(run.found);
    expect(fs.readFileSync(path.join(folder, "page.md"), "utf8")).toMatch(/\| power +\| Swarm's leader/);
  });

  test("goes on with the changes after one that failed", async () => {
    const changing: Change[] = ["one", "two", "three"].map((name) => ({ name }));
    const begun: string[][] = [];
    vi.mocked(changeRounds).mockImplementation(async function* (_stage, _lab, those) {
      begun.push(those.map(({ name }) => name));
      for (const { name } of those) {
        if (name === "two") throw new Error("no VIP");
        yield await Promise.resolve({ ...plainChange, name });
      }
    });
    run = runOf({ plan, steps: [], changing });
    await run.go();
    expect(begun).toEqual([["one", "two", "three"], ["three"]]);
    expect(run.found.changes.map(({ name, problems }) => [name, problems])).toEqual([
      ["one", []],
      ["two", ["no VIP"]],
      ["three", []],
    ]);
    expect(restore).toHaveBeenCalledTimes(1);
  });

  test("counts what fails between the end of a change's row and the next one as between", async () => {
    const spans: Record<string, Span> = { one: { from: 1000, to: 1500 }, two: { from: 65_000, to: 66_000 } };
    vi.mocked(changeRounds).mockImplementation(async function* (_stage, _lab, those) {
      for (const { name } of those)
        yield await Promise.resolve({ ...plainChange, name, span: spans[name] ?? plainChange.span });
    });
    run = runOf({ plan, steps: [], changing: [{ name: "one" }, { name: "two" }] });
    await run.go();
    const failed = run.found.between.filter(({ pulls }) => pulls.after > 0);
    expect(failed.map(({ before, pulls }) => [before, pulls.after])).toEqual([["change: two", 1]]);
  });

  test("reads everything back at its end", async () => {
    await run.go();
    expect(run.found.parts).toEqual([{ count: 2, bytes: 20, lostAtEnd: ["x at the end"] }]);
  });

  test("says which changes this lab cannot have", async () => {
    vi.mocked(changeRounds).mockImplementation(async function* (_stage, _lab, those) {
      for (const { name } of those) yield await Promise.resolve({ ...plainChange, name });
    });
    run = runOf({ plan, steps: [], changing: [{ name: "one" }, { name: "two", platform: "metal" }] });
    await run.go();
    expect(run.found.changes.map(({ name }) => name)).toEqual(["one"]);
    expect(run.found.notChanged).toEqual([
      { name: "two", because: "it is for platform metal, and this lab is virtualbox", commit: COMMIT },
    ]);
  });

  test("is not begun where its rows would fill a disk", async () => {
    room = 1.01 * 1024 ** 3;
    await expect(run.go()).rejects.toThrow(/^4 rows take 1\d\d\d MiB of each data disk, and 1034 are left/);
    expect(round).not.toHaveBeenCalled();
  });

  test("ends where the stack does not come back, and says how to go on", async () => {
    vi.mocked(restore).mockResolvedValue(false);
    await expect(run.go()).rejects.toThrow(/not whole after "drop: the VIP's holder": go on with --from/);
    expect(run.found.rows).toHaveLength(1);
    expect(undone(plan, run.found)).toEqual([slow, power, leader]);
    expect(run.found.parts).toEqual([{ count: 2, bytes: 20 }]);
  });
});

test("an update that fails is a problem of its row, and all is waited for as ever", async () => {
  const stage = {
    members: { nodes: [] },
    say: () => undefined,
    update: () => Promise.reject(new Error("pulumi up --refresh failed:\nerror: no such host")),
    strength: { until: () => Promise.resolve(3) },
  } as unknown as Stage;
  const step: Step = { fault: "wipe", choice: "etcd", role: "etcd", remedy: "up" };
  const { seconds, command, problems } = await recover(stage, step, [], Date.now() - 5000);
  expect(seconds).toBeGreaterThanOrEqual(5);
  expect(command).toBe("`pulumi up --refresh`");
  expect(problems).toEqual(["pulumi up --refresh failed: / error: no such host"]);
});
