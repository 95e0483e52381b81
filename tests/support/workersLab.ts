/** Runs before each file of tests on a lab: it has the run's lab for as long as its process lives. */
import { beforeAll } from "vitest";
import { aliveRecord, LabError, recordOwn, waitFor } from "../../lab/exec";
import { exclusively } from "../../lab/instance";
import { labOfRun } from "./labSetup";

/** The process of the file before may still be ending. */
const PATIENCE_MS = 60_000;

function takeIt(lab: string): Promise<true | undefined> {
  return exclusively("allocation", "choosing a lab for tests", () => {
    const record = `/run/lock/moorage-lab/worker-${lab}`;
    if (aliveRecord(record) !== undefined) return Promise.resolve(undefined);
    recordOwn(record);
    return Promise.resolve(true);
  });
}

beforeAll(async () => {
  const lab = labOfRun();
  if (!(await waitFor(() => takeIt(lab), PATIENCE_MS))) {
    throw new LabError(`other tests are at work on lab ${lab}`);
  }
  process.env.MOORAGE_LAB = lab;
});
