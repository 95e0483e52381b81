/** Whose a disk is, decided on the live installer before anything is written to it. Shared shell functions. */

/** Where an installation in progress leaves its traces on the live installer; gone with its reboot. */
export const INSTALL_FOLDER = "/run/moorage/install";

/**
 * `disk_state DEVICE` prints `missing`, `blank`, `ours` (an installation of ours, whole or begun) or what was found.
 * An installation of ours holds `/etc/moorage/install.json` on one of its file systems.
 */
export const diskStateFunction = `
disk_state() {
  real=$(readlink -f -- "$1") || real=
  if [ ! -b "$real" ]; then echo missing; return 0; fi
  if [ "$(cat ${INSTALL_FOLDER}/disk 2>/dev/null)" = "$1" ]; then echo ours; return 0; fi
  found=$(blkid -p -o export -- "$real" 2>/dev/null) && rc=0 || rc=$?
  if [ "$rc" -eq 2 ] && [ -z "$found" ]; then echo blank; return 0; fi
  parts="$real"
  for part in "$real"?* ; do
    case "$part" in "$real"[0-9]*|"$real"p[0-9]*) if [ -b "$part" ]; then parts="$parts $part"; fi ;; esac
  done
  directory=$(mktemp -d)
  for part in $parts; do
    if mount -o ro -- "$part" "$directory" 2>/dev/null; then
      mine=no
      if [ -f "$directory/etc/moorage/install.json" ]; then mine=yes; fi
      umount -- "$directory"
      if [ "$mine" = yes ]; then rmdir "$directory"; echo ours; return 0; fi
    fi
  done
  rmdir "$directory"
  kind=$(printf '%s\\n' "$found" | grep -E '^(TYPE|PTTYPE|LABEL)=' | tr '\\n' ' ')
  echo "\${kind:-signatures blkid cannot tell apart}"
}
`;
