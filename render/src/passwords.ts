/** Passwords of a node's users, kept as the configuration has them. */
import type { NodeFiles } from "./model";
import { lines, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

const path = "/etc/moorage/passwords";
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
    },
    units: {
      [unit]: {
        content: renderUnit({
          // A cloud-config sets the passwords that it was installed with on every boot.
          Unit: { Description: "Sets the users' passwords", After: "user-config.target" },
          Service: {
            Type: "oneshot",
            RemainAfterExit: true,
            ExecStart: unitCommand(["/bin/sh", "-c", `exec chpasswd -e < ${path}`]),
          },
          Install: { WantedBy: "multi-user.target" },
        }),
        enabled: true,
      },
    },
  };
}
