/** What a node's SSH server is told: keys alone. Passwords are for the console and for sudo. */
import type { Distribution } from "../model";
import { lines } from "../text";
import type { DescribedFile } from "./description";

/**
 * From the installation on, as are the users and their passwords, and for good: what is put on a node over SSH goes
 * away with the stack, and sshd of Container Linux would not start without its file. Nothing has to be restarted for
 * it, as Flatcar and Container Linux start an SSH server for each connection.
 */
export function sshdFiles(distribution: Distribution): DescribedFile[] {
  return distribution === "coreos"
    ? [{ path: "/etc/ssh/sshd_config", mode: 0o600, content: containerLinux }]
    : [{ path: dropIn, mode: 0o600, content: keysAlone }];
}

/**
 * sshd takes the first value that it reads: the name comes before the distribution's own files, which begin with 40
 * (Fedora CoreOS, where passwords are refused anyway) and 50 (Flatcar). Flatcar reads the folder from alpha 3745.0.0 of
 * October 2023 on, stable 3815.2.0 (its release notes).
 */
const dropIn = "/etc/ssh/sshd_config.d/10-moorage.conf";

const keysAlone = lines(
  "# Keys alone: passwords are for the console and for sudo.",
  "PasswordAuthentication no",
  "KbdInteractiveAuthentication no",
);

/**
 * sshd of Container Linux reads no other files: these are its own settings (configs/sshd_config in coreos/init) but for
 * the first two. It would ask by keyboard for a password unless told by the older name of that setting.
 */
const containerLinux = lines(
  "# The distribution's settings, but keys alone: passwords are for the console and for sudo.",
  "PasswordAuthentication no",
  "ChallengeResponseAuthentication no",
  "Subsystem sftp internal-sftp",
  "ClientAliveInterval 180",
  "UseDNS no",
  "UsePAM yes",
  "PrintLastLog no",
  "PrintMotd no",
);
