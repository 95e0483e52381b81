import * as fs from "node:fs";
import { LabError } from "../../lab/exec";
import { describeInstance, isRunning, type Instance } from "../../lab/instance";
import { giveBack, takeLab } from "./freeLab";

/**
 * A lab beside the one that tests share, for those that need other hosts or take theirs away. `MOORAGE_OTHER_LAB`
 * chooses it. Between `begin` and `end` it is the lab of this process.
 */
export class OwnLab {
  private constructor(
    readonly instance: Instance,
    private readonly shared: string | undefined,
  ) {}

  static async begin(): Promise<OwnLab> {
    const chosen = process.env.MOORAGE_OTHER_LAB;
    const instance = chosen ? describeInstance(Number(chosen)) : await takeLab();
    if (fs.existsSync(instance.dir) || isRunning(instance)) {
      throw new LabError(`lab ${instance.number} is there already: clean it, or choose another one`);
    }
    const own = new OwnLab(instance, process.env.MOORAGE_LAB);
    process.env.MOORAGE_LAB = String(instance.number);
    return own;
  }

  /** Takes the lab away, whatever became of it. */
  async end(): Promise<void> {
    if (this.shared === undefined) delete process.env.MOORAGE_LAB;
    else process.env.MOORAGE_LAB = this.shared;
    await giveBack(this.instance);
  }
}
