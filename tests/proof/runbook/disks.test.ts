import { expect, test } from "vitest";
import { faults } from "../../../lab/faults";
import { fullDisk } from "../../support/faults";
import { hurtByCommand } from "../../support/labCommand";
import { RunbookLab } from "../../support/runbookLab";
import { measured, until } from "../../support/waiting";

const node = "coreos4";

const own = RunbookLab.forFile();

test("The system disk is full", async () => {
  const { lab } = own;
  await lab.withConfig(
    (config) => config.setIn(["config", "moorage:os", "motd"], "a full disk"),
    async () => {
      await fullDisk.begin(lab, node);
      try {
        const { code, output } = await lab.up();
        expect(code).not.toBe(0);
        expect(output).toMatch(/coreos4: [^]*No space left on device[^]*The disk is full/);
        const [, largest] = await own.follow("The system disk is full", {
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

test("A data disk is full", async () => {
  const layer = await own.push();
  const { begin: fill, end: empty } = faults["full-disk"];
  await fill(own.place(node));
  try {
    const isFull = () => expect(own.push(2_000_000)).rejects.toThrow();
    await until("pushes fail", isFull, { netSeconds: 150 });
    await own.pulls(layer);
    const [largest] = await own.follow("A data disk is full", { on: { NODE: node } });
    expect(largest).toContain("/var/lib/moorage/data/.lab-fill");
  } finally {
    await empty(own.place(node));
  }
  await own.wholeAndUnchanged();
});

test("A data disk is slow", async () => {
  const push = async (what: string): Promise<number> => {
    const start = Date.now();
    await own.push(16_000_000);
    const seconds = (Date.now() - start) / 1000;
    measured(`push of 16 MB: ${what}`, seconds);
    return seconds;
  };
  const usual = await push("usual");
  await faults["slow-disk"].begin(own.place(node));
  try {
    const slow = await push("with a slow disk");
    // The disk is that slow; else the fault shows nothing.
    expect(slow).toBeGreaterThan(2 * usual);
    const isQuick = async (): Promise<void> =>
      expect(await push("without the slow disk")).toBeLessThan(slow / 2);
    await own.follow("A data disk is slow", {
      on: { "a manager": "coreos1" },
      names: { NODE: node },
      before: {
        "pulumi up --refresh": async () => {
          await until("pushes are quick again", isQuick, { netSeconds: 500 });
          await faults["slow-disk"].end(own.place(node));
        },
      },
    });
  } finally {
    await faults["slow-disk"].end(own.place(node));
  }
  await own.wholeAndUnchanged();
});

test("A data disk is not mounted", async () => {
  const { lab } = own;
  const mounted = "mountpoint -q /var/lib/moorage/data";
  // A process with an open file would keep the mount.
  const minio = await own.containerOf(node, `minio-${node}`);
  await lab.mustRoot(node, `umount -l /var/lib/moorage/data && docker kill ${minio}`);
  const cannotStart = async (): Promise<void> => {
    const listed = await lab.mustRoot("coreos1", `docker service ps --no-trunc minio-${node}`);
    expect(listed).toMatch(/bind source path does not exist/);
    await own.serves();
  };
  await until("MinIO does not start without its disk", cannotStart, { netSeconds: 300 });
  expect((await lab.root(node, mounted)).code).not.toBe(0);
  await own.follow("A data disk is not mounted");
  await lab.mustRoot(node, mounted);
  await own.wholeAndUnchanged();
});

test("A data disk became read-only", async () => {
  const { lab } = own;
  await faults["read-only-disk"].begin(own.place(node));
  const waits = async (): Promise<void> => {
    const log = "docker service logs --raw --tail 3 minio-coreos4";
    expect(await lab.mustRoot("coreos1", log)).toContain("the file system of /data is read-only");
  };
  await until("MinIO waits for its drive", waits, { netSeconds: 150 });
  await own.pulls(await own.pushesAgain(2_000_000));
  const boot = "cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic";
  const before = await lab.mustRoot(node, boot);
  await own.follow("A data disk became read-only", { on: { NODE: node } });
  const hasBooted = async (): Promise<void> => {
    const now = await lab.root(node, boot);
    expect(now.code).toBe(0);
    expect(now.stdout).not.toBe(before);
  };
  await until("the node has booted", hasBooted, { netSeconds: 500 });
  await own.whole();
});

test("MinIO's drive was emptied", async () => {
  // The emptied files were damaged before.
  await hurtByCommand(own.instance, "coreos3", "corrupt", "minio");
  await hurtByCommand(own.instance, "coreos3", "wipe", "minio");
  await own.whole();
});
