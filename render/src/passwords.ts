/** Passwords of a node's users, kept as the configuration has them. */
import type { NodeFiles } from "./model";
import { lines, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

const path = "/etc/moorage/passwords";
const scriptPath = "/etc/moorage/set-passwords";
const unit = "moorage-passwords.service";

/** `passwordHash` is secret. Without users there is nothing. */
export function passwordFiles(
  users: readonly { readonly name: string; readonly passwordHash: string }[],
): NodeFiles {
  if (users.length === 0) {
    return { files: {}, units: {} };
  }
  return {
    files: {
      [path]: {
        content: lines(...users.map(({ name, passwordHash }) => `${word(name, "user")}:${passwordHash}`)),
        mode: 0o600,
        apply: { action: "restart", unit },
      },
      // Read anew each time it is run.
      [scriptPath]: { content: renderSetPasswords(), mode: 0o755, apply: { action: "none" } },
    },
    units: {
      [unit]: {
        content: renderUnit({
          // A cloud-config sets the passwords that it was installed with on every boot.
          Unit: { Description: "Sets the users' passwords", After: "user-config.target" },
          Service: {
            Type: "oneshot",
            RemainAfterExit: true,
            ExecStart: unitCommand(["/bin/sh", scriptPath, "give"]),
            ExecStop: unitCommand(["/bin/sh", scriptPath, "take"]),
          },
          Install: { WantedBy: "multi-user.target" },
        }),
        enabled: true,
      },
    },
  };
}

export interface SetPasswordsArgs {
  /** Each user's hash, a line each. @default "/etc/moorage/passwords" */
  readonly passwords?: string;
  /** Of what was given since the boot. @default "/run/moorage/passwords" */
  readonly given?: string;
  /** @default "/etc/shadow" */
  readonly shadow?: string;
  /** Where user data lies that is applied at every boot. @default by distribution, where the installers put it */
  readonly userData?: readonly string[];
}

const cloudConfigs = ["/var/lib/flatcar-install/user_data", "/var/lib/coreos-install/user_data"];

/**
 * Those that were given are taken before others are, and when the unit leaves the node; out of the user data as well, which
 * would set them again at the next boot. Not when the node goes down: a console is of use at a boot that fails.
 */
export function renderSetPasswords(args: SetPasswordsArgs = {}): string {
  const { passwords = path, given = "/run/moorage/passwords", shadow = "/etc/shadow" } = args;
  const userData = (args.userData ?? cloudConfigs).map((one) => word(one, "file")).join(" ");
  return lines(
    "#!/bin/sh",
    "# Gives users their passwords, and takes those that it gave, unless somebody has set others meanwhile.",
    "set -eu",
    `passwords=${word(passwords, "file")} given=${word(given, "file")} shadow=${word(shadow, "file")}`,
    "umask 077",
    "give() {",
    "    # What could not be taken when it was to be. As long as that is so, this fails: somebody has a password too many.",
    '    if [ -f "$given" ] && ! take_noted; then tell; return 1; fi',
    '    chpasswd -e < "$passwords"',
    '    note "$passwords"',
    "}",
    "take() {",
    '    if [ "$(systemctl is-system-running)" = stopping ]; then return 0; fi',
    '    [ -f "$given" ] || note "$passwords"',
    "    # Somebody else may be writing to the users' files.",
    "    for again in yes yes no; do",
    "        if take_noted; then return 0; fi",
    '        if [ "$again" = yes ]; then sleep 2; fi',
    "    done",
    "    tell",
    "    return 1",
    "}",
    'note() { mkdir -p "$(dirname "$given")" && cp "$1" "$given"; }',
    `tell() { echo "passwords that could not be taken: $(cut -d : -f 1 "$given" | tr '\\n' ' ')" >&2; }`,
    "# One that cannot be taken stays noted, and the others are taken.",
    "take_noted() {",
    '    : > "$given.left" || return',
    "    while IFS=: read -r user hash; do",
    '        take_one "$user" "$hash" || printf "%s:%s\\n" "$user" "$hash" >> "$given.left"',
    '    done < "$given"',
    '    if [ -s "$given.left" ]; then mv -f "$given.left" "$given"; return 1; fi',
    '    rm -f "$given.left" "$given"',
    "}",
    "# By a builtin and a pipe, as everybody reads what stands on a command line.",
    "take_one() {",
    `    if printf '%s:%s:\\n' "$1" "$2" | grep -qFf - "$shadow"; then`,
    '        echo "$1:*" | chpasswd -e || return',
    "    elif [ $? -gt 1 ]; then",
    "        return 1",
    "    fi",
    `    for file in ${userData}; do`,
    '        if [ -f "$file" ]; then forget "$1" "$file" || { rm -f "$file.moorage"; return 1; }; fi',
    "    done",
    "}",
    "# The line after a user's name, as cloud-config is rendered: deeper it would be in some file's text.",
    "forget() {",
    '    cp -a "$2" "$2.moorage" &&',
    `        awk -v "first=  - name: \\"$1\\"" '!(named && /^    passwd: /) { print } { named = ($0 == first) }' "$2" > "$2.moorage" &&`,
    '        if cmp -s "$2" "$2.moorage"; then rm -f "$2.moorage"; else mv -f "$2.moorage" "$2"; fi',
    "}",
    '"$1"',
  );
}
