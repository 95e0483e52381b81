/** Whose a data disk is, decided before it is mounted or formatted. Shared by the preflight and the disk itself. */
import { notErased, numberOf } from "./disk-claim";
import type { Problem } from "./problem";

/** File on a data disk that says whose it is. */
export const OWNER_FILE = "moorage-owner.json";

export interface DataOwner {
  /** `project/stack`. */
  readonly stack: string;
  readonly node: string;
}

/**
 * `data_disk DEVICE LABEL` prints lines, by the functions of disk-claim:
 * `data_real=` the device; `data_serial=` its serial number;
 * `data_state=` `missing`, `labelled` (as ours), `elsewhere` (another disk is labelled so) or what `disk_content` prints;
 * `data_owner=` `none`, what its owner file says, or why that cannot be read; `data_kept=` why it is never erased.
 * A file system in use by a container alone cannot be mounted read-only beside that: it is mounted as the container has it.
 */
export const dataDiskFunction = `
data_owner() {
  folder=$(findmnt -nr -o FSROOT,TARGET -S "$1" 2>/dev/null | sed -n 's,^/ ,,p' | head -n 1)
  own=
  if [ -z "$folder" ]; then
    folder=$(mktemp -d) own=$folder
    if ! mount -o ro -- "$1" "$folder" 2>/dev/null && ! error=$(LC_ALL=C mount -- "$1" "$folder" 2>&1); then
      rmdir "$folder"
      printf '%s ' 'cannot be mounted:' $error
      return 0
    fi
  fi
  if ! names=$(ls -A -- "$folder" 2>&1); then printf '%s ' 'cannot be read:' $names
  elif ! printf '%s\\n' "$names" | grep -qxF ${OWNER_FILE}; then echo none
  else head -c 1000 -- "$folder/${OWNER_FILE}" 2>&1 | tr -d '[:cntrl:]'; echo
  fi
  if [ -n "$own" ]; then umount -- "$own"; rmdir "$own"; fi
}
data_disk() {
  real=$(readlink -f -- "$1") || real=
  [ -b "$real" ] || real=
  label=
  if [ -n "$real" ]; then label=$(blkid -p -s LABEL -o value -- "$real" 2>/dev/null) || label=; fi
  moved=
  if [ "$label" != "$2" ]; then
    # Device names move between boots; the label does not.
    moved=$(blkid -c /dev/null -t "LABEL=$2" -o device 2>/dev/null | head -n 1)
    [ -b "$moved" ] || moved=
    if [ -n "$moved" ] && [ -z "$real" ]; then real=$moved; label=$2; moved=; fi
  fi
  printf 'data_real=%s\\n' "$real"
  if [ -z "$real" ]; then echo data_state=missing; return 0; fi
  printf 'data_serial=%s\\n' "$(disk_serial "$real")"
  if [ "$label" = "$2" ]; then
    echo data_state=labelled
    printf 'data_owner=%s\\n' "$(data_owner "$real")"
    return 0
  fi
  if [ -n "$moved" ]; then
    echo data_state=elsewhere
    printf 'data_kept=%s\\n' "$moved has the label $2"
    return 0
  fi
  printf 'data_state=%s\\n' "$(disk_content "$real")"
  kept=$(disk_data "$real" "$2")
  [ -n "$kept" ] || kept=$(disk_kept "$real")
  printf 'data_kept=%s\\n' "$kept"
}
`;

/** A data disk as the function above found it. */
export interface FoundDataDisk {
  readonly real: string;
  readonly state: string;
  readonly owner: string;
  readonly serial: string;
  readonly kept: string;
}

/** Nothing where the host was not asked. */
export function parseDataDisk(values: ReadonlyMap<string, string>): FoundDataDisk | undefined {
  if (!values.has("data_state")) return undefined;
  const text = (key: string) => values.get(`data_${key}`)?.trim() ?? "";
  return {
    real: text("real"),
    state: text("state"),
    owner: text("owner"),
    serial: text("serial"),
    kept: text("kept"),
  };
}

/** Who wants a data disk. */
export interface DataClaimant {
  readonly node: string;
  /** `project/stack`. */
  readonly stack?: string;
  /** The name that the state knows the stack by: another one where the stack was renamed. */
  readonly formerStack?: string;
  /** Serial number of the disk that may be erased, whatever is on it but our data. */
  readonly wipeDataDiskSerial?: string;
  /** Serial number of the disk whose data of another node or stack become this node's. */
  readonly adoptDiskSerial?: string;
}

/** Undefined where the owner file names none. */
export function ownerIn(text: string): DataOwner | undefined {
  try {
    const { stack, node } = JSON.parse(text) as Partial<DataOwner>;
    return typeof stack === "string" && typeof node === "string" ? { stack, node } : undefined;
  } catch {
    return undefined;
  }
}

/** What is on a data disk, in words. */
export function dataContentOf({ state, owner }: FoundDataDisk): string {
  if (state !== "labelled") return state || "unknown";
  if (owner === "none") return "data of no named owner";
  const named = ownerIn(owner);
  return named ? `data of ${named.node} of stack ${named.stack}` : `data of an unknown owner: ${owner}`;
}

/** Whether a file system's owner could be asked for: else it cannot be mounted either. */
function isReadable({ owner }: FoundDataDisk): boolean {
  return !/^cannot be (mounted|read):/.test(owner);
}

/**
 * What may be done with a data disk. Our data are never erased: `own` are mounted, those of `nobody` or `adopted` too, and
 * marked. All else is refused unless it is blank or `wipeable`.
 */
export type DataClaim = "blank" | "own" | "nobody" | "adopted" | "wipeable" | "refused";

export function dataClaimOf(found: FoundDataDisk, claimant: DataClaimant): DataClaim {
  const isNamed = (serial: string | undefined) => found.serial !== "" && found.serial === serial;
  if (found.state === "labelled") {
    const owner = ownerIn(found.owner);
    if (found.owner === "none") return "nobody";
    const stacks = [claimant.stack, claimant.formerStack];
    if (owner && owner.node === claimant.node && stacks.includes(owner.stack)) return "own";
    return isReadable(found) && isNamed(claimant.adoptDiskSerial) ? "adopted" : "refused";
  }
  if (["missing", "elsewhere"].includes(found.state) || found.kept !== "") return "refused";
  if (found.state === "blank") return "blank";
  return isNamed(claimant.wipeDataDiskSerial) ? "wipeable" : "refused";
}

/** Why a data disk is refused, and what to do about it. */
export function dataRefusalOf(device: string, found: FoundDataDisk, claimant: DataClaimant): Problem {
  const { node, wipeDataDiskSerial: named } = claimant;
  const { real, serial, kept } = found;
  const keys = { disk: `nodes.${node}.dataDisk`, serial: `nodes.${node}.wipeDataDiskSerial` };
  if (found.state === "missing") {
    return {
      what: `there is no data disk ${device}, and no disk with the label of one`,
      advice: `list disks there with \`ls -l /dev/disk/by-id\`, and correct \`${keys.disk}\``,
    };
  }
  const what = `the data disk ${device} (${real})`;
  if (found.state === "elsewhere") {
    return {
      what: `${what} is not the one with the node's data: ${kept}`,
      advice: `name that one in \`${keys.disk}\`, or detach it if its data is not needed`,
    };
  }
  if (found.state === "labelled") return ownerRefusal(what, found, claimant);
  const refusal = `${what} is not empty (${found.state}), and is left as it is`;
  return notErased({ what: refusal, keys, named, serial, kept });
}

function ownerRefusal(disk: string, found: FoundDataDisk, { node, adoptDiskSerial }: DataClaimant): Problem {
  const { owner, real, serial } = found;
  if (!isReadable(found)) {
    return {
      what: `${disk} has the label of our data, but ${owner}; it is left as it is`,
      advice: `see \`dmesg\` there, and check its file system (\`fsck ${real}\`, or \`xfs_repair ${real}\`); replace a disk that is broken`,
    };
  }
  const key = `nodes.${node}.adoptDiskSerial`;
  const what = `${disk} holds ${dataContentOf(found)}, and is left as it is; ${numberOf(serial)}`;
  if (serial !== "" && adoptDiskSerial !== undefined) {
    return {
      what: `${what}, not the one of \`${key}\` (${adoptDiskSerial})`,
      advice: `look which of the two is meant, and correct \`nodes.${node}.dataDisk\` or \`${key}\``,
    };
  }
  const how =
    serial === ""
      ? `mount it there and remove ${OWNER_FILE} from it`
      : `set \`${key}\` to ${JSON.stringify(serial)}`;
  return {
    what,
    advice: `if this node is to have that data, ${how}, which erases nothing; else name another disk`,
  };
}
