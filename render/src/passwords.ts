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
    '    chpasswd -e < "$passwords"',
    '    mkdir -p "$(dirname "$given")"',
    '    cp "$passwords" "$given"',
    "}",
    "take() {",
    '    if [ "$(systemctl is-system-running)" = stopping ]; then return 0; fi',
    '    [ -f "$given" ] || given=$passwords',
    "    while IFS=: read -r user hash; do",
    '        if grep -qF "$user:$hash:" "$shadow"; then echo "$user:*" | chpasswd -e; fi',
    `        for file in ${userData}; do if [ -f "$file" ]; then forget "$user" "$file"; fi; done`,
    '    done < "$given"',
    '    [ "$given" = "$passwords" ] || rm -f "$given"',
    "}",
    "# The line after a user's name, as cloud-config is rendered: deeper it would be in some file's text.",
    "forget() {",
    '    cp -a "$2" "$2.moorage"',
    `    awk -v "first=  - name: \\"$1\\"" '!(named && /^    passwd: /) { print } { named = ($0 == first) }' "$2" > "$2.moorage"`,
    '    if cmp -s "$2" "$2.moorage"; then rm -f "$2.moorage"; else mv -f "$2.moorage" "$2"; fi',
    "}",
    '"$1"',
  );
}
