/** Labs for tests, counted from the other end than developers' own: a lab that runs is left alone. */
import * as fs from "node:fs";
import { aliveRecord, killRecord, LabError, readIf, recordOwn, runVariable, waitFor } from "../../lab/exec";
import { describeInstance, exclusively, isRunning, type Instance } from "../../lab/instance";
import { clean } from "../../lab/lab";
import { endAll, startedWith } from "./processes";
import { tracesOf } from "./traces";

/** How long a process of a run that was broken off may take to end, in milliseconds. */
const ENDING_MS = 15_000;
const numbers = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

/** Names the process whose tests have a lab, or will, and its run. */
const claim = (number: number): string => `/run/lock/moorage-lab/tests-${number}`;

/** The highest lab that nobody has; it is this process's until `giveBack`, or until the process has ended. */
export function takeLab(): Promise<Instance> {
  return exclusively("allocation", "choosing a lab for tests", () => {
    for (const number of numbers) {
      const instance = describeInstance(number);
      if (fs.existsSync(instance.dir) || isRunning(instance) || aliveRecord(claim(number))) continue;
      recordOwn(claim(number), process.env[runVariable] ?? "");
      return Promise.resolve(instance);
    }
    throw new LabError("all ten labs are taken; run make clean where one is no longer needed");
  });
}

/** Takes a lab away, whatever became of it. @throws LabError that names what stays */
export async function giveBack(instance: Instance): Promise<void> {
  await clean(instance);
  fs.rmSync(claim(instance.number), { force: true });
  let left: readonly string[] = [];
  const gone = async () => {
    left = (await tracesOf(instance)).lab;
    return left.length === 0 ? true : undefined;
  };
  if (!(await waitFor(gone, ENDING_MS)))
    throw new LabError(`still there after clean: ${left.slice(0, 5).join("; ")}`);
}

/** Takes away what a run has left that was broken off: labs of its processes, and whatever these had started. */
export async function giveBackAll(run: string): Promise<void> {
  for (const number of numbers) {
    if (readIf(claim(number))?.trim().split(" ")[2] !== run) continue;
    // One that goes on would make its lab anew.
    await waitFor(() => Promise.resolve(aliveRecord(claim(number)) ? undefined : true), ENDING_MS);
    killRecord(claim(number), "SIGKILL");
    await giveBack(describeInstance(number));
  }
  // Plugins outlive a pulumi that was killed.
  endAll(startedWith(runVariable, run));
}
