/** The folder for objects on a host that gives no disk away: looked at by a shell function, and judged here. */
import type { Problem } from "../problem";

/** What a host said of it. */
export interface DataFolder {
  readonly kind: "missing" | "other" | "folder";
  readonly uid: number;
  readonly gid: number;
  /** The permission bits. */
  readonly mode: number;
  readonly owner: string;
  /** Where the file system is mounted that it lies on. */
  readonly mount: string;
  /** It, or a folder around it, which /etc/fstab says is to be mounted and which is not. */
  readonly unmounted: string;
  readonly freeMiB: number;
  /** Whether there are objects in it already. */
  readonly used: boolean;
}

/** `data_folder FOLDER` says what there is to say, by the function `say`. */
export const dataFolderFunction = `
data_folder() {
  at=$(readlink -m -- "$1" 2>/dev/null) || at=$1
  while [ "$at" != / ] && ! mountpoint -q "$at"; do
    if awk -v at="$at" '$1 !~ /^#/ { sub("/+$", "", $2) } $1 !~ /^#/ && $2 == at { found = 1 } END { exit !found }' /etc/fstab 2>/dev/null
    then say folder_unmounted "$at"; break
    fi
    at=$(dirname "$at")
  done
  if [ ! -e "$1" ]; then say folder missing; return 0; fi
  if [ ! -d "$1" ]; then say folder other; return 0; fi
  say folder "folder $(stat -L -c '%u %g %a %U' -- "$1")"
  say folder_mount "$(df -P -- "$1" | awk 'NR == 2 { print $6 }')"
  say folder_free_mib "$(df -Pm -- "$1" | awk 'NR == 2 { print $4 }')"
  if [ -e "$1/.minio.sys" ]; then say folder_used yes; fi
}`;

/** Nothing where the host was not asked. */
export function parseDataFolder(values: ReadonlyMap<string, string>): DataFolder | undefined {
  const [kind, uid, gid, mode, owner = ""] = values.get("folder")?.split(/\s+/) ?? [];
  if (kind !== "missing" && kind !== "other" && kind !== "folder") return undefined;
  return {
    kind,
    uid: Number(uid),
    gid: Number(gid),
    mode: Number.parseInt(mode ?? "", 8),
    owner,
    mount: values.get("folder_mount") ?? "",
    unmounted: values.get("folder_unmounted") ?? "",
    freeMiB: Number(values.get("folder_free_mib") || "NaN"),
    used: values.get("folder_used") === "yes",
  };
}

/** What is in the way of keeping objects in `path`. */
export function dataFolderProblems(path: string, found: DataFolder, minimumFreeMiB: number): Problem[] {
  if (found.unmounted !== "") {
    const where = found.unmounted === path ? "" : `, in which ${path} lies,`;
    return [
      {
        what: `${found.unmounted}${where} is to be mounted by /etc/fstab, and is not: objects would be kept beneath it`,
        advice: `run \`mount ${found.unmounted}\` there, or take it out of /etc/fstab`,
      },
    ];
  }
  switch (found.kind) {
    case "missing":
      return [
        {
          what: `there is no folder ${path} for objects`,
          advice: "make it there, on a file system of its own, or correct `dataDirectory`",
        },
      ];
    case "other":
      return [
        {
          what: `${path} is no folder, and is to keep objects`,
          advice: "correct the node's `dataDirectory`",
        },
      ];
    case "folder":
      return [...writeProblems(path, found), ...roomProblems(path, found, minimumFreeMiB)];
    default:
      return found.kind satisfies never;
  }
}

/** What one should know of it, and may want. */
export function dataFolderWarning(path: string, { kind, mount, unmounted }: DataFolder): string | undefined {
  if (kind !== "folder" || mount !== "/" || unmounted !== "") return undefined;
  return (
    `objects are kept in ${path}, on the root file system: when they fill it, the system stands still, too. ` +
    "If a file system of its own was to be mounted there, it is not"
  );
}

/** MinIO runs as root, without root's right over what is others'. */
function writeProblems(path: string, { uid, gid, mode, owner }: DataFolder): Problem[] {
  const all = 0o7;
  const granted = uid === 0 ? mode >> 6 : gid === 0 ? mode >> 3 : mode;
  if ((granted & all) === all) return [];
  return [
    {
      what: `${path} is of user ${owner || uid}, with mode ${mode.toString(8)}: MinIO, which is root there with no right over others' files, cannot write to it`,
      advice: `run \`chown root: ${path} && chmod u+rwx ${path}\` there, or name another folder in \`dataDirectory\``,
    },
  ];
}

/** What there is fills it rightly. */
function roomProblems(path: string, { freeMiB, used }: DataFolder, minimumFreeMiB: number): Problem[] {
  if (used || !(freeMiB < minimumFreeMiB)) return [];
  return [
    {
      what: `only ${freeMiB} MiB are free in ${path}, where objects are to be kept, ${minimumFreeMiB} are wanted`,
      advice: "free some space there, or name a folder on another file system in `dataDirectory`",
    },
  ];
}
