import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { introduce, pushAndPull } from "../../lab/journey/push";
import { OwnLab } from "../support/ownLab";
import { mayWarn, needsPublished, StandInsBeside } from "../support/standIns";
import { expectUnchanged } from "../support/service";
import { helloArchive, TestLab } from "../support/testLab";

describe("a stack that the stand-ins have made", () => {
  const standIns = new StandInsBeside();
  let own: OwnLab;
  let lab: TestLab;

  beforeAll(async () => {
    own = await OwnLab.begin();
    lab = await TestLab.open("existing");
  });

  afterAll(async () => {
    standIns.remove();
    await own?.end();
  });

  test("takes a push, and shows no change under the published plugins", async (context) => {
    needsPublished(lab, context);
    const { code, output } = await lab.up([], { env: standIns.environment(lab) });
    expect(code, output).toBe(0);
    const access = await lab.recordAccess();
    for (const client of ["client1", "client2"]) await introduce(lab.instance, client, access);
    await pushAndPull(lab.instance, access, helloArchive(lab));
    expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
    expectUnchanged(await lab.refresh(), mayWarn);
    expectUnchanged(await lab.up(), mayWarn);
  });
});
