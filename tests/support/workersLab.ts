/** Runs before each file of tests on a lab: it gets one of the run's labs, for as long as its process lives. */
import { beforeAll } from "vitest";
import { aliveRecord, LabError, recordOwn, waitFor } from "../../lab/exec";
import { exclusively } from "../../lab/instance";
import { labsOfRun } from "./labSetup";

/** The process of the file before may still be ending. */
const PATIENCE_MS = 60_000;

const record = (lab: string): string => `/run/lock/moorage-lab/worker-${lab}`;

function takeOne(): Promise<string | undefined> {
  return exclusively("allocation", "choosing a lab for tests", () => {
    const free = labsOfRun().find((lab) => aliveRecord(record(lab)) === undefined);
    if (free !== undefined) recordOwn(record(free));
    return Promise.resolve(free);
  });
}

beforeAll(async () => {
  const lab = await waitFor(takeOne, PATIENCE_MS);
  if (lab === undefined) throw new LabError(`other tests are at work on lab ${labsOfRun().join(" and ")}`);
  process.env.MOORAGE_LAB = lab;
});
