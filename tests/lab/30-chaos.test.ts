import { afterAll, beforeAll, expect, test } from "vitest";
import { brokenBounds } from "../chaos/bounds";
import { readBack } from "../chaos/clients";
import { chosen, fullPlan, nameOf } from "../chaos/plan";
import { readsOf } from "../chaos/reading";
import { round } from "../chaos/round";
import { Stage } from "../chaos/stage";
import { rowText } from "../chaos/table";
import { TestLab } from "../support/testLab";

/**
 * A short round of `make chaos`: faults of its plan that no other test makes while clients push and pull, and that are soon
 * over. Those of whole nodes leave Docker's overlay to find itself for a minute.
 */
const steps = chosen(fullPlan(), "freeze keepalived: the VIP's holder, kill minio: MinIO node");
/** Another lab is at work on the same cores, and this one's disks are for other tests, too. */
const amount = { workers: 1, budget: 64 * 1024 ** 2, largest: 8 * 1024 ** 2 };
/** Seconds are for `make chaos`, which has the machine to itself. */
const ofSeconds = /^(first byte|a gap|two holders|the prober asked|the VIP was looked for)/;
/** What does not become whole by itself is waited for, and mended, for minutes; the row then says what was missing. */
const PATIENCE_MS = 1_200_000;

let lab: TestLab;
let stage: Stage;

beforeAll(async () => {
  lab = await TestLab.standing();
  stage = await Stage.begin({
    instance: lab.instance,
    access: await lab.access(),
    update: () => lab.mustUp("--refresh"),
    say: (line) => console.log(line),
    seed: `short ${new Date().toISOString()}`,
    amount,
  });
});
afterAll(() => stage.end());

test("reading back tells what is not there, and what is another", async () => {
  const { clients, login, ledger } = stage;
  const [, reader] = clients;
  const [entry] = ledger.entries;
  if (!reader || !entry) throw new Error("nobody reads, or nothing was pushed");
  expect(await readBack(reader, login, readsOf([entry]))).toEqual([]);
  const gone = { ...entry, blobs: [], tag: "gone" };
  const other = { ...entry, blobs: [], digest: entry.digest.replace(/.{8}$/, "00000000") };
  const lost = await readBack(reader, login, readsOf([gone, other]));
  expect(lost.sort()).toEqual([
    expect.stringMatching(/\/manifests\/gone: status 404$/),
    expect.stringMatching(/\/manifests\/t\d+: sha256:\w+ in place of sha256:\w+00000000$/),
  ]);
});

test("the plan has the faults", () => expect(steps).toHaveLength(2));

test.each(steps.map((step) => [nameOf(step), step] as const))(
  "%s: nothing acknowledged is lost, no pull fails, and all is whole again by itself",
  async (_name, step) => {
    const row = await round(stage, step);
    console.log(rowText(row));
    const broken = brokenBounds(row).filter((bound) => !ofSeconds.test(bound));
    expect(broken, [...broken, ...row.reasons, rowText(row)].join("; ")).toEqual([]);
    expect(row.command).toBeUndefined();
  },
  PATIENCE_MS,
);
