import * as fs from "node:fs";
import { LabError } from "../../lab/exec";
import { describeInstance, existingInstance, isRunning, type Instance } from "../../lab/instance";
import { clean } from "../../lab/lab";

/**
 * Gives the run a lab of its own, counted from the other end than a developer's, and takes it away afterwards:
 * a lab that runs is left alone. `MOORAGE_LAB` chooses one, which is then kept.
 */
export default function setup(): () => Promise<void> {
  const chosen = process.env.MOORAGE_LAB;
  if (chosen !== undefined && chosen !== "") {
    return () => Promise.resolve();
  }
  process.env.MOORAGE_LAB = String(freeInstance().number);
  return async () => {
    const instance = existingInstance();
    await clean(instance);
    if (fs.existsSync(instance.dir)) throw new LabError(`${instance.dir} is still there after clean`);
  };
}

/** The highest lab that nobody has. @param but one that is not there yet, and promised to somebody */
export function freeInstance(but?: string): Instance {
  for (let number = 9; number >= 0; number -= 1) {
    const instance = describeInstance(number);
    if (String(number) !== but && !fs.existsSync(instance.dir) && !isRunning(instance)) return instance;
  }
  throw new LabError("all ten labs are taken; run make clean where one is no longer needed");
}
