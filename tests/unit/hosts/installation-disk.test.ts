import { describe, expect, it } from "vitest";
import { claimOf, refusalOf, type Claimant, type FoundDisk } from "../../../hosts/src/disk-claim";
import { installation } from "../../../hosts/src/installation";
import { Machine, failing } from "./support/machine";
import { row } from "../../../hosts/src/swarm/turn";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

/** A disk with a serial number and two partitions. */
const serial = `#!/bin/sh
case "$*" in
  *SERIAL*) echo '  S4X 7 ' ;;
  *NAME*) echo loop0 disk; echo loop0p1 part; echo loop0p2 part ;;
  *) echo 'disk '; echo 'part '; echo 'part ' ;;
esac
`;
const windows = '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt; echo TYPE=ntfs ;; *) exit 2 ;; esac\n';
const wipefs = '#!/bin/sh\necho "wipefs $*" >> "$FAKE/wiped"\n';

/** A live system whose disk holds another system, with what is configured as erasable. */
async function occupied(erasableDisk?: string, tools: Record<string, string> = {}): Promise<Machine> {
  const machine = await Machine.start({ erasableDisk });
  for (const [name, text] of Object.entries({ blkid: windows, lsblk: serial, wipefs, ...tools }))
    machine.live.tool(name, text);
  return machine;
}

describe.skipIf(!canSandbox)("a system disk that holds something", () => {
  it("is left alone, and the message tells what to write", async () => {
    const machine = await occupied();
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      "swarm-1: the disk /dev/disk/by-id/system is not empty (PTTYPE=gpt TYPE=ntfs), and is left as it is; " +
        "its serial number is S4X 7. To do: if nothing on it is needed, set `nodes.swarm-1.erasableDisk` to " +
        '"S4X 7", or run `wipefs -a /dev/loop0` there; else name another disk',
    );
    expect(machine.live.read("installer.args")).toBeUndefined();
    expect(machine.live.read("wiped")).toBeUndefined();
  }, 40_000);

  it("is erased where the configuration names its serial number, and installed on", async () => {
    const machine = await occupied("S4X 7");
    machine.live.tool("flatcar-install", failing);
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(machine.live.read("wiped")).toBe(
      ["p2", "p1", ""].map((part) => `wipefs -q -a -- /dev/loop0${part}\n`).join(""),
    );
    expect(logged).toContain(
      "swarm-1: erasing /dev/disk/by-id/system (serial number S4X 7), as configured; it holds PTTYPE=gpt TYPE=ntfs",
    );
    expect(machine.live.read("installer.args")).toMatch(/^-d \/dev\/disk\/by-id\/system -i /);
  }, 40_000);

  it("is left alone where another one is named", async () => {
    const machine = await occupied("S4X 8");
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /serial number is S4X 7, not the one of `erasableDisk` \(S4X 8\). To do: look which of the two is meant/,
    );
    expect(machine.live.read("wiped")).toBeUndefined();
  }, 40_000);

  it.each([
    [
      "it is mounted",
      "#!/bin/sh\ncase \"$*\" in *SERIAL*) echo S1 ;; *) printf 'disk \\npart /mnt\\n' ;; esac\n",
      /mounted there on \/mnt/,
    ],
    [
      "it carries a volume",
      "#!/bin/sh\ncase \"$*\" in *SERIAL*) echo S1 ;; *) printf 'disk \\nlvm \\n' ;; esac\n",
      /type lvm is built on it/,
    ],
  ])(
    "is left alone although it is named: %s",
    async (_why, lsblk, said) => {
      const machine = await occupied("S1", { lsblk });
      await expect(installation.create(machine.inputs)).rejects.toThrow(said);
      expect(machine.live.read("wiped")).toBeUndefined();
    },
    40_000,
  );

  it("is left alone although it is named: a partition of it is a data disk of ours", async () => {
    const blkid =
      '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt ;; *LABEL*p2) echo moorage-data ;; *) exit 2 ;; esac\n';
    const machine = await occupied("S4X 7", { blkid });
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /\/dev\/loop0p2 is a data disk \(label moorage-data\), and such a disk is never erased/,
    );
    expect(machine.live.read("wiped")).toBeUndefined();
  }, 40_000);

  it("is left alone although an installation of ours is on it too: a partition of it is a data disk", async () => {
    const blkid =
      '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt ;; *LABEL*p2) echo moorage-data ;; *) exit 2 ;; esac\n';
    const machine = await occupied(undefined, { blkid });
    machine.live.write("run/moorage/install/disk", machine.inputs.disk);
    machine.live.write("run/moorage/install/hash", machine.inputs.installHash);
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /is not empty \(an installation that names no stack\).*; \/dev\/loop0p2 is a data disk \(label moorage-data\), and such a disk is never erased/,
    );
    expect(machine.live.read("installer.args")).toBeUndefined();
  }, 40_000);

  it("is left alone although it is named: a partition of it belongs to a volume that the live system has not put together", async () => {
    const blkid =
      '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt ;; *TYPE*p2) echo linux_raid_member ;; *) exit 2 ;; esac\n';
    const machine = await occupied("S4X 7", { blkid });
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /\/dev\/loop0p2 is part of a volume \(linux_raid_member\), and such a disk is never erased/,
    );
    expect(machine.live.read("wiped")).toBeUndefined();
  }, 40_000);
});

const MARK = "etc/moorage/install.json";
const OSTREE = `ostree/deploy/fedora-coreos/deploy/0f1e.0/${MARK}`;

/** A live system whose disk holds an installation of this program's, with what that says of itself. */
async function installedBefore(mark: object, options: { erasable?: string; path?: string } = {}) {
  const { erasable, path = MARK } = options;
  const last = "for last; do :; done";
  const mount = `#!/bin/sh\n${last}\nmkdir -p "$last/$(dirname ${path})" && cp "$FAKE/mark" "$last/${path}"\n`;
  const umount = `#!/bin/sh\n${last}\nrm -r "$last"/*\n`;
  const machine = await occupied(erasable, { mount, umount, "flatcar-install": failing });
  machine.live.write("mark", `${JSON.stringify(mark)}\n`);
  Object.assign(machine.inputs, { stack: "moorage/rack" });
  return machine;
}

const begun = "failed (exit code 1)";
const own = { installHash: "an earlier one", stack: "moorage/rack", node: "swarm-1" };

describe.skipIf(!canSandbox)("a system disk with an installation of this program's", () => {
  it.each<[string, object, string?]>([
    ["this stack's of this node, whatever it was installed with", own],
    ["the same in a deployment of Fedora CoreOS", own, OSTREE],
    ["of the digest that is wanted, which an update that was cut off has left", { installHash: "hash-1" }],
    ["the same, of a stack that was renamed since", { ...own, installHash: "hash-1", stack: "moorage/old" }],
  ])(
    "is taken where that is %s",
    async (_name, mark, path) => {
      const machine = await installedBefore(mark, { path });
      await expect(installation.create(machine.inputs)).rejects.toThrow(begun);
      expect(machine.live.read("wiped")).toBeUndefined();
    },
    40_000,
  );

  it.each<[string, object, string]>([
    ["another stack's", { ...own, stack: "moorage/other" }, "swarm-1 of stack moorage/other"],
    ["another node's of this stack", { ...own, node: "swarm-2" }, "swarm-2 of stack moorage/rack"],
    ["one of before stacks were named in it", { installHash: "x" }, "an installation that names no stack"],
    ["one that was cut off in the middle", [], "an installation that names no stack"],
  ])(
    "is left alone where that is %s, and the message tells what to write",
    async (_name, mark, said) => {
      const machine = await installedBefore(mark);
      await expect(installation.create(machine.inputs)).rejects.toThrow(
        `swarm-1: the disk /dev/disk/by-id/system is not empty (${said}), and is left as it is; ` +
          "its serial number is S4X 7. To do: look whether this is the machine that is meant; if nothing on it is " +
          'needed, set `nodes.swarm-1.erasableDisk` to "S4X 7", or run',
      );
      expect(machine.live.read("installer.args")).toBeUndefined();
    },
    40_000,
  );

  it("is erased where that is another stack's, and the configuration names its serial number", async () => {
    const machine = await installedBefore({ ...own, stack: "moorage/other" }, { erasable: "S4X 7" });
    await expect(installation.create(machine.inputs)).rejects.toThrow(begun);
    expect(machine.live.read("wiped")).toContain("/dev/loop0p1");
    expect(logged).toContain(
      "swarm-1: erasing /dev/disk/by-id/system (serial number S4X 7), as configured; it holds swarm-1 of stack moorage/other",
    );
  }, 40_000);

  it("that names no stack is taken where the state has that the node was installed with it", async () => {
    const machine = await installedBefore({ installHash: "hash-0" });
    const update = (recorded: string) =>
      installation.update(
        "swarm-1",
        { ...machine.inputs, installHash: recorded, firstBootId: "installed" },
        machine.inputs,
      );
    await expect(update("hash-x")).rejects.toThrow("an installation that names no stack");
    expect(machine.live.read("installer.args")).toBeUndefined();
    row.stoppedBy = undefined;
    await expect(update("hash-0")).rejects.toThrow(begun);
  }, 40_000);

  it("that was begun in this very live system goes on with other settings, another stack's does not", async () => {
    const machine = await occupied(undefined, { "flatcar-install": failing });
    Object.assign(machine.inputs, { stack: "moorage/rack" });
    machine.live.tool("blkid", "#!/bin/sh\nexit 2\n");
    await expect(installation.create(machine.inputs)).rejects.toThrow(begun);
    machine.live.tool("blkid", windows);
    const changed = { ...machine.inputs, installHash: "hash-2" };
    await expect(installation.create(changed)).rejects.toThrow(begun);
    await expect(
      installation.create({ ...changed, stack: "moorage/other", installHash: "x" }),
    ).rejects.toThrow("is not empty (swarm-1 of stack moorage/rack), and is left as it is");
  }, 40_000);
});

describe("whether an installation may take a disk", () => {
  const found = (changes: Partial<FoundDisk> = {}): FoundDisk => ({
    disk: "/dev/sda",
    state: "TYPE=ext4",
    serial: "S1",
    data: "",
    kept: "",
    ...changes,
  });

  const ours = `installation ${JSON.stringify({ installHash: "h", stack: "p/s", node: "a" })}`;
  const by = (erasableDisk?: string, more: Partial<Claimant> = {}): Claimant => ({
    node: "a",
    stack: "p/s",
    installHashes: ["wanted", undefined],
    erasableDisk,
    ...more,
  });

  it.each<[string, Partial<FoundDisk>, string | undefined, ReturnType<typeof claimOf>]>([
    ["blank", { state: "blank" }, undefined, "free"],
    ["ours", { state: ours, kept: "it is mounted" }, undefined, "free"],
    ["ours, with a data disk", { state: ours, data: "/dev/sda2 is a data disk" }, "S1", "refused"],
    ["another's, named", { state: "installation {}" }, "S1", "erasable"],
    ["another's, named and kept", { state: "installation {}", kept: "it is mounted" }, "S1", "refused"],
    ["full, not named", {}, undefined, "refused"],
    ["full, named", {}, "S1", "erasable"],
    ["full, another one named", {}, "S2", "refused"],
    ["full, without a number, nothing named", { serial: "" }, undefined, "refused"],
    ["named and kept", { kept: "it is mounted" }, "S1", "refused"],
    ["named, with a data disk", { data: "/dev/sda2 is a data disk" }, "S1", "refused"],
    ["named and not there", { state: "missing" }, "S1", "refused"],
  ])("%s", (_name, changes, erasable, expected) => {
    expect(claimOf(found(changes), by(erasable))).toBe(expected);
  });

  it.each<[string, object, Partial<Claimant>, ReturnType<typeof claimOf>]>([
    ["no stack on either side", { installHash: "h" }, { stack: undefined }, "refused"],
    ["no digest, none recorded", { installHash: "" }, { installHashes: [""] }, "refused"],
    ["no stack, left to who knows", { installHash: "h" }, { leavesUnnamed: true }, "free"],
    [
      "another stack, where one without is left",
      { stack: "p/o", node: "a" },
      { leavesUnnamed: true },
      "refused",
    ],
  ])("with a mark that names %s", (_name, mark, claimant, expected) => {
    const disk = found({ state: `installation ${JSON.stringify(mark)}` });
    expect(claimOf(disk, by(undefined, claimant))).toBe(expected);
  });

  it("one without a serial number is emptied by hand", () => {
    expect(refusalOf(found({ serial: "", real: "/dev/sdx" }), by())).toEqual({
      what: "the disk /dev/sda is not empty (TYPE=ext4), and is left as it is; it shows no serial number",
      advice: "if nothing on it is needed, run `wipefs -a /dev/sdx` there; else name another disk",
    });
    expect(refusalOf(found({ state: "missing" }), by("S1")).what).toBe("there is no disk /dev/sda");
  });
});
