/** Labs for tests, counted from the other end than developers' own: a lab that runs is left alone. */
import * as fs from "node:fs";
import { aliveRecord, LabError, recordOwn } from "../../lab/exec";
import { describeInstance, exclusively, isRunning, type Instance } from "../../lab/instance";
import { clean } from "../../lab/lab";

/** Names the process whose tests have a lab, or will. */
const claim = (number: number): string => `/run/lock/moorage-lab/tests-${number}`;

/** The highest lab that nobody has; it is this process's until `giveBack`, or until the process has ended. */
export function takeLab(): Promise<Instance> {
  return exclusively("allocation", "choosing a lab for tests", () => {
    for (let number = 9; number >= 0; number -= 1) {
      const instance = describeInstance(number);
      if (fs.existsSync(instance.dir) || isRunning(instance) || aliveRecord(claim(number))) continue;
      recordOwn(claim(number));
      return Promise.resolve(instance);
    }
    throw new LabError("all ten labs are taken; run make clean where one is no longer needed");
  });
}

/** Takes a lab away, whatever became of it. */
export async function giveBack(instance: Instance): Promise<void> {
  await clean(instance);
  fs.rmSync(claim(instance.number), { force: true });
  if (fs.existsSync(instance.dir)) throw new LabError(`${instance.dir} is still there after clean`);
}
