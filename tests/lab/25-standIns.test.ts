import { afterAll, test } from "vitest";
import { mayWarn, needsPublished, StandInsBeside } from "../support/standIns";
import { expectUnchanged } from "../support/service";
import { TestLab } from "../support/testLab";

const standIns = new StandInsBeside();

afterAll(() => standIns.remove());

test("a stack that the published plugins have made shows no change under the stand-ins", async (context) => {
  const lab = await TestLab.standing();
  needsPublished(lab, context);
  const env = standIns.environment(lab);
  expectUnchanged(await lab.pulumi(["preview"], { env }), mayWarn);
  expectUnchanged(await lab.refresh([], { env }), mayWarn);
  // Nor do the published ones see one in what the stand-ins have read.
  expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
});
