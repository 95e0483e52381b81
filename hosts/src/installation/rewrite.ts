/**
 * Another cloud-config for a node that is installed: it is applied at every boot, so a reboot is all it takes. Whatever
 * it changes may lock SSH out, so each is tried, and the node goes back by itself.
 */
import type { InstallationInputs, InstallationOutputs } from "../contract";
import { equal } from "../diff";
import { note, warn } from "../log";
import { exec, runScript } from "../ssh/exec";
import { inTrial } from "../trial";
import { changedIn, filesIn, leavingIn } from "./changed";
import { followTrial, tryoutSecondsOf } from "./trial";
import { tryScript, userDataPlace } from "./trial-scripts";

const FORMER_STAYS = "The one that was there before is still in force";

/** Validates a cloud-config of `$1` bytes from standard input: a connection that is lost looks like its end. */
const checkScript = `set -eu
umask 077
${userDataPlace}
trap 'rm -f "$file.new"' EXIT
cat > "$file.new"
if [ "$(wc -c < "$file.new")" -ne "$1" ]; then echo "it did not come as a whole" >&2; exit 1; fi
coreos-cloudinit --validate --from-file="$file.new" >&2`;

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
  if (after === undefined) return leavesItsAddress(state, inputs);
  return before === undefined ? !hasAddress(state, after) : before !== after;
}

/** SSH goes to the address itself, unless another way is configured: it would ask at one that only the new network has. */
function leavesItsAddress(state: InstallationOutputs, inputs: InstallationInputs): boolean {
  const { host } = inputs.target;
  return state.target.host !== host && hasAddress(inputs, host) && !hasAddress(state, host);
}

const hasAddress = ({ userData }: InstallationInputs, address: string): boolean =>
  userData.includes(`Address=${address}/`);

/** For a preview: what stays behind is said by name. */
export function rewritePlanned(state: InstallationOutputs, inputs: InstallationInputs): string {
  const { stays, unheeded } = leavingIn(state.userData, inputs.userData);
  const behind = stays.length > 0 ? `; left behind: ${stays.join(", ")}` : "";
  const asBefore = unheeded.length > 0 ? `; stay as they are: ${unheeded.join(", ")}` : "";
  return (
    "this update writes its user data anew and reboots the node, drained meanwhile; goes back by itself unless SSH " +
    `returns within ${tryoutSecondsOf(inputs)} s of its boot${behind}${asBefore}`
  );
}

/**
 * Validates the new user data on the node, puts it in the place of the old one, takes away what left it, and reboots, the
 * node out of service meanwhile. It is kept once SSH was reached anew.
 * @throws HostError where the text is not valid there, or the node went back to the former one; it is in service then.
 */
export async function rewrite(state: InstallationOutputs, inputs: InstallationInputs): Promise<void> {
  const { node, target, cluster = { managers: [] } } = inputs;
  const leaving = leavingIn(state.userData, inputs.userData);
  await check(inputs);
  await inTrial(target, cluster, "its former user data", () => tryOut(state, inputs));
  for (const each of leaving.stays) warn(node, `${each} is no longer configured, and stays there`);
  for (const each of leaving.unheeded)
    warn(node, `${each} stay as they are: coreos-cloudinit gives no other groups to a user it finds`);
}

async function check({ target, userData }: InstallationInputs): Promise<void> {
  await exec(target, ["sh", "-c", checkScript, "sh", String(Buffer.byteLength(userData))], {
    sudo: true,
    stdin: userData,
    purpose: "validating the user data",
    advice: FORMER_STAYS,
  });
}

async function tryOut(state: InstallationOutputs, inputs: InstallationInputs): Promise<void> {
  const { node, target, userData, installHash } = inputs;
  const tryoutSeconds = tryoutSecondsOf(inputs);
  const script = tryScript({
    userData,
    installHash,
    files: filesIn(state.userData, userData),
    leaving: leavingIn(state.userData, userData),
    newUnits: leavingIn(userData, state.userData).units,
    tryoutSeconds,
  });
  await runScript(target, script, [], {
    sudo: true,
    purpose: "handing over the new user data",
    advice: FORMER_STAYS,
  });
  note(node, `reboots, and tries its new user data for at most ${tryoutSeconds} s after its boot`);
  await followTrial({ ...inputs, names: changedIn(state.userData, userData) }, tryoutSeconds);
}
