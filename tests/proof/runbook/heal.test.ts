import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { faults } from "../../../lab/faults";
import type { RegistryAccess } from "../../../lab/journey/push";
import { off, on } from "../../../lab/lab";
import { layerObject, pushLayer } from "../../support/blobs";
import { unhealed } from "../../support/cluster";
import { TestLab } from "../../support/testLab";
import { redsOf, verifyJson } from "../../support/verify";
import { timed, until } from "../../support/waiting";

const healer = "coreos1";
const script = "/etc/moorage/healing/heal.sh";
const bucket = "/var/lib/moorage/data/minio/registry";
/** A restart of all members takes minutes, and comes before the healing. */
const NET = { netSeconds: 900 };

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  await atRest();
});

/** Waits until nothing is being healed and nothing has to be. */
const atRest = (): Promise<void> =>
  until(
    "the healing is at rest",
    async () => {
      const said = await lab.mustRoot(healer, `sh ${script} status`);
      expect(said).toMatch(/^healed=\d+$/m);
      expect(said).not.toMatch(/^(wanted|doing|failed)=/m);
    },
    NET,
  );

/** The objects on each drive, as paths below the bucket's folder. */
function drives(): Promise<string[][]> {
  return Promise.all(
    lab.nodes.map(async ({ name }) =>
      (await lab.mustRoot(name, `cd ${bucket} && find . -name xl.meta`)).trim().split("\n"),
    ),
  );
}

const expectHealed = async (): Promise<void> => expect([...unhealed(await drives())]).toEqual([]);

// With another node off the healer sees the missing drive: tests/proof/faults.
test("what is pushed while the healing's node is off is on all drives after it returns, and `moorage verify` says so", async () => {
  const pushed: string[] = [];
  const push = async (): Promise<void> => void pushed.push(layerObject(await pushLayer(lab, access)));
  await off(lab.instance, lab.host(healer));
  try {
    for (let layers = 0; layers < 5; layers++) await until("a push is accepted", push, { netSeconds: 300 });
  } finally {
    await on(lab.instance, lab.host(healer));
  }
  const missing = async (): Promise<string[]> => {
    const held = await drives();
    return pushed.filter((object) => held.some((drive) => !drive.includes(object)));
  };
  expect(await missing()).toEqual(pushed);
  await timed("objects are on all drives after the healing's node returned", () =>
    until("all drives have the objects", async () => expect(await missing()).toEqual([]), NET),
  );
  await atRest();
  await expectHealed();

  const green = async (): Promise<void> => expect(redsOf((await verifyJson(lab)).report)).toEqual([]);
  await until("moorage verify is green", green, { netSeconds: 600 });
  const { report } = await verifyJson(lab);
  expect(report.subjects.storage?.find((check) => check.name === "healing")?.detail).toMatch(
    /^all 4 drives hold everything, healed at \d{4}-\d\d-\d\dT/,
  );
  expect(report.nodes[healer]?.checks.map((check) => check.name)).toContain("moorage-heal.timer");
});

test("a deep scan repairs rotten files, or names the drive, which is then emptied", async () => {
  const layer = await pushLayer(lab, access, 2_000_000);
  await atRest();
  const deep = async (): Promise<string> => (await lab.root(healer, `sh ${script} now deep`)).output;
  const part = `${bucket}/${path.dirname(layerObject(layer))}/*/part.1`;
  await lab.mustRoot("coreos3", `printf rotten | dd of=$(ls ${part}) bs=1 seek=5000 conv=notrunc`);
  expect(await deep()).toMatch(/^healed: 1 of \d+ objects$/m);

  await faults.corrupt.begin({ instance: lab.instance, host: lab.host("coreos3") }, "minio");
  expect(await deep()).toMatch(/^not healed: \d+ objects are not on all drives: minio-coreos3$/m);
  await lab.mustRoot("coreos3", "find /var/lib/moorage/data/minio -mindepth 1 -delete");
  const isHealed = async (): Promise<void> => {
    expect(await deep()).toMatch(/^healed: \d+ of \d+ objects$/m);
    await expectHealed();
  };
  await until("the emptied drive is filled again", isHealed, NET);
  await atRest();
  expect(await deep()).toMatch(/^healed: 0 of /m);
});

afterAll(async () => expect(await lab.plan()).toEqual([]));
