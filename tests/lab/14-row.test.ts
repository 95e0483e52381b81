import { beforeAll, expect, test } from "vitest";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { expectOneAfterTheOther } from "../support/row";
import { ask, helloArchive, TestLab } from "../support/testLab";

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  await pushAndPull(lab.instance, access, helloArchive(lab));
});

/** Each is asked for as a client does that tries again a few times. */
const TRIES = 5;

/** Asks for a manifest over and over while `work` is under way, and gives back what was refused for good. */
async function whileReading<T>(
  work: () => Promise<T>,
): Promise<{ result: T; asked: number; failed: string[] }> {
  let done = false;
  let asked = 0;
  const failed: string[] = [];
  const reading = (async () => {
    while (!done) {
      asked += 1;
      const refusal = await read(TRIES);
      if (refusal !== undefined) failed.push(refusal);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  const result = await work().finally(() => (done = true));
  await reading;
  return { result, asked, failed };
}

async function read(tries: number): Promise<string | undefined> {
  const { username: user, password } = access;
  const refusal = await ask(lab, access, "/v2/demo/hello/tags/list", { user, password }).then(
    ({ status }) => (status === 200 ? undefined : `status ${status}`),
    String,
  );
  if (refusal === undefined || tries === 1) return refusal;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return read(tries - 1);
}

test("Docker's settings are changed on one node after the other, drained meanwhile, and no read fails", async () => {
  // It stays: taking it back would take all nodes out of service once more.
  const size = lab.stackFile().includes("logMaxSize: 11m") ? "12m" : "11m";
  lab.changeConfig((config) => config.setIn(["config", "moorage:swarm", "logMaxSize"], size));
  const preview = await lab.pulumi(["preview"]);
  for (const { name } of lab.nodes) {
    expect(preview.output).toMatch(
      new RegExp(
        `${name}: this update writes /etc/docker/daemon\\.json; restarts docker\\.service, the node drained meanwhile`,
      ),
    );
  }

  const { result: output, asked, failed } = await whileReading(() => lab.mustUp());
  expect(asked).toBeGreaterThan(20);
  expect(failed).toEqual([]);

  await expectOneAfterTheOther(lab, output);
  expect(await lab.plan()).toEqual([]);
});
