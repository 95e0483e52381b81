import { afterAll, test } from "vitest";
import { mayWarn, needsPublished, StandInsBeside } from "../../support/standIns";
import { expectUnchanged } from "../../support/service";
import { TestLab } from "../../support/testLab";

const standIns = new StandInsBeside();

afterAll(() => standIns.remove());

test("the stand-ins show no change of a stack that the published plugins created", async (context) => {
  const lab = await TestLab.standing();
  needsPublished(lab, context);
  const env = standIns.environment(lab);
  expectUnchanged(await lab.pulumi(["preview"], { env }), mayWarn);
  expectUnchanged(await lab.refresh([], { env }), mayWarn);
  // And the other way round, after the refresh.
  expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
});
