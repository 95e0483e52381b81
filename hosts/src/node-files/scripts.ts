/** Shell scripts that put a node's files in place and read them back. Contents travel as base64 by standard input. */
import type { Apply, ManagedFile } from "@moorage/render";
import type { NodeFilesOutputs, RecordedUnit } from "../contract";
import { quote } from "../ssh/quote";
import { ABSENCE_FILE } from "../swarm/absence";

/** What a shared file was before is kept under its own name and this. */
export const KEPT = ".before-moorage";
export const UNIT_FOLDER = "/etc/systemd/system";

/** One file as it is put on the node, with what a change of it takes. */
export interface Placed {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  readonly owner: string;
  readonly apply: Apply;
  /** systemd must read its units again. */
  readonly unit: boolean;
  /** Its owner has keys in it, too. */
  readonly shared: boolean;
}

/** Every file of a part: its own, its units' texts and their drop-ins. */
export function placedFiles({ files, units }: Pick<NodeFilesOutputs, "files" | "units">): Placed[] {
  const plain = Object.entries(files).map(([path, file]) => placedFile(path, file));
  return [...plain, ...Object.entries(units).flatMap(([name, unit]) => placedUnit(name, unit))];
}

function placedFile(path: string, { content, mode, owner, apply, shared }: ManagedFile): Placed {
  return {
    path,
    content,
    mode,
    owner: owner ?? "root:root",
    apply,
    unit: false,
    shared: shared === true,
  };
}

function placedUnit(name: string, unit: RecordedUnit): Placed[] {
  const apply: Apply = unit.apply ?? { action: "restart", unit: name };
  const placed = (path: string, content: string): Placed => ({
    path,
    content,
    mode: 0o644,
    owner: "root:root",
    apply,
    unit: true,
    shared: false,
  });
  const dropIns = Object.entries(unit.dropIns ?? {}).map(([dropIn, content]) =>
    placed(dropInPath(name, dropIn), content),
  );
  return unit.content === undefined ? dropIns : [placed(unitPath(name), unit.content), ...dropIns];
}

export function unitPath(name: string): string {
  return `${UNIT_FOLDER}/${name}`;
}

export function dropInPath(name: string, dropIn: string): string {
  return `${UNIT_FOLDER}/${name}.d/${dropIn}`;
}

/** One line a pending action: `reload UNIT`, `restart UNIT`, `reboot`, `daemon-reload`. */
function pendingLines({ apply, unit }: Placed): string[] {
  const own =
    apply.action === "none" ? [] : apply.action === "reboot" ? ["reboot"] : [`${apply.action} ${apply.unit}`];
  return unit ? ["daemon-reload", ...own] : own;
}

/** What leaves takes the same as what comes, unless the unit that would be told of it leaves as well. */
export function leavesWithItsUnit({ apply }: Placed, goneUnits: readonly string[]): boolean {
  return (apply.action === "restart" || apply.action === "reload") && goneUnits.includes(apply.unit);
}

const pendingPath = (part: string) => `/run/moorage/pending-${part}`;

/** Whoever only looks notes what it would take elsewhere, beside what an interrupted run has left to do. */
const lookingAt = (part: string) => `
looking=yes
pending=$(mktemp /run/moorage/look-XXXXXX)
trap 'rm -f "$pending" "$pending.new"' EXIT
cat ${pendingPath(part)} >> "$pending" 2>/dev/null || :
`;

const prelude = (part: string, looking: boolean) => `
set -eu
mkdir -p /run/moorage
looking= pending=${pendingPath(part)}
${looking ? lookingAt(part) : 'touch "$pending"'}
same() { [ -f "$2" ] && [ ! -L "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c '%a %U:%G' "$2")" = "$3 $4" ]; }
# What the change takes is noted before the change, so that an interruption forgets none of it; who only looks stops there.
noted() { printf '%s' "$actions" >> "$pending"; [ -z "$looking" ]; }
place() {
  path=$1 mode=$2 owner=$3 actions=$4
  temporary="$(dirname "$path")/.moorage-$$"
  if [ -n "$looking" ]; then temporary=$pending.new; else mkdir -p "$(dirname "$path")"; fi
  ( umask 077; base64 -d > "$temporary" ) || { rm -f "$temporary"; echo "$path cannot be written" >&2; return 1; }
  if same "$temporary" "$path" "$mode" "$owner"; then rm -f "$temporary"; return 0; fi
  if [ -n "$looking" ]; then noted || return 0; fi
  if ! chown "$owner" "$temporary" || ! chmod "$mode" "$temporary"; then rm -f "$temporary"; return 1; fi
  noted
  if [ -d "$path" ] && [ ! -L "$path" ]; then echo "$path is a folder" >&2; rm -f "$temporary"; return 1; fi
  mv -f "$temporary" "$path"
  if command -v restorecon >/dev/null; then restorecon "$path" || :; fi
  printf 'changed %s\\n' "$path"
}
# On an ostree the distribution's own files of /etc lie in /usr/etc, too, and come back from there.
is_theirs() { case "$1" in /etc/*) [ -e /run/ostree-booted ] && [ -f "/usr$1" ] ;; *) false ;; esac; }
discard() {
  path=$1 actions=$2
  if is_theirs "$path"; then
    if [ -f "$path" ] && cmp -s "/usr$path" "$path"; then return 0; fi
    noted || return 0
    temporary="$(dirname "$path")/.moorage-$$"
    mkdir -p "$(dirname "$path")"
    cp -a "/usr$path" "$temporary"
    mv -f "$temporary" "$path"
    if command -v restorecon >/dev/null; then restorecon "$path" || :; fi
    printf 'changed %s\\n' "$path"
    return 0
  fi
  if [ ! -e "$path" ] && [ ! -L "$path" ]; then return 0; fi
  noted || return 0
  rm -f "$path"
  rmdir "$(dirname "$path")" 2>/dev/null || :
  printf 'removed %s\\n' "$path"
}
# What the owner had, from before the first change on; an empty file stands for none.
keep() {
  kept=$1${KEPT}
  if [ -n "$looking" ] || [ -e "$kept" ] || [ -L "$kept" ]; then return 0; fi
  mkdir -p "$(dirname "$1")"
  if [ -e "$1" ]; then cp -a "$1" "$kept.new"; else ( umask 077; : > "$kept.new" ); fi
  mv -f "$kept.new" "$kept"
}
restore() {
  path=$1 actions=$2
  noted || return 0
  mv -f "$path${KEPT}" "$path"
  printf 'changed %s\\n' "$path"
}
forget() { [ -n "$looking" ] || rm -f "$1${KEPT}"; }
`;

/** What is to happen to a file that a part no longer has: `restore` puts back the kept one as it was. */
export interface Left {
  readonly file: Placed;
  readonly how: "discard" | "restore" | "place";
}

/** All that is to be done to the files of a part. */
export interface Placing {
  readonly part: string;
  readonly wanted: readonly Placed[];
  readonly left: readonly Left[];
  /** Units of ours that leave. */
  readonly goneUnits: readonly string[];
}

/** Places and removes; prints what changed, then the actions that are pending, this time's and an interrupted one's. */
export function applyScript(placing: Placing): string {
  const stops = placing.goneUnits.map((name) => `systemctl disable --now ${quote(name)} >&2 2>&1 || :`);
  const tidy = 'if [ ! -s "$pending" ]; then rm -f "$pending"; fi';
  return [prelude(placing.part, false), ...stops, ...changes(placing), report, tidy].join("\n");
}

/** Prints what would be pending after that, and the state of units, and changes nothing. */
export function lookScript(placing: Placing, units: readonly string[]): string {
  const states = units.map((name) => `state ${quote(name)}`);
  return [prelude(placing.part, true), ...changes(placing), report, unitStateFunction, ...states].join("\n");
}

const report = `sed 's/^/pending /' "$pending" | sort -u
if [ -e ${ABSENCE_FILE} ]; then echo "pending out-of-service"; fi`;

function changes({ wanted, left, goneUnits }: Placing): string[] {
  const places = wanted.flatMap((file) => [
    ...(file.shared ? [`keep ${quote(file.path)}`] : []),
    placeLine(file),
  ]);
  return [...left.flatMap((one) => leaveLines(one, goneUnits)), ...places];
}

function placeLine(file: Placed): string {
  const content = Buffer.from(file.content, "utf8").toString("base64");
  const { path, mode, owner } = file;
  return `place ${quote(path)} ${mode.toString(8)} ${quote(owner)} ${actionsOf(file)} <<'MOORAGE_END'\n${content}\nMOORAGE_END`;
}

function leaveLines({ file, how }: Left, goneUnits: readonly string[]): string[] {
  const leaving: Placed = leavesWithItsUnit(file, goneUnits) ? { ...file, apply: { action: "none" } } : file;
  const path = quote(file.path);
  const forget = file.shared ? [`forget ${path}`] : [];
  switch (how) {
    case "discard":
      return [`discard ${path} ${actionsOf(leaving)}`, ...forget];
    case "restore":
      return [`restore ${path} ${actionsOf(leaving)}`];
    case "place":
      return [placeLine(leaving), ...forget];
  }
}

const actionsOf = (file: Placed) =>
  quote(
    pendingLines(file)
      .map((line) => `${line}\n`)
      .join(""),
  );

export const forgetPending = (part: string) => `rm -f ${pendingPath(part)}`;

/** Prints one line a path: `file PATH MODE OWNER BASE64`, one a unit, see `state`, and `out-of-service`. */
export function readScript(paths: readonly string[], units: readonly string[]): string {
  return `
show() {
  [ -f "$1" ] || return 0
  printf 'file %s %s %s\\n' "$1" "$(stat -c '%a %U:%G' "$1")" "$(base64 -w 0 < "$1")"
}
${unitStateFunction}
${paths.map((path) => `show ${quote(path)}`).join("\n")}
${units.map((name) => `state ${quote(name)}`).join("\n")}
if [ -e ${ABSENCE_FILE} ]; then echo out-of-service; fi
`;
}

/**
 * A oneshot that ended well, or whose conditions did not hold, counts as active: it did what it is for. The last word is
 * another one whenever the unit has been started since.
 */
export const unitStateFunction = `
state() {
  enabled=no active=no
  case "$(systemctl is-enabled "$1" 2>/dev/null || :)" in enabled|enabled-runtime|static|alias|indirect|generated) enabled=yes ;; esac
  Type= ActiveState= Result= ConditionResult= ConditionTimestampMonotonic=0 LoadState= ActiveEnterTimestampMonotonic=0
  properties=$(systemctl show "$1" -p Type -p ActiveState -p Result -p ConditionResult -p ConditionTimestampMonotonic -p LoadState -p ActiveEnterTimestampMonotonic || :)
  for line in $properties; do
    case "$line" in
      Type=*) Type=\${line#*=} ;; ActiveState=*) ActiveState=\${line#*=} ;; Result=*) Result=\${line#*=} ;;
      ConditionResult=*) ConditionResult=\${line#*=} ;; LoadState=*) LoadState=\${line#*=} ;;
      ConditionTimestampMonotonic=*) ConditionTimestampMonotonic=\${line#*=} ;;
      ActiveEnterTimestampMonotonic=*) ActiveEnterTimestampMonotonic=\${line#*=} ;;
    esac
  done
  case "$ActiveState" in
    active|reloading) active=yes ;;
    activating) active=soon ;;
    failed) active=failed ;;
    inactive)
      if [ "$Type" = oneshot ] && [ "$Result" = success ] && [ "\${ConditionTimestampMonotonic:-0}" != 0 ]; then active=yes; fi
      if [ "$ConditionResult" = no ] && [ "\${ConditionTimestampMonotonic:-0}" != 0 ]; then active=yes; fi ;;
  esac
  printf 'unit %s %s %s %s %s\\n' "$1" "$enabled" "$active" "\${LoadState:-unknown}" "\${ActiveEnterTimestampMonotonic:-0}"
}
`;
