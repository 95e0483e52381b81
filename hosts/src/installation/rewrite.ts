/** Another cloud-config for a node that is installed: it is applied at every boot, so a reboot is all it takes. */
import type { Connection, InstallationInputs, InstallationOutputs } from "../contract";
import { equal } from "../diff";
import { HostError } from "../errors";
import { awaitMember, memberServes } from "../etcd/back";
import { note, warn } from "../log";
import { rebootAndWait } from "../reboot";
import { exec, runScript } from "../ssh/exec";
import { quote } from "../ssh/quote";
import { outOfService } from "../swarm/out-of-service";
import { Deadline, poll } from "../time";
import { leavingIn, type Leaving } from "./changed";

const REBOOT_SECONDS = 600;
/** SSH answers before all that a boot starts has run, what applies the user data among it. */
const BOOT_SECONDS = 300;

/** Where the installers put it, by distribution; read by coreos-cloudinit at boot. */
const places = ["/var/lib/flatcar-install/user_data", "/var/lib/coreos-install/user_data"];

/**
 * Reads a cloud-config of `$2` bytes from standard input and validates it: a connection that is lost looks like its end.
 * With `$1` replace it takes the place of the one there is.
 */
const userDataScript = `set -eu
umask 077
for file in ${places.join(" ")} ""; do if [ -f "$file" ]; then break; fi; done
if [ -z "$file" ]; then echo "there is no user data in ${places.join(" nor in ")}" >&2; exit 1; fi
trap 'rm -f "$file.new"' EXIT
cat > "$file.new"
if [ "$(wc -c < "$file.new")" -ne "$2" ]; then echo "it did not come as a whole" >&2; exit 1; fi
coreos-cloudinit --validate --from-file="$file.new" >&2
[ "$1" = replace ] || exit 0
sync "$file.new"
mv "$file.new" "$file"
sync "$(dirname "$file")"`;

/** Whether the change can be applied without installing the system anew. */
export function isRewritable(state: InstallationOutputs, inputs: InstallationInputs): boolean {
  const formats = [state.format, inputs.format];
  const sameDisk = equal(state.disk, inputs.disk);
  return formats.every((format) => format === "cloud-config") && sameDisk && !moves(state, inputs);
}

/**
 * A guest's forward follows to another address while the guest is off. Where an older stack has recorded none, the user
 * data says what its first network was.
 */
function moves(state: InstallationOutputs, inputs: InstallationInputs): boolean {
  const [before, after] = [state, inputs].map(({ guest }) => guest?.again?.forward?.to.address);
  if (after === undefined) return false;
  return before === undefined ? !state.userData.includes(`Address=${after}/`) : before !== after;
}

/** For a preview: what stays behind is said by name. */
export function rewritePlanned(state: InstallationOutputs, inputs: InstallationInputs): string {
  const { stays } = leavingIn(state.userData, inputs.userData);
  const behind = stays.length > 0 ? `; left behind: ${stays.join(", ")}` : "";
  return `this update writes its user data anew and reboots the node, drained meanwhile${behind}`;
}

/**
 * Validates the new user data on the node, replaces the old one, takes away what left it, and reboots, the node out of
 * service meanwhile. Run again after an interruption it does all of it again.
 * @throws HostError where the text is not valid there, or the node does not come back with it.
 */
export async function rewrite(
  state: InstallationOutputs,
  inputs: InstallationInputs,
  appliedHash: () => Promise<string>,
): Promise<void> {
  const { node, target, userData, installHash, cluster = { managers: [] } } = inputs;
  const leaving = leavingIn(state.userData, userData);
  await hand(inputs, "check");
  await outOfService(target, cluster, async () => {
    const member = await memberServes(target);
    // Cut off in between, the former one brings back at the next boot what was taken away.
    await takeAway(inputs, leaving);
    await hand(inputs, "replace");
    await rebootAndWait(target, REBOOT_SECONDS);
    await poll(new Deadline(BOOT_SECONDS), 2, async () => (await hasBooted(target)) || undefined);
    if ((await appliedHash()) !== installHash) {
      throw new HostError(
        node,
        "rebooted, but its new user data was not applied: see there `journalctl -b -t coreos-cloudinit`, and run again",
      );
    }
    if (member) await awaitMember(target);
  });
  note(node, "runs with its new user data");
  for (const each of leaving.stays) warn(node, `${each} is no longer configured, and stays there`);
}

/** Sent once to be checked while the node serves, and once more when nobody else is away. */
async function hand({ target, userData }: InstallationInputs, what: "check" | "replace"): Promise<void> {
  await exec(target, ["sh", "-c", userDataScript, "sh", what, String(Buffer.byteLength(userData))], {
    sudo: true,
    stdin: userData,
    purpose: what === "check" ? "validating the user data" : "replacing the user data",
    advice: "The one that was there before is still in force",
  });
}

async function hasBooted(target: Connection): Promise<boolean> {
  const { stdout } = await runScript(target, "systemctl is-system-running || :", [], {
    purpose: "looking whether it has booted",
  });
  return !["initializing", "starting"].includes(stdout.trim());
}

async function takeAway({ target }: InstallationInputs, { files, units }: Leaving): Promise<void> {
  if (files.length === 0) return;
  const lines = [
    ...units.map((unit) => `systemctl disable ${quote(unit)} 2>/dev/null || :`),
    `rm -f -- ${files.map(quote).join(" ")}`,
  ];
  await runScript(target, lines.join("\n"), [], { sudo: true, purpose: "removing what left the user data" });
}
