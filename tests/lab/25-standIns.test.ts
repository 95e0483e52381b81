import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test, type TestContext } from "vitest";
import { introduce, pushAndPull } from "../../lab/journey/push";
import { defaultSetting } from "../../toolchain/setting";
import { homeWithStandIns } from "../../toolchain/standIns";
import { OwnLab } from "../support/ownLab";
import { notRun } from "../support/reporter";
import { expectUnchanged } from "../support/service";
import { helloArchive, TestLab } from "../support/testLab";

/** Of plugins that are not those which the stack was made with. */
const mayWarn = { mayWarn: true };

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-standIns-"));
const setting = { ...defaultSetting(() => undefined), cache: folder };

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The environment in which stand-ins serve a lab's stack. */
function withStandIns(lab: TestLab): Record<string, string> {
  return { PULUMI_HOME: homeWithStandIns(setting, lab.env.PULUMI_HOME ?? "", setting.pins.plugins) };
}

/** Where no source has the published plugins, stand-ins are all there is, and every other test runs with them. */
function needsPublished(lab: TestLab, context: TestContext): void {
  if (lab.env.PULUMI_HOME?.includes("/stand-ins/"))
    context.skip(`${notRun}there are no archives of the published plugins`);
}

describe("a stack that the published plugins have made", () => {
  test("shows no change under the stand-ins, neither to a preview nor to a refresh", async (context) => {
    const lab = await TestLab.standing();
    needsPublished(lab, context);
    const env = withStandIns(lab);
    expectUnchanged(await lab.pulumi(["preview"], { env }), mayWarn);
    expectUnchanged(await lab.refresh([], { env }), mayWarn);
    // Nor do the published ones see one in what the stand-ins have read.
    expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
  });
});

describe("a stack that the stand-ins have made", () => {
  let own: OwnLab;
  let lab: TestLab;

  beforeAll(async () => {
    own = OwnLab.begin();
    lab = await TestLab.open("existing");
  });
  afterAll(() => own?.end());

  test("takes a push, and shows no change under the published plugins", async (context) => {
    needsPublished(lab, context);
    const { code, output } = await lab.up([], { env: withStandIns(lab) });
    expect(code, output).toBe(0);
    const access = await lab.recordAccess();
    for (const client of ["client1", "client2"]) await introduce(lab.instance, client, access);
    await pushAndPull(lab.instance, access, helloArchive(lab));
    expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
    expectUnchanged(await lab.refresh(), mayWarn);
    expectUnchanged(await lab.up(), mayWarn);
  });
});
