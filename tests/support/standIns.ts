import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { TestContext } from "vitest";
import { defaultSetting } from "../../toolchain/setting";
import { homeWithStandIns } from "../../toolchain/standIns";
import { notRun } from "./summary";
import type { TestLab } from "./testLab";

/** Of plugins that are not those which the stack was made with. */
export const mayWarn = { mayWarn: true };

/** A folder in which stand-ins are set up for a lab that runs with the published plugins. */
export class StandInsBeside {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-standIns-"));
  private readonly setting = { ...defaultSetting(() => undefined), cache: this.folder };

  /** The environment in which stand-ins serve a lab's stack. */
  environment(lab: TestLab): Record<string, string> {
    const { setting } = this;
    return { PULUMI_HOME: homeWithStandIns(setting, lab.env.PULUMI_HOME ?? "", setting.pins.plugins) };
  }

  remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Where no source has the published plugins, stand-ins are all there is, and every other test runs with them. */
export function needsPublished(lab: TestLab, context: TestContext): void {
  if (lab.env.PULUMI_HOME?.includes("/stand-ins/"))
    context.skip(`${notRun}there are no archives of the published plugins`);
}
