import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { startTime, type Recorded } from "../../../lab/exec";
import { descendantsOf, endAll, startedWith } from "../../support/processes";

const runs = ({ pid }: Recorded): boolean => startTime(pid) !== undefined;

test("what a killed process leaves behind is ended by its ids, and nobody who has one of them since", async () => {
  // One with a group of its own, and one below it, as Pulumi's plugins have.
  const child = spawn("sh", ["-c", "setsid sh -c 'sleep 300 & wait' & echo up; wait"]);
  await once(child.stdout, "data");
  const { pid = 0 } = child;
  await expect.poll(() => descendantsOf(pid).length).toBe(2);
  const left = descendantsOf(pid);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(left.every(runs)).toBe(true);
  endAll(left.map((each) => ({ ...each, start: "1" })));
  expect(left.every(runs)).toBe(true);
  endAll(left);
  await expect.poll(() => left.some(runs)).toBe(false);
  endAll(left);
});

test("whatever was started with a variable is found by it, below one that has ended, too", async () => {
  const env = { ...process.env, MOORAGE_UNIT: `own-${process.pid}` };
  const child = spawn("sh", ["-c", "setsid sleep 300 &"], { env, stdio: "ignore" });
  await once(child, "exit");
  let found: Recorded[] = [];
  // While a program takes the place of another one, its environment cannot be read.
  await expect.poll(() => (found = startedWith("MOORAGE_UNIT", `own-${process.pid}`)).length).toBe(1);
  endAll(found);
  expect(startedWith("MOORAGE_UNIT", "own")).toEqual([]);
  await expect.poll(() => found.some(runs)).toBe(false);
});
