import { afterAll, beforeAll, expect, test } from "vitest";
import { faults, type Fault, type FaultName } from "../../lab/faults";
import { processesOfProgram } from "../../lab/faults/processes";
import { watchBites } from "../chaos/bites";
import { holdersOf } from "../chaos/vip";
import { hurtByCommand, labCommand, mendByCommand } from "../support/labCommand";
import { expectSpareStorage } from "../support/spareStorage";
import { notRun } from "../support/summary";
import { eventually, TestLab } from "../support/testLab";

/** Those that take seconds; the others are done by the same commands in tests/runbook/, and wait for minutes. */
const quick: readonly { readonly fault: FaultName; readonly program?: string }[] = [
  { fault: "freeze", program: "nginx" },
  { fault: "freeze-host" },
  { fault: "drop-in" },
  { fault: "drop-out" },
  { fault: "drop" },
  { fault: "cut-off" },
  { fault: "slow-disk" },
  { fault: "full-disk" },
  { fault: "read-only-disk" },
];

let lab: TestLab;
let node: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  // One that clients do without.
  const holders = await holdersOf(lab.instance);
  node = lab.nodes.find(({ name }) => !holders.includes(name))?.name ?? "";
});

const place = () => ({ instance: lab.instance, host: lab.host(node) });

/** What that fault has failed to do to the node, each time it is asked. */
const watched = (fault: FaultName, choice?: string) =>
  watchBites({ fault, choice, role: "minio" }, [place()], ["minio"]);

test.for(quick)("$fault is done by one command, and taken back by another", async (one, { skip }) => {
  const { fault, program } = one;
  const missed = await watched(fault, program);
  try {
    const words = program === undefined ? [fault] : [fault, program];
    const { code, output } = await labCommand(lab.instance, "fault", node, ...words);
    const missing = /this machine's kernel has no \S+/.exec(output)?.[0];
    if (missing !== undefined) skip(notRun + missing);
    expect(code, output).toBe(0);
    expect(await missed()).toEqual([]);
    await mendByCommand(lab.instance, node, fault);
    await eventually(10, async () => expect(await missed()).not.toEqual([]));
  } finally {
    await (faults[fault] as Fault).end?.(place());
  }
});

test("kill is done by one command, and nothing takes it back but what starts the program anew", async () => {
  const missed = await watched("kill", "s3");
  await hurtByCommand(lab.instance, node, "kill", "s3");
  expect(await missed()).toEqual([]);
  const { code, output } = await labCommand(lab.instance, "mend", node, "kill");
  expect(output).toMatch(/^lab: the lab does not take "kill" back: Swarm, or systemd$/m);
  expect(code).toBe(1);
  await eventually(60, async () =>
    expect((await processesOfProgram(place(), "s3")).length).toBeGreaterThan(0),
  );
});

test("one that there is not is refused, with those that there are", async () => {
  const { code, output } = await labCommand(lab.instance, "fault", node, "rust");
  expect(output).toMatch(/no fault called "rust": give one of power, /);
  expect(code).toBe(1);
});

afterAll(() => eventually(120, () => expectSpareStorage(lab)));
