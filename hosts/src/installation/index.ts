/** Installation of one node: from its live installer to the installed system, proved to be the one installed. */
import type { Connection, InstallationInputs, InstallationOutputs, Operation } from "../contract";
import { diffOf, equal } from "../diff";
import { HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, withoutProvider } from "../operation";
import { bootId, startReboot } from "../reboot";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { couldNotAsk, dropConnection } from "../ssh/pool";
import { Deadline, poll } from "../time";
import { afterInstallation, beforeReboot } from "../virtualbox/guest";
import { install } from "./run";

const MARKER = "/etc/moorage/install.json";
/** How long both systems may be silent at the start: the node may be in the reboot of an interrupted run. */
const SILENCE_SECONDS = 180;

interface Installed {
  readonly installHash: string;
  readonly bootId: string;
}

/** What is installed there, by the system that shows the pinned host key. */
async function installedOn(target: Connection): Promise<Installed> {
  const marker = await runScript(target, `cat ${MARKER} 2>/dev/null || :`, [], {
    sudo: true,
    patience: brief,
    timeoutSeconds: 15,
    purpose: `reading ${MARKER}`,
  });
  let installHash = "";
  try {
    installHash = (JSON.parse(marker.stdout) as { installHash?: string }).installHash ?? "";
  } catch {
    // No marker, or half a one: installed by something else.
  }
  return { installHash, bootId: await bootId(target, brief) };
}

type Found =
  | { readonly kind: "installed"; readonly installed: Installed }
  | { readonly kind: "installer"; readonly bootId: string };

/** Which of the two systems of a node answers. */
async function whoAnswers({ node, target, installer }: InstallationInputs, seconds: number): Promise<Found> {
  const reasons = { target: "", installer: "" };
  const found = await poll(new Deadline(seconds), 3, async (): Promise<Found | undefined> => {
    try {
      return { kind: "installed", installed: await installedOn(target) };
    } catch (error) {
      if (!couldNotAsk(error)) throw error;
      reasons.target = messageOf(error);
    }
    try {
      return { kind: "installer", bootId: await bootId(installer, brief) };
    } catch (error) {
      if (!couldNotAsk(error)) throw error;
      reasons.installer = messageOf(error);
    }
    for (const connection of [target, installer]) dropConnection(connection);
    return undefined;
  });
  if (found) return found;
  throw new HostError(
    node,
    `neither its live installer nor the installed system answers. Boot the live installer there and run again.\n` +
      `  installer: ${reasons.installer}\n  installed: ${reasons.target}`,
  );
}

async function ensure(inputs: InstallationInputs, silence: number): Promise<InstallationOutputs> {
  const { node, installer, installHash, timeoutSeconds } = inputs;
  const deadline = new Deadline(timeoutSeconds);
  const found = await whoAnswers(inputs, Math.min(silence, timeoutSeconds)).catch((error: unknown) => {
    throw silence > 0 || !(error instanceof HostError) ? error : mustReinstall(inputs, messageOf(error));
  });
  if (found.kind === "installed") {
    if (found.installed.installHash === installHash) {
      return { ...withoutProvider(inputs), firstBootId: found.installed.bootId };
    }
    throw mustReinstall(inputs, "the installed system was installed with other settings");
  }
  await install(inputs, deadline);
  if (inputs.guest) await beforeReboot(inputs.guest);
  note(node, "rebooting into the installed system");
  await startReboot(installer);
  const firstBootId = await awaitInstalled(inputs, found.bootId, deadline);
  if (inputs.guest) await afterInstallation(inputs.guest);
  note(node, `installed and up after ${deadline.elapsed} s`);
  return { ...withoutProvider(inputs), firstBootId };
}

/** A guest that is made anew has an empty disk; how its hypervisor is reached means nothing. */
function sameMachine(state: InstallationOutputs, inputs: InstallationInputs): boolean {
  return !state.guest || !inputs.guest || equal(state.guest.id, inputs.guest.id);
}

function mustReinstall({ node, guest }: InstallationInputs, why: string): HostError {
  const remedy = guest
    ? `Make its guest anew: \`pulumi up --replace\` with the URN of ${node}-guest (\`pulumi stack --show-urns\`)`
    : "Boot the live installer there and run again";
  return new HostError(
    node,
    `must be reinstalled: ${why}. ${remedy}; its data disk is kept. ` +
      "If the change was not meant, take it back in the configuration.",
  );
}

async function awaitInstalled(
  inputs: InstallationInputs,
  installerBoot: string,
  deadline: Deadline,
): Promise<string> {
  const { node, target, installer, installHash } = inputs;
  let last = "";
  const first = await poll(deadline, 2, async () => {
    const installed = await installedOn(target).catch((error: unknown) => {
      if (!(error instanceof HostError)) throw error;
      last = messageOf(error);
      dropConnection(target);
    });
    if (installed && installed.bootId !== installerBoot) {
      if (installed.installHash === installHash) return installed.bootId;
      throw new HostError(
        node,
        `another system than the one just installed came up (no or another hash in ${MARKER})`,
      );
    }
    // Until it is down the installer answers on the connection there is.
    const again = await bootId(installer, brief).catch(() => {
      dropConnection(installer);
      return installerBoot;
    });
    if (again !== installerBoot) {
      throw new HostError(
        node,
        `the live installer came up again instead of the installed system: let the node boot from ${inputs.disk} first`,
      );
    }
    return undefined;
  });
  if (first !== undefined) return first;
  throw new HostError(node, `the installed system was not reached in ${deadline.seconds} s: ${last}`);
}

/**
 * Installs a node, or adopts the installation that is there already when its hash is the wanted one.
 * A changed hash is a reinstallation in place; `delete` does nothing on the host.
 */
export const installation: Operation<InstallationInputs, InstallationOutputs> = {
  async create(inputs) {
    return { id: inputs.node, outs: await ensure(inputs, SILENCE_SECONDS) };
  },
  read(id, state) {
    return readOrRecorded(state.node, id, state, async () => {
      const { installHash } = await installedOn(state.target);
      if (installHash !== state.installHash)
        warn(state.node, "runs another installation than the recorded one");
      return { id, outs: { ...state, installHash } };
    });
  },
  diff(state, inputs) {
    const diff = diffOf(state, inputs, { outputOnly: ["firstBootId"], replace: ["node", "disk"] });
    if (sameMachine(state, inputs)) return diff;
    return { ...diff, replaces: [...diff.replaces, "guest"], deleteBeforeReplace: true };
  },
  async update(_id, state, inputs) {
    if (state.installHash === inputs.installHash)
      return { ...withoutProvider(inputs), firstBootId: state.firstBootId };
    return ensure(inputs, 0);
  },
  delete() {
    return Promise.resolve();
  },
};
