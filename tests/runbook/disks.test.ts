import { afterEach, beforeAll, expect, test } from "vitest";
import { faults } from "../../lab/faults";
import { fullDisk } from "../support/faults";
import { hurtByCommand } from "../support/labCommand";
import { follow } from "../support/runbook";
import { RunbookLab } from "../support/runbookLab";
import { eventually, type TestLab } from "../support/testLab";

const firstStorageNode = "coreos1";
const aManager = { "a manager": "coreos1" };

let own: RunbookLab;
let lab: TestLab;

beforeAll(async () => {
  own = await RunbookLab.whole();
  ({ lab } = own);
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await own.mend();
});

test("The system disk is full", async () => {
  const node = "coreos4";
  await lab.withConfig(
    (config) => config.setIn(["config", "moorage:os", "motd"], "a full disk"),
    async () => {
      await fullDisk.begin(lab, node);
      try {
        const { code, output } = await lab.up();
        expect(code).not.toBe(0);
        expect(output).toMatch(/coreos4: [^]*No space left on device[^]*The disk is full/);
        const [, largest] = await follow(lab, "The system disk is full", {
          on: { NODE: node },
          before: { "pulumi up": () => fullDisk.end(lab, node) },
        });
        expect(largest).toMatch(/G\s+\/full2?$/m);
      } finally {
        await fullDisk.end(lab, node);
      }
      expect(await lab.plan()).toEqual([]);
    },
  );
  await lab.mustUp();
  await own.whole();
});

/** What is seen while a node's drive takes nothing: its MinIO stands aside, and clients go on. */
async function standsAside(node: string, reason: string): Promise<void> {
  await eventually(30, async () => {
    const said = await lab.mustRoot(node, "journalctl -u moorage-storage-guard --since=-2min -o cat");
    expect(said.trim().split("\n").at(-1)).toContain(`its own drive takes nothing (${reason})`);
  });
  // The others ask for room no more often than each second.
  await eventually(5, async () => void (await own.push(2_000_000)));
  for (let layers = 0; layers < 3; layers++) await own.pulls(await own.push(2_000_000));
  await eventually(90, async () => {
    const said = await lab.mustRoot(firstStorageNode, "sh /etc/moorage/healing say");
    expect(said).toMatch(/^wanted=\d+ a drive was away, or full\n[^]*^looked=\d+ 3$/m);
  });
}

test("A data disk is full", async () => {
  const node = "coreos4";
  const { begin: fill, end: empty } = faults["full-disk"];
  await fill(own.place(node));
  try {
    await standsAside(node, "too little room is left");
    const [largest] = await follow(lab, "A data disk is full", { on: { NODE: node } });
    expect(largest).toContain("/var/lib/moorage/data/.lab-fill");
  } finally {
    await empty(own.place(node));
  }
  await own.whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("A data disk is slow", async () => {
  const node = "coreos4";
  const push = async (): Promise<number> => {
    const start = Date.now();
    await own.push(16_000_000);
    return (Date.now() - start) / 1000;
  };
  const usual = await push();
  await faults["slow-disk"].begin(own.place(node));
  try {
    const slow = await push();
    let mended = slow;
    await follow(lab, "A data disk is slow", {
      on: aManager,
      names: { NODE: node },
      before: {
        "pulumi up --refresh": async () => {
          await eventually(120, async () => {
            mended = await push();
            expect(mended).toBeLessThan(slow / 2);
          });
          await faults["slow-disk"].end(own.place(node));
        },
      },
    });
    console.log(`16 MB are pushed in ${usual} s, with a slow disk in ${slow} s, without it in ${mended} s`);
    expect(slow).toBeGreaterThan(2 * usual);
  } finally {
    await faults["slow-disk"].end(own.place(node));
  }
  await own.whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("A data disk is not mounted", async () => {
  const node = "coreos4";
  const mounted = "mountpoint -q /var/lib/moorage/data";
  // What has it open would keep it.
  const minio = await own.containerOf(node, `minio-${node}`);
  await lab.mustRoot(node, `umount -l /var/lib/moorage/data && docker kill ${minio}`);
  await eventually(60, async () => {
    const listed = await lab.mustRoot("coreos1", `docker service ps --no-trunc minio-${node}`);
    expect(listed).toMatch(/bind source path does not exist/);
    await own.serves();
  });
  expect((await lab.root(node, mounted)).code).not.toBe(0);
  await follow(lab, "A data disk is not mounted");
  await lab.mustRoot(node, mounted);
  await own.whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("A data disk became read-only", async () => {
  await faults["read-only-disk"].begin(own.place("coreos4"));
  await standsAside("coreos4", "Read-only file system");
  const boot = "cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic";
  const before = await lab.mustRoot("coreos4", boot);
  await follow(lab, "A data disk became read-only", { on: { NODE: "coreos4" } });
  await eventually(120, async () => {
    const now = await lab.root("coreos4", boot);
    expect(now.code).toBe(0);
    expect(now.stdout).not.toBe(before);
  });
  await own.whole();
});

test("MinIO's drive was emptied", async () => {
  // What is emptied may have rotted before.
  await hurtByCommand(lab.instance, "coreos3", "corrupt", "minio");
  await hurtByCommand(lab.instance, "coreos3", "wipe", "minio");
  await own.whole(400);
});
