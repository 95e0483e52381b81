import { describe, expect, it } from "vitest";
import {
  dataClaimOf,
  dataRefusalOf,
  type DataClaim,
  type DataClaimant,
  type FoundDataDisk,
} from "../../../hosts/src/data-claim";

const disk = (changes: Partial<FoundDataDisk>): FoundDataDisk => ({
  real: "/dev/sdb",
  state: "blank",
  owner: "",
  serial: "S1",
  kept: "",
  ...changes,
});
const labelled = (owner: string, serial = "S1") => disk({ state: "labelled", owner, serial });
const marked = (stack: string, node: string, serial?: string) =>
  labelled(JSON.stringify({ stack, node }), serial);
const full = disk({ state: "TYPE=ext4 LABEL=photos" });
const eio = "the first MiB of /dev/sdb cannot be read, see dmesg";

describe("a data disk", () => {
  const claimant: DataClaimant = { node: "a", stack: "p/s" };
  it.each<[string, FoundDataDisk, Partial<DataClaimant>, DataClaim, RegExp?]>([
    ["that is blank", disk({}), {}, "blank"],
    ["with this node's data", marked("p/s", "a"), {}, "own"],
    ["of a renamed stack", marked("p/old", "a"), { formerStack: "p/old" }, "own"],
    ["without an owner", labelled("none"), {}, "nobody"],
    [
      "of another stack",
      marked("p/o", "a"),
      { wipeDataDiskSerial: "S1" },
      "refused",
      /^the data disk \/dev\/x \(\/dev\/sdb\) holds data of a of stack p\/o, and is left as it is; its serial number is S1; if this node is to have that data, set `nodes\.a\.adoptDiskSerial` to "S1", which erases nothing/,
    ],
    ["of another node", marked("p/s", "b"), {}, "refused", /holds data of b of stack p\/s/],
    ["of another node, adopted", marked("p/s", "b"), { adoptDiskSerial: "S1" }, "adopted"],
    [
      "of another node, another one adopted",
      marked("p/s", "b"),
      { adoptDiskSerial: "S2" },
      "refused",
      /is S1, not the one of `nodes\.a\.adoptDiskSerial` \(S2\); look which/,
    ],
    [
      "of another node, without a serial number",
      marked("p/s", "b", ""),
      { adoptDiskSerial: "S1" },
      "refused",
      /mount it there and remove moorage-owner\.json from it, which erases nothing/,
    ],
    [
      "with half a mark",
      labelled("{"),
      {},
      "refused",
      /holds data of an unknown owner: \{, .*adoptDiskSerial/,
    ],
    ["with half a mark, adopted", labelled("{"), { adoptDiskSerial: "S1" }, "adopted"],
    [
      "of ours that cannot be mounted",
      labelled("cannot be mounted: wrong fs type"),
      { adoptDiskSerial: "S1", wipeDataDiskSerial: "S1" },
      "refused",
      /has the label of our data, but cannot be mounted: wrong fs type; .*`fsck \/dev\/sdb`/,
    ],
    [
      "with something else",
      full,
      { adoptDiskSerial: "S1" },
      "refused",
      /is not empty \(TYPE=ext4 LABEL=photos\), .* is S1; if nothing on it is needed, set `nodes\.a\.wipeDataDiskSerial` to "S1"/,
    ],
    ["with something else, named", full, { wipeDataDiskSerial: "S1" }, "wipeable"],
    [
      "with something else, named and in use",
      { ...full, kept: "it is mounted there on /mnt" },
      { wipeDataDiskSerial: "S1" },
      "refused",
      /it is mounted there on \/mnt, and such a disk is never erased/,
    ],
    [
      "that cannot be read",
      disk({ state: eio, kept: eio }),
      { wipeDataDiskSerial: "S1" },
      "refused",
      /cannot be read, see dmesg, and such a disk is never erased/,
    ],
    [
      "with another disk labelled so",
      disk({ state: "elsewhere", kept: "/dev/sdc has the label moorage-data" }),
      { wipeDataDiskSerial: "S1" },
      "refused",
      /is not the one with the node's data: \/dev\/sdc has the label moorage-data; name that one in `nodes\.a\.dataDisk`/,
    ],
    [
      "that is missing",
      disk({ state: "missing", serial: "" }),
      {},
      "refused",
      /^there is no data disk \/dev\/x/,
    ],
  ])("%s", (_name, found, more, expected, refusal) => {
    const who = { ...claimant, ...more };
    expect(dataClaimOf(found, who)).toBe(expected);
    if (refusal === undefined) return;
    const { what, advice } = dataRefusalOf("/dev/x", found, who);
    expect(`${what}; ${advice}`).toMatch(refusal);
  });
});
