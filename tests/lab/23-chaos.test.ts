import { afterAll, beforeAll, expect, test } from "vitest";
import { brokenBounds } from "../chaos/bounds";
import { nameOf, shortPlan } from "../chaos/plan";
import { round } from "../chaos/round";
import { Stage } from "../chaos/stage";
import { TestLab } from "../support/testLab";

let stage: Stage;

beforeAll(async () => {
  const lab = await TestLab.standing();
  stage = await Stage.begin({
    instance: lab.instance,
    access: await lab.access(),
    update: () => lab.mustUp(),
    say: () => undefined,
    seed: `short ${Date.now()}`,
  });
});

afterAll(() => stage.end());

test.each(shortPlan().map((step) => [nameOf(step), step] as const))(
  "under load, %s: nothing is lost, every bound is kept, and all is whole again",
  async (_name, step) => {
    const row = await round(stage, step);
    expect(brokenBounds(row), JSON.stringify(row)).toEqual([]);
    expect(row.pushes.all).toBeGreaterThan(0);
    expect(row.pulls.all).toBeGreaterThan(row.pushes.all);
  },
);
