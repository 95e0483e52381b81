import { describe, expect, it } from "vitest";
import { claimOf, contentOf, refusalOf, type Claimant, type FoundDisk } from "../../../hosts/src/disk-claim";
import { lookAtDisk } from "../../../hosts/src/installation/run";
import { newUpdate } from "../../support/newUpdate";
import { Machine, failing } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

/** A disk with a serial number and two partitions. */
const lsblk = (below = "part ") => `#!/bin/sh
case "$*" in
  *SERIAL*) echo '  S4X 7 ' ;;
  *NAME*) echo loop0 disk; echo loop0p1 part; echo loop0p2 part ;;
  *) echo 'disk '; echo 'part '; echo '${below}' ;;
esac
`;
/** Another system's disk; what blkid says of its partitions is given. */
const blkid = (...cases: string[]) =>
  `#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt; echo TYPE=ntfs ;; ${cases.join(" ")} *) exit 2 ;; esac\n`;
const blank = "#!/bin/sh\nexit 2\n";
const wipefs = '#!/bin/sh\necho "wipefs $*" >> "$FAKE/wiped"\n';
const last = "for last; do :; done";
const MARK = "etc/moorage/install.json";
/** A file system with the mark of an installation, where `path` says. */
const mount = (path = MARK) =>
  `#!/bin/sh\n[ -e "$FAKE/mark" ] || exit 1\n${last}\nmkdir -p "$last/$(dirname ${path})" && cp "$FAKE/mark" "$last/${path}"\n`;
const umount = `#!/bin/sh\n${last}\nrm -r "$last"/*\n`;

/** A live system whose disk holds another system. */
async function occupied(erasableDisk?: string): Promise<Machine> {
  newUpdate();
  const machine = await Machine.start({ erasableDisk, stack: "moorage/rack" });
  const tools = {
    blkid: blkid(),
    lsblk: lsblk(),
    wipefs,
    mount: mount(),
    umount,
    "flatcar-install": failing,
  };
  for (const [name, text] of Object.entries(tools)) machine.live.tool(name, text);
  return machine;
}

const own = { installHash: "an earlier one", stack: "moorage/rack", node: "swarm-1" };
const other = { ...own, stack: "moorage/other" };
const begun = "failed (exit code 1)";

describe.skipIf(!canSandbox)("an installation to a disk that is not empty", () => {
  it("leaves it alone, and says what to configure", async () => {
    const { installation, inputs, live } = await occupied();
    await expect(installation.create(inputs)).rejects.toThrow(
      "swarm-1: the disk /dev/disk/by-id/system is not empty (PTTYPE=gpt TYPE=ntfs), and is left as it is; " +
        "its serial number is S4X 7. To do: if nothing on it is needed, set `nodes.swarm-1.erasableDisk` to " +
        '"S4X 7", or empty it there by hand (docs/metal.md, "The disks"); else name another disk',
    );
    expect(live.read("installer.args")).toBeUndefined();
    expect(live.read("wiped")).toBeUndefined();
  });

  it("erases another stack's node if the configuration names its serial number", async () => {
    const { installation, inputs, live } = await occupied("S4X 7");
    live.write("mark", JSON.stringify(other));
    await expect(installation.create(inputs)).rejects.toThrow(begun);
    const parts = ["p2", "p1", ""].map((part) => `wipefs -q -a -- /dev/loop0${part}\n`);
    expect(live.read("wiped")).toBe(parts.join(""));
    expect(logged).toContain(
      "swarm-1: erasing /dev/disk/by-id/system (serial number S4X 7), as configured; it holds swarm-1 of stack moorage/other",
    );
    expect(live.read("installer.args")).toMatch(/^-d \/dev\/disk\/by-id\/system -i /);
  });

  it("erases nothing if the name leads to another disk by then", async () => {
    const { installation, inputs, live } = await occupied("S4X 7");
    const once = '[ -e "$FAKE/asked" ] && echo S5; touch "$FAKE/asked"; echo S4X 7';
    live.tool("lsblk", lsblk().replace("echo '  S4X 7 '", once));
    await expect(installation.create(inputs)).rejects.toThrow("is another disk now than the one with serial");
    expect(live.read("wiped")).toBeUndefined();
  });

  it("takes this stack's installation of the node, and no other one", async () => {
    const { installation, inputs, live } = await occupied();
    live.write("mark", JSON.stringify(own));
    await expect(installation.create(inputs)).rejects.toThrow(begun);
    expect(live.read("wiped")).toBeUndefined();
    // This live system has begun an installation: it goes on with other settings, but not for another stack.
    const changed = { ...inputs, installHash: "hash-2" };
    await expect(installation.create(changed)).rejects.toThrow(begun);
    const stranger = { ...changed, stack: "moorage/other", installHash: "x" };
    await expect(installation.create(stranger)).rejects.toThrow(
      "is not empty (swarm-1 of stack moorage/rack), and is left as it is",
    );
  });

  it("takes one that names no stack if the state has its hash", async () => {
    const { installation, inputs, live } = await occupied();
    live.write("mark", JSON.stringify({ installHash: "hash-0" }));
    const update = (installHash: string) =>
      installation.update("swarm-1", { ...inputs, installHash, firstBootId: "installed" }, inputs);
    await expect(update("hash-x")).rejects.toThrow("an installation that names no stack");
    expect(live.read("installer.args")).toBeUndefined();
    newUpdate();
    await expect(update("hash-0")).rejects.toThrow(begun);
  });

  it("knows of a disk what is on it, and why it must not be erased", async () => {
    const { live, inputs } = await occupied();
    const look = async (tools: Record<string, string>, mark?: object) => {
      const usual = { blkid: blkid(), lsblk: lsblk(), mount: mount() };
      for (const [name, text] of Object.entries({ ...usual, ...tools })) live.tool(name, text);
      live.remove("mark");
      if (mark) live.write("mark", `${JSON.stringify(mark)}\n`);
      return lookAtDisk(inputs);
    };
    const foreign = { disk: inputs.disk, real: "/dev/loop0", state: "PTTYPE=gpt TYPE=ntfs", serial: "S4X 7" };
    const plain = { ...foreign, data: "", kept: "" };
    expect(await look({})).toEqual(plain);
    expect(await look({ blkid: blank })).toEqual({ ...plain, state: "blank" });
    expect(await look({ lsblk: lsblk("part /mnt") })).toEqual({
      ...plain,
      kept: "it is mounted there on /mnt",
    });
    expect(await look({ lsblk: lsblk("lvm ") })).toEqual({
      ...plain,
      kept: "a volume of type lvm is built on it",
    });
    const data = "/dev/loop0p2 is a data disk (label moorage-data)";
    const label = { blkid: blkid("*LABEL*p2) echo moorage-data ;;") };
    expect(await look(label)).toEqual({ ...plain, data });
    expect(await look({ blkid: blkid("*TYPE*p2) echo linux_raid_member ;;") })).toEqual({
      ...plain,
      kept: "/dev/loop0p2 is part of a volume (linux_raid_member)",
    });
    const state = `installation ${JSON.stringify(own)}`;
    expect(await look({}, own)).toEqual({ ...plain, state });
    expect(await look(label, own)).toEqual({ ...plain, state, data });
    const ostree = `ostree/deploy/fedora-coreos/deploy/0f1e.0/${MARK}`;
    expect(await look({ mount: mount(ostree) }, own)).toEqual({ ...plain, state });
    expect(await look({ readlink: "#!/bin/sh\necho /none\n" })).toMatchObject({ state: "missing" });
  });
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
  const marked = (mark: unknown) => ({ state: `installation ${JSON.stringify(mark)}` });
  const ours = marked({ installHash: "h", stack: "p/s", node: "a" });
  const by = (erasableDisk?: string, more: Partial<Claimant> = {}): Claimant => ({
    node: "a",
    stack: "p/s",
    installHashes: ["wanted", undefined],
    erasableDisk,
    ...more,
  });

  it.each<[string, Partial<FoundDisk>, string | undefined, ReturnType<typeof claimOf>]>([
    ["blank", { state: "blank" }, undefined, "free"],
    ["ours", { ...ours, kept: "it is mounted" }, undefined, "free"],
    ["ours, with a data disk", { ...ours, data: "/dev/sda2 is a data disk" }, "S1", "refused"],
    [
      "the wanted installation of a renamed stack",
      marked({ installHash: "wanted", stack: "p/o" }),
      undefined,
      "free",
    ],
    ["another node's of this stack", marked({ stack: "p/s", node: "b" }), undefined, "refused"],
    ["one that was cut off while it was written", marked([]), undefined, "refused"],
    ["another's, named", marked({}), "S1", "erasable"],
    ["another's, named and kept", { ...marked({}), kept: "it is mounted" }, "S1", "refused"],
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
    expect(claimOf(found(marked(mark)), by(undefined, claimant))).toBe(expected);
  });

  it.each<[string, Partial<FoundDisk>, string | undefined, RegExp]>([
    ["missing", { state: "missing" }, "S1", /^there is no disk \/dev\/sda; list them there/],
    [
      "without a serial number",
      { serial: "", real: "/dev/sdx" },
      undefined,
      /it shows no serial number; if nothing on it is needed, empty it there by hand \(docs\/metal\.md, "The disks"\); else name another disk$/,
    ],
    [
      "of another serial number",
      {},
      "S2",
      /is S1, not the one of `nodes\.a\.erasableDisk` \(S2\); look which of the two is meant/,
    ],
    [
      "with a data disk",
      { data: "/dev/sda2 is a data disk" },
      "S1",
      /is S1; \/dev\/sda2 is a data disk, and such a disk is never erased/,
    ],
    [
      "with another's installation",
      marked(other),
      undefined,
      /look whether this is the machine that is meant; if nothing/,
    ],
  ])("says what to do about one %s", (_name, changes, erasable, expected) => {
    const { what, advice } = refusalOf(found(changes), by(erasable));
    expect(`${what}; ${advice}`).toMatch(expected);
  });

  it.each([
    [marked(other), "swarm-1 of stack moorage/other"],
    [marked({ installHash: "x" }), "an installation that names no stack"],
    [marked([]), "an installation that names no stack"],
    [{ state: "" }, "unknown"],
  ])("names the content of %j", (disk, expected) => {
    expect(contentOf(disk)).toBe(expected);
  });
});
