import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataDisk } from "../../../hosts/src/data-disk";
import { DATA_LABEL } from "../../../hosts/src/disk-claim";
import { lookAtDisk } from "../../../hosts/src/installation/run";
import { DISK_MIB, LoopDisk, MIB, canLoop, run } from "./support/loop-disk";
import { Sandbox } from "./support/sandbox";
import { temporaryFolder } from "./support/stop";

/** Loop devices have no serial number. */
const numbered = '#!/bin/sh\ncase "$*" in *SERIAL*) echo S1 ;; *) exec /usr/bin/lsblk "$@" ;; esac\n';
const random = randomBytes(4096);

describe.skipIf(!canLoop)("a disk on which blkid finds nothing", () => {
  it.each<[string, (disk: LoopDisk) => void, RegExp]>([
    ["that cannot be read", (disk) => disk.breakFrom(0), /the first MiB of \S+ cannot be read/],
    ["whose end cannot be read", (disk) => disk.breakFrom(2 * MIB), /the last MiB of \S+ cannot be read/],
    [
      "that holds our data and cannot be read",
      (disk) => {
        disk.format(DATA_LABEL);
        disk.breakFrom(0);
      },
      /the first MiB of \S+ cannot be read/,
    ],
    ["with random content", (disk) => disk.write(random, 0), /content without a known signature/],
    [
      "with random content at its end alone",
      (disk) => disk.write(random, (DISK_MIB - 1) * MIB),
      /content without a known signature/,
    ],
  ])("%s is not blank, neither as a system disk nor as a data disk", async (_name, prepare, wanted) => {
    const disk = LoopDisk.attach();
    if (disk === undefined) return;
    prepare(disk);
    const sandbox = await Sandbox.start({ lsblk: numbered });
    const connection = sandbox.server.connection();
    const { device } = disk;
    const mountPoint = join(temporaryFolder(), "data");
    const inputs = { connection, device, label: `b-${process.pid}`, stack: "p/s", mountPoint };
    const { state, kept } = await lookAtDisk({ installer: connection, disk: device });
    expect(state).toMatch(wanted);
    // What cannot be read may be anybody's data.
    expect(kept).toMatch(state.includes("cannot be read") ? wanted : /^$/);
    const wipeDataDiskSerial = kept === "" ? "S2" : "S1";
    await expect(dataDisk.create({ ...inputs, wipeDataDiskSerial })).rejects.toThrow(wanted);
    expect(disk.label).toBe("");
  });

  it("is not blank if another device is built on it", async ({ skip }) => {
    const disk = LoopDisk.attach();
    if (disk === undefined) return skip();
    const holder = `${run("mountpoint", "-x", disk.device)}/holders/dm-0`;
    const built = await Sandbox.start({}, {}, { "/sys/dev/block": { [holder]: "" } });
    const plain = await Sandbox.start();
    const stateIn = async ({ server }: Sandbox) =>
      (await lookAtDisk({ installer: server.connection(), disk: disk.device })).state;
    expect([await stateIn(built), await stateIn(plain)]).toEqual(["in use by dm-0", "blank"]);
  });
});
