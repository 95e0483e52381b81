import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { faults } from "../../lab/faults";
import type { RegistryAccess } from "../../lab/journey/push";
import { off, on } from "../../lab/lab";
import { unhealed } from "../chaos/strength";
import { layerObject, pushLayer } from "../support/blobs";
import { eventually, TestLab } from "../support/testLab";
import { redsOf, verifyJson } from "../support/verify";

const healer = "coreos1";
const script = "/etc/moorage/healing";
const bucket = "/var/lib/moorage/data/minio/registry";
/** An update may have started all servers anew, and what follows from that comes first. */
const PATIENCE = 240;

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  await eventually(PATIENCE, atRest);
});

/** Nothing is to be healed, and nothing is being healed. */
async function atRest(): Promise<void> {
  const said = await lab.mustRoot(healer, `sh ${script} say`);
  expect(said).toMatch(/^healed=\d+$/m);
  expect(said).not.toMatch(/^(wanted|doing|failed)=/m);
}

/** What each drive holds, as paths below the bucket's folder. */
function drives(): Promise<string[][]> {
  return Promise.all(
    lab.nodes.map(async ({ name }) =>
      (await lab.mustRoot(name, `cd ${bucket} && find . -name xl.meta`)).trim().split("\n"),
    ),
  );
}

// The others' case, in which the healer sees that a drive is away, is the short round's of chaos.
describe("what is pushed while the node is off that sees to the healing", () => {
  const pushed: string[] = [];
  afterAll(() => on(lab.instance, lab.host(healer)));

  test("is on all four drives minutes after it is back, by itself", async () => {
    await off(lab.instance, lab.host(healer));
    for (let layers = 0; layers < 5; layers++) {
      await eventually(60, async () => void pushed.push(layerObject(await pushLayer(lab, access))));
    }
    await on(lab.instance, lab.host(healer));
    const missing = async (): Promise<string[]> => {
      const held = await drives();
      return pushed.filter((object) => held.some((drive) => !drive.includes(object)));
    };
    expect(await missing()).toEqual(pushed);
    const seconds = await eventually(PATIENCE, async () => expect(await missing()).toEqual([]));
    console.log(`on all drives ${Math.round(seconds)} s after it was on`);
    await eventually(PATIENCE, atRest);
    expect([...unhealed(await drives())]).toEqual([]);
  });

  test("is what a verification tells then", async () => {
    await eventually(120, async () => expect(redsOf((await verifyJson(lab)).report)).toEqual([]));
    const { report } = await verifyJson(lab);
    expect(report.subjects.storage?.find((check) => check.name === "healing")?.detail).toMatch(
      /^all 4 drives hold everything, healed at \d{4}-\d\d-\d\dT/,
    );
    expect(report.nodes[healer]?.checks.map((check) => check.name)).toContain("moorage-healing.service");
  });
});

test("files that rotted on a drive are mended by a deep scan, or by emptying it", async () => {
  const layer = await pushLayer(lab, access, 2_000_000);
  await eventually(PATIENCE, atRest);
  const deep = async (): Promise<string> => (await lab.root(healer, `sh ${script} now deep`)).output;
  const part = `${bucket}/${path.dirname(layerObject(layer))}/*/part.1`;
  await lab.mustRoot("coreos3", `printf rotten | dd of=$(ls ${part}) bs=1 seek=5000 conv=notrunc`);
  expect(await deep()).toMatch(/^healed: 1 of \d+ objects$/m);

  await faults.corrupt.begin({ instance: lab.instance, host: lab.host("coreos3") }, "minio");
  expect(await deep()).toMatch(/^not healed: \d+ objects are not on all drives: minio-coreos3$/m);
  await lab.mustRoot("coreos3", "find /var/lib/moorage/data/minio -mindepth 1 -delete");
  await eventually(PATIENCE, async () => {
    expect(await deep()).toMatch(/^healed: \d+ of \d+ objects$/m);
    expect([...unhealed(await drives())]).toEqual([]);
    await atRest();
  });
  expect(await deep()).toMatch(/^healed: 0 of /m);
});

test("an update has nothing to do afterwards", async () => {
  expect(await lab.plan()).toEqual([]);
});
