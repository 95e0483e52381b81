/** Whose a disk is, decided on the live installer before anything is written to it. Shared shell functions. */
import type { Problem } from "./problem";
import { INSTALL_MARKER, installMarkIn, type InstallMark } from "./rendered";

/** Where an installation in progress leaves its traces on the live installer; gone with its reboot. */
export const INSTALL_FOLDER = "/run/moorage/install";

/** File system label of a data disk that is ours, unless its node's inputs say another. */
export const DATA_LABEL = "moorage-data";

/**
 * `disk_ends DEVICE` prints `zero`, `written`, or why its first or last MiB cannot be read.
 * `disk_content DEVICE` prints `blank` or what was found. blkid finds nothing on encrypted disks, and on ones that cannot be
 * read, so `blank` takes more: both ends can be read and are zero, no other device is built on it, and nothing of it is mounted.
 * `disk_state DEVICE` prints `missing`, `blank`, `installation MARK` (of this program's, whole or begun) or what was found.
 * An installation holds `INSTALL_MARKER` on one of its file systems; what that says is its mark. Fedora CoreOS has each
 * version's /etc in an ostree.
 * `disk_parts DEVICE` prints it and its partitions, by lsblk: by its name alone `nvme0n10` might be one of `nvme0n1`.
 * `disk_serial DEVICE` prints the serial number that the kernel knows of it, or nothing.
 * `disk_data DEVICE LABEL` says which part of it holds a data disk's file system (LABEL), or nothing.
 * `disk_kept DEVICE` prints why else it is not to be erased, whoever asks: it is mounted, something is built on it, or it
 * cannot be read, so that it may hold a data disk's file system; nothing where it may be.
 */
export const diskStateFunction = `
disk_parts() {
  printf '%s\\n' "$1"
  lsblk -nr -o NAME,TYPE -- "$1" 2>/dev/null | while read -r name type; do
    if [ "$type" = part ]; then printf '/dev/%s\\n' "$name"; fi
  done
}
disk_ends() {
  size=$(blockdev --getsize64 "$1" 2>/dev/null) || size=0
  length=1048576
  if [ "$size" -lt "$length" ]; then length=$size; fi
  if [ "$length" -eq 0 ]; then echo "the size of $1 is unknown"; return 0; fi
  file=$(mktemp)
  content=zero
  for end in first last; do
    at=0
    if [ "$end" = last ]; then at=$((size - length)); fi
    if ! dd if="$1" of="$file" bs=65536 count="$length" skip="$at" iflag=count_bytes,skip_bytes,fullblock 2>/dev/null ||
      [ "$(wc -c < "$file")" -ne "$length" ]; then
      content="the $end MiB of $1 cannot be read, see dmesg"
      break
    fi
    if [ "$(tr -d '\\0' < "$file" | wc -c)" -ne 0 ]; then content=written; fi
  done
  rm -f "$file"
  printf '%s\\n' "$content"
}
disk_content() {
  said=$(mktemp)
  found=$(blkid -p -o export -- "$1" 2>"$said") && rc=0 || rc=$?
  errors=$(head -c 300 "$said" | tr '\\n' ' ')
  rm -f "$said"
  kind=$(printf '%s\\n' "$found" | grep -E '^(TYPE|PTTYPE|LABEL)=' | tr '\\n' ' ')
  ends=$(disk_ends "$1")
  holders=$(ls "/sys/dev/block/$(mountpoint -x -- "$1")/holders" 2>/dev/null) || holders='something unknown'
  if [ -n "$kind" ]; then printf '%s\\n' "$kind"
  elif [ "$rc" -eq 8 ]; then echo 'signatures of several file systems'
  elif [ "$ends" = written ]; then echo 'content without a known signature, maybe encrypted'
  elif [ "$ends" != zero ]; then printf '%s\\n' "$ends"
  elif [ -n "$holders" ]; then printf '%s ' 'in use by' $holders
  elif [ "$rc" -ne 2 ] || [ -n "$errors$found" ]; then printf '%s ' "blkid cannot tell (exit code $rc):" $errors $found
  else
    kept=$(disk_kept "$1")
    printf '%s\\n' "\${kept:-blank}"
  fi
}
disk_installation() { printf 'installation %s\\n' "$(head -c 1000 -- "$1" | tr -d '[:cntrl:]')"; }
disk_state() {
  real=$(readlink -f -- "$1") || real=
  if [ ! -b "$real" ]; then echo missing; return 0; fi
  if [ "$(cat ${INSTALL_FOLDER}/disk 2>/dev/null)" = "$1" ]; then
    if [ -f ${INSTALL_FOLDER}/mark ]; then disk_installation ${INSTALL_FOLDER}/mark
    else printf 'installation {"installHash":"%s"}\\n' "$(cat ${INSTALL_FOLDER}/hash 2>/dev/null)"
    fi
    return 0
  fi
  content=$(disk_content "$real")
  if [ "$content" = blank ]; then echo blank; return 0; fi
  directory=$(mktemp -d)
  for part in $(disk_parts "$real"); do
    if mount -o ro -- "$part" "$directory" 2>/dev/null; then
      said=
      for mark in "$directory${INSTALL_MARKER}" "$directory"/ostree/deploy/*/deploy/*${INSTALL_MARKER}; do
        if [ -f "$mark" ]; then said=$(disk_installation "$mark"); break; fi
      done
      umount -- "$directory"
      if [ -n "$said" ]; then rmdir "$directory"; printf '%s\\n' "$said"; return 0; fi
    fi
  done
  rmdir "$directory"
  printf '%s\\n' "$content"
}
disk_serial() {
  lsblk -dn -o SERIAL -- "$(readlink -f -- "$1")" 2>/dev/null | sed 's/^ *//; s/ *$//' | head -n 1
}
disk_data() {
  for part in $(disk_parts "$(readlink -f -- "$1")"); do
    if [ "$(blkid -p -s LABEL -o value -- "$part" 2>/dev/null)" = "$2" ]; then echo "$part is a data disk (label $2)"; return 0; fi
  done
}
disk_kept() {
  real=$(readlink -f -- "$1") || real=
  for part in $(disk_parts "$real"); do
    ends=$(disk_ends "$part")
    case "$ends" in zero|written) ;; *) printf '%s\\n' "$ends"; return 0 ;; esac
    member=$(blkid -p -s TYPE -o value -- "$part" 2>/dev/null || :)
    case "$member" in LVM2_member|*_raid_member|zfs_member)
      echo "$part is part of a volume ($member)"; return 0 ;;
    esac
  done
  lsblk -nr -o TYPE,MOUNTPOINT -- "$real" 2>/dev/null | while read -r type mountpoint; do
    if [ -n "$mountpoint" ]; then echo "it is mounted there on $mountpoint"; break; fi
    case "$type" in disk|part|loop|rom) ;; *) echo "a volume of type $type is built on it"; break ;; esac
  done
}
`;

/** A disk as the scripts above found it. */
export interface FoundDisk {
  /** As configured. */
  readonly disk: string;
  /** What it is there, such as `/dev/sda`. */
  readonly real?: string;
  /** What `disk_state` printed. */
  readonly state: string;
  readonly serial: string;
  /** Which part of it is a data disk, in words, or nothing. */
  readonly data: string;
  readonly kept: string;
}

/** Who wants a disk. */
export interface Claimant {
  /** Its name in the configuration. */
  readonly node: string;
  /** `project/stack`. */
  readonly stack?: string;
  /**
   * Digests that this stack is known to have installed the node with, or is about to. A digest covers the node's host
   * key, so that it is no other stack's.
   */
  readonly installHashes: readonly (string | undefined)[];
  /** Whether who knows more digests judges an installation that names no stack. */
  readonly leavesUnnamed?: boolean;
  /** Serial number of the disk that may be erased, whatever is on it. */
  readonly erasableDisk?: string;
}

/** The mark of the installation that a disk holds; undefined where there is none. */
function installationOn({ state }: Pick<FoundDisk, "state">): InstallMark | undefined {
  const [, mark] = /^installation (.*)$/.exec(state.trim()) ?? [];
  return mark === undefined ? undefined : installMarkIn(mark);
}

function isOurs({ installHash, stack, node }: InstallMark, claimant: Claimant): boolean {
  if (installHash && claimant.installHashes.includes(installHash)) return true;
  if (stack === undefined) return claimant.leavesUnnamed === true;
  return stack === claimant.stack && node === claimant.node;
}

/** What is on a disk. */
export function contentOf(found: Pick<FoundDisk, "state">): string {
  const mark = installationOn(found);
  if (mark === undefined) return found.state.trim() || "unknown";
  const { stack, node = "no node" } = mark;
  return stack === undefined ? "an installation that names no stack" : `${node} of stack ${stack}`;
}

/**
 * Whether an installation may take the disk: blank, or holding one of this very node and stack, or named as erasable by its
 * serial number. With a data disk's file system on it, it may not, whoever installed it.
 */
export function claimOf(found: FoundDisk, claimant: Claimant): "free" | "erasable" | "refused" {
  if (found.data !== "") return "refused";
  const mark = installationOn(found);
  if (found.state === "blank" || (mark && isOurs(mark, claimant))) return "free";
  const named = found.serial !== "" && found.serial === claimant.erasableDisk;
  return named && found.state !== "missing" && found.kept === "" ? "erasable" : "refused";
}

/** Why a disk is refused, and what to do about it. */
export function refusalOf(found: FoundDisk, { node, erasableDisk: named }: Claimant): Problem {
  const { disk } = found;
  if (found.state === "missing") {
    return {
      what: `there is no disk ${disk}`,
      advice: "list them there with `lsblk`, and correct the node's `disk`",
    };
  }
  const what = `the disk ${disk} is not empty (${contentOf(found)}), and is left as it is`;
  const look = installationOn(found) ? "look whether this is the machine that is meant; " : "";
  const keys = { disk: `nodes.${node}.disk`, serial: `nodes.${node}.erasableDisk` };
  return notErased({ what, look, keys, named, serial: found.serial, kept: found.data || found.kept });
}

/** A disk that is not empty, and by which key of the configuration it may be erased all the same. */
interface NotErased {
  readonly what: string;
  /** What comes before the advice. */
  readonly look?: string;
  readonly keys: { readonly disk: string; readonly serial: string };
  /** The serial number that the configuration names. */
  readonly named?: string;
  readonly serial: string;
  readonly kept: string;
}

export function notErased({ what: found, look = "", keys, named, serial, kept }: NotErased): Problem {
  const what = `${found}; ${numberOf(serial)}`;
  const byHand = 'empty it there by hand (docs/metal.md, "The disks")';
  if (kept !== "") {
    return {
      what: `${what}; ${kept}, and such a disk is never erased`,
      advice: "name another disk; if this one is meant, and nothing on it is needed, undo that there by hand",
    };
  }
  if (serial === "")
    return { what, advice: `${look}if nothing on it is needed, ${byHand}; else name another disk` };
  if (named !== undefined) {
    return {
      what: `${what}, not the one of \`${keys.serial}\` (${named})`,
      advice: `look which of the two is meant, and correct \`${keys.disk}\` or \`${keys.serial}\``,
    };
  }
  return {
    what,
    advice: `${look}if nothing on it is needed, set \`${keys.serial}\` to ${JSON.stringify(serial)}, or ${byHand}; else name another disk`,
  };
}

export function numberOf(serial: string): string {
  return serial === "" ? "it shows no serial number" : `its serial number is ${serial}`;
}
