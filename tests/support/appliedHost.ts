/** What a host has of what its user data says, read on the host itself. */
import { createHash } from "node:crypto";
import { shellQuote } from "../../toolchain";
import type { Applied } from "./userData";

/** Runs a shell line as root on the host, and gives back what it printed. */
export type AsRoot = (line: string) => Promise<string>;

/** Whatever of `wanted` the host does not have as it was wanted, one line each, sorted. */
export async function differences(wanted: Applied, asRoot: AsRoot): Promise<string[]> {
  const files = filesOf(wanted);
  const units = Object.keys(wanted.units).filter((name) => wanted.units[name]?.enabled !== undefined);
  const output = await asRoot(
    [
      functions,
      ...Object.keys(files).map((path) => `file ${shellQuote(path)}`),
      ...Object.keys(wanted.users).map((name) => `user ${shellQuote(name)}`),
      ...units.map((name) => `unit ${shellQuote(name)}`),
      ...Object.keys(wanted.units).map((name) => `text ${shellQuote(name)}`),
      "host",
    ].join("\n"),
  );
  const found = new Map(
    output.split("\n").flatMap((line) => {
      const [key, value] = line.split("\t");
      return key !== undefined && value !== undefined ? [[key, value] as const] : [];
    }),
  );
  const expected: Record<string, string | undefined> = {
    ...Object.fromEntries(
      Object.entries(files).map(([path, { mode, owner, content }]) => [
        `file ${path}`,
        `${mode.toString(8)} ${owner} ${sha256(content)}`,
      ]),
    ),
    ...Object.fromEntries(Object.keys(wanted.users).flatMap((name) => userLines(name, wanted))),
    ...Object.fromEntries(
      units.map((name) => [
        `unit ${name}`,
        wanted.units[name]?.enabled ? "enabled active" : "disabled inactive",
      ]),
    ),
    ...Object.fromEntries(Object.keys(wanted.units).map((name) => [`text of ${name}`, "as systemd has it"])),
    "host name": wanted.hostname,
    "time zone": wanted.timeZone,
    "update strategy": wanted.updateStrategy,
  };
  return Object.entries(expected)
    .filter(([key, value]) => value !== undefined && found.get(key) !== value)
    .map(([key, value]) => `${key}: ${found.get(key) ?? "nothing"}, wanted ${value}`)
    .sort();
}

/** Files, units' texts and their drop-ins, by path. */
function filesOf({ files, units }: Applied): Applied["files"] {
  const text = (content: string) => ({ mode: 0o644, owner: "root:root", content });
  const folder = "/etc/systemd/system";
  return {
    ...files,
    ...Object.fromEntries(
      Object.entries(units).flatMap(([name, { content, dropIns }]) => [
        ...(content === undefined ? [] : [[`${folder}/${name}`, text(content)] as const]),
        ...Object.entries(dropIns).map(
          ([dropIn, own]) => [`${folder}/${name}.d/${dropIn}`, text(own)] as const,
        ),
      ]),
    ),
  };
}

/** `core` and its groups are the distribution's. */
function userLines(name: string, { users, files }: Applied): (readonly [string, string | undefined])[] {
  const { passwordHash, groups = [], keys = [] } = users[name] ?? {};
  const membership = new RegExp(`^/etc/userdb/${name}:(.+)\\.membership$`);
  const byFiles = Object.keys(files).flatMap((path) => membership.exec(path)?.[1] ?? []);
  const all = new Set([name, ...groups, ...byFiles]);
  return [
    [`groups of ${name}`, name === "core" ? undefined : [...all].sort().join(" ")],
    [`keys of ${name}`, [...keys].sort().join(" | ")],
    [`password of ${name}`, passwordHash === undefined ? undefined : sha256(passwordHash)],
  ];
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Each prints lines of what it is about, a tab, and what there is. */
const functions = `
file() {
  [ -f "$1" ] || return 0
  printf 'file %s\\t%s %s\\n' "$1" "$(stat -c '%a %U:%G' "$1")" "$(sha256sum < "$1" | cut -d ' ' -f 1)"
}
user() {
  home=$(getent passwd "$1" | cut -d : -f 6)
  [ -n "$home" ] || return 0
  printf 'groups of %s\\t%s\\n' "$1" "$(id -Gn "$1" | tr ' ' '\\n' | sort | paste -s -d ' ')"
  keys=$(cat "$home"/.ssh/authorized_keys "$home"/.ssh/authorized_keys.d/* 2>/dev/null | sort -u | paste -s -d '|')
  printf 'keys of %s\\t%s\\n' "$1" "$(echo "$keys" | sed 's/|/ | /g')"
  printf 'password of %s\\t%s\\n' "$1" "$(getent shadow "$1" | cut -d : -f 2 | tr -d '\\n' | sha256sum | cut -d ' ' -f 1)"
}
unit() {
  boot=$(systemctl is-enabled "$1" 2>/dev/null)
  # None of these is started by a boot.
  case "$boot" in static|indirect|masked|not-found|"") boot=disabled ;; esac
  printf 'unit %s\\t%s %s\\n' "$1" "$boot" "$(systemctl is-active "$1")"
}
text() {
  case "$(systemctl show "$1" -p NeedDaemonReload --value)" in no) read='as systemd has it' ;; *) read='to be read again' ;; esac
  printf 'text of %s\\t%s\\n' "$1" "$read"
}
host() {
  printf 'host name\\t%s\\n' "$(cat /etc/hostname)"
  printf 'time zone\\t%s\\n' "$(readlink /etc/localtime | sed 's|.*/zoneinfo/||')"
  printf 'update strategy\\t%s\\n' "$(cat /etc/flatcar/update.conf /etc/coreos/update.conf 2>/dev/null | sed -n 's/^REBOOT_STRATEGY=//p')"
}`;
