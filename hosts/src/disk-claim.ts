/** Whose a disk is, decided on the live installer before anything is written to it. Shared shell functions. */
import type { Problem } from "./problem";
import { INSTALL_MARKER } from "./rendered";

/** Where an installation in progress leaves its traces on the live installer; gone with its reboot. */
export const INSTALL_FOLDER = "/run/moorage/install";

/** File system label of a data disk that is ours, unless its node's inputs say another. */
export const DATA_LABEL = "moorage-data";

/**
 * `disk_state DEVICE` prints `missing`, `blank`, `ours` (an installation of ours, whole or begun) or what was found.
 * An installation of ours holds `INSTALL_MARKER` on one of its file systems; Fedora CoreOS has each version's /etc in an
 * ostree.
 * `disk_parts DEVICE` prints it and its partitions, by lsblk: by its name alone `nvme0n10` might be one of `nvme0n1`.
 * `disk_serial DEVICE` prints the serial number that the kernel knows of it, or nothing.
 * `disk_data DEVICE LABEL` says which part of it holds a data disk's file system (LABEL), or nothing.
 * `disk_kept DEVICE` prints why else it is not to be erased, whoever asks: it is mounted, or something is built on it;
 * nothing where it may be.
 */
export const diskStateFunction = `
disk_parts() {
  printf '%s\\n' "$1"
  lsblk -nr -o NAME,TYPE -- "$1" 2>/dev/null | while read -r name type; do
    if [ "$type" = part ]; then printf '/dev/%s\\n' "$name"; fi
  done
}
disk_state() {
  real=$(readlink -f -- "$1") || real=
  if [ ! -b "$real" ]; then echo missing; return 0; fi
  if [ "$(cat ${INSTALL_FOLDER}/disk 2>/dev/null)" = "$1" ]; then echo ours; return 0; fi
  found=$(blkid -p -o export -- "$real" 2>/dev/null) && rc=0 || rc=$?
  if [ "$rc" -eq 2 ] && [ -z "$found" ]; then echo blank; return 0; fi
  directory=$(mktemp -d)
  for part in $(disk_parts "$real"); do
    if mount -o ro -- "$part" "$directory" 2>/dev/null; then
      mine=no
      for each in "$directory" "$directory"/ostree/deploy/*/deploy/*; do
        if [ -f "$each${INSTALL_MARKER}" ]; then mine=yes; fi
      done
      umount -- "$directory"
      if [ "$mine" = yes ]; then rmdir "$directory"; echo ours; return 0; fi
    fi
  done
  rmdir "$directory"
  kind=$(printf '%s\\n' "$found" | grep -E '^(TYPE|PTTYPE|LABEL)=' | tr '\\n' ' ')
  echo "\${kind:-signatures blkid cannot tell apart}"
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

/**
 * Whether an installation may take the disk: blank or ours, or named as erasable by its serial number. With a data disk's
 * file system on it, it may not, whoever installed it.
 */
export function claimOf(found: FoundDisk, erasable: string | undefined): "free" | "erasable" | "refused" {
  if (found.data !== "") return "refused";
  if (found.state === "blank" || found.state === "ours") return "free";
  const named = found.serial !== "" && found.serial === erasable;
  return named && found.state !== "missing" && found.kept === "" ? "erasable" : "refused";
}

/** Why a disk is refused, and what to do about it. `node` is the name that the configuration has for it. */
export function refusalOf(node: string, found: FoundDisk, erasable: string | undefined): Problem {
  const { disk, real = disk, serial } = found;
  const state = found.state === "ours" ? "an installation of ours" : found.state.trim() || "unknown";
  const kept = found.data || found.kept;
  if (state === "missing") {
    return {
      what: `there is no disk ${disk}`,
      advice: "list them there with `lsblk`, and correct the node's `disk`",
    };
  }
  const number = serial === "" ? "it shows no serial number" : `its serial number is ${serial}`;
  const what = `the disk ${disk} is not empty (${state}), and is left as it is; ${number}`;
  const byHand = `run \`wipefs -a ${real}\` there`;
  if (kept !== "") {
    return {
      what: `${what}; ${kept}, and such a disk is never erased`,
      advice: "name another disk; if this one is meant, and nothing on it is needed, undo that there by hand",
    };
  }
  if (serial === "") return { what, advice: `if nothing on it is needed, ${byHand}; else name another disk` };
  if (erasable !== undefined) {
    return {
      what: `${what}, not the one of \`erasableDisk\` (${erasable})`,
      advice: `look which of the two is meant, and correct \`nodes.${node}.disk\` or \`nodes.${node}.erasableDisk\``,
    };
  }
  return {
    what,
    advice: `if nothing on it is needed, set \`nodes.${node}.erasableDisk\` to ${JSON.stringify(serial)}, or ${byHand}; else name another disk`,
  };
}
