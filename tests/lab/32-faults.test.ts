import { afterAll, beforeAll, expect, test } from "vitest";
import { run, startTime } from "../../lab/exec";
import { faults } from "../../lab/faults";
import { frozenIn } from "../../lab/faults/freezer";
import { processesOfProgram } from "../../lab/faults/processes";
import { checkout } from "../../lab/instance";
import { holdersOf } from "../chaos/vip";
import { TestLab } from "../support/testLab";

let lab: TestLab;
let node: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  // One that clients do without.
  const holders = await holdersOf(lab.instance);
  node = lab.nodes.find(({ name }) => !holders.includes(name))?.name ?? "";
});

const place = () => ({ instance: lab.instance, host: lab.host(node) });

afterAll(() => faults.freeze.end(place()));

/** What docs/lab.md says to run. */
async function command(code: number, ...words: string[]): Promise<string> {
  const env = { MOORAGE_LAB: String(lab.instance.number) };
  const done = await run("npm", ["run", "-s", "lab", "--", ...words], { cwd: checkout(), env });
  expect(done.code, done.output).toBe(code);
  return done.output;
}

test("a fault is done to a host by one command, and taken back by another", async () => {
  const processes = await processesOfProgram(place(), "nginx");
  expect(processes.length).toBeGreaterThan(0);
  expect(frozenIn(place())).toEqual([]);
  expect(await command(0, "fault", node, "freeze", "nginx")).toMatch(`${node} freeze done`);
  // A check of its health may have ended meanwhile.
  const alive = processes.filter((pid) => startTime(pid) !== undefined);
  expect(alive.length).toBeGreaterThan(0);
  expect(frozenIn(place())).toEqual(expect.arrayContaining(alive));
  expect(await command(0, "mend", node, "freeze")).toMatch(`${node} freeze taken back`);
  expect(frozenIn(place())).toEqual([]);
  expect(await command(1, "fault", node, "rust")).toMatch(/no fault called "rust": give one of power, /);
});
