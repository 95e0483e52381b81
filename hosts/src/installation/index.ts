/** Installation of one node: from its live installer to the installed system, proved to be the one installed. */
import type { Connection, InstallationInputs, InstallationOutputs, Operation } from "../contract";
import { setInstalledAnew } from "../installed-anew";
import { diffOf, equal, UNKNOWN } from "../diff";
import { HostError, messageOf, PutOffError, reasonOf } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, withoutProvider } from "../operation";
import { bootId, startReboot } from "../reboot";
import { INSTALL_MARKER, installHashIn } from "../rendered";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { couldNotAsk, dropConnection } from "../ssh/pool";
import { awayForInstallation } from "../swarm/leave-for-installation";
import { endAbsence } from "../swarm/out-of-service";
import { inTurn } from "../swarm/turn";
import { Deadline, poll, systemClock, type Clock } from "../time";
import { bootInstallerAgain, isBeingInstalled, requireReinstallable } from "../virtualbox/again";
import { afterInstallation, beforeReboot } from "../virtualbox/guest";
import { changedIn } from "./changed";
import { imageFault } from "./image";
import { isRewritable, rewrite, rewritePlanned } from "./rewrite";
import { install, lookAtDisk } from "./run";
import { isOnTrial, settleTrial } from "./trial";

/** How long both systems may be silent at the start: the node may be in the reboot of an interrupted run. */
const SILENCE_SECONDS = 180;
/** The same where there was an installed system: one that is only off is not waited for as long. */
const REBOOT_SECONDS = 60;

interface Installed {
  readonly installHash: string;
  readonly bootId: string;
}

/** What is installed there, by the system that shows the pinned host key. */
async function installedOn(target: Connection): Promise<Installed> {
  const marker = await runScript(target, `cat ${INSTALL_MARKER} 2>/dev/null || :`, [], {
    sudo: true,
    patience: brief,
    timeoutSeconds: 15,
    purpose: `reading ${INSTALL_MARKER}`,
  });
  return { installHash: installHashIn(marker.stdout) ?? "", bootId: await bootId(target, brief) };
}

/** Whether the live installer answers, on a machine whose system disk is empty. */
async function isLeftBlank(state: InstallationInputs): Promise<boolean> {
  return lookAtDisk(state, { patience: brief, timeoutSeconds: 15 }).then(
    ({ state }) => state === "blank",
    () => false,
  );
}

type Found =
  | { readonly kind: "installed"; readonly installed: Installed }
  | { readonly kind: "installer"; readonly bootId: string };

/** Which of the two systems of a node answers. */
async function whoAnswers(
  { node, target, installer }: InstallationInputs,
  deadline: Deadline,
): Promise<Found> {
  const reasons = { target: "", installer: "" };
  const found = await poll(deadline, 3, async (): Promise<Found | undefined> => {
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

/** What answers once nothing is on trial there any more that an earlier update has left. */
async function settled(
  inputs: InstallationInputs,
  { format }: InstallationInputs,
  found: Found,
): Promise<Found> {
  if (found.kind !== "installed" || format !== "cloud-config" || !(await settleTrial(inputs))) return found;
  return { kind: "installed", installed: await installedOn(inputs.target) };
}

async function create(inputs: InstallationInputs, clock: Clock): Promise<InstallationOutputs> {
  const silence = Math.min(SILENCE_SECONDS, inputs.timeoutSeconds);
  const answers = await whoAnswers(inputs, new Deadline(silence, clock));
  const found = await settled(inputs, inputs, answers);
  if (found.kind === "installer") return installed(inputs, found.bootId, clock);
  if (found.installed.installHash === inputs.installHash) return adopted(inputs, found.installed);
  throw mustReinstall(inputs, "the installed system was installed with other settings");
}

function adopted(inputs: InstallationInputs, { bootId: firstBootId }: Installed): InstallationOutputs {
  return { ...withoutProvider(inputs), firstBootId };
}

/** From the live installer that answers to the installed system. */
async function installed(
  inputs: InstallationInputs,
  installerBoot: string,
  clock: Clock,
  recorded?: string,
): Promise<InstallationOutputs> {
  const { node, installer, timeoutSeconds } = inputs;
  const deadline = new Deadline(timeoutSeconds, clock);
  await install(inputs, deadline, recorded);
  if (inputs.guest) await beforeReboot(inputs.guest);
  note(node, "rebooting into the installed system");
  await startReboot(installer);
  const firstBootId = await awaitInstalled(inputs, installerBoot, deadline);
  if (inputs.guest) await afterInstallation(inputs.guest);
  note(node, `installed and up after ${deadline.elapsed} s`);
  return { ...withoutProvider(inputs), firstBootId };
}

/** Reinstalls a node, whichever of its systems answers: one that serves leaves the Swarm first. */
async function reinstall(
  state: InstallationOutputs,
  inputs: InstallationInputs,
  clock: Clock,
): Promise<InstallationOutputs> {
  const { node, guest, installer } = inputs;
  const silence = Math.min(REBOOT_SECONDS, inputs.timeoutSeconds);
  const answers = await whoAnswers(inputs, new Deadline(silence, clock)).catch(
    async (error: unknown): Promise<Found | undefined> => {
      if (!(error instanceof HostError)) throw error;
      // Cut off between two boots by an interrupted update, a guest has nothing to lose.
      if (guest && (await isBeingInstalled(guest))) return undefined;
      throw mustReinstall(inputs, messageOf(error));
    },
  );
  const found = answers && (await settled(inputs, state, answers));
  if (found?.kind === "installed" && found.installed.installHash === inputs.installHash) {
    if (isRewritable(state, inputs)) await endAbsence(inputs.target, inputs.cluster ?? { managers: [] });
    return adopted(inputs, found.installed);
  }
  if (found?.kind === "installed" && isRewritable(state, inputs)) {
    await rewrite(state, inputs);
    // What lies on the disk is still there: nothing has to be put there again.
    return { ...withoutProvider(inputs), firstBootId: state.firstBootId };
  }
  const fromInstaller = async (): Promise<InstallationOutputs> => {
    if (found?.kind !== "installer") {
      if (!guest) throw mustBoot(inputs);
      await bootInstallerAgain(guest, installer, inputs.target);
    }
    return installed(inputs, await bootId(installer), clock, state.installHash);
  };
  if (found?.kind === "installed") await requireMeans(inputs);
  // Whoever sits in the live installer serves nobody, and takes its turn all the same.
  if (found?.kind !== "installed") return inTurn(node, () => Promise.resolve(), fromInstaller);
  try {
    const cluster = inputs.cluster ?? { managers: [] };
    return await awayForInstallation(inputs.target, cluster, { stays: guest === undefined }, fromInstaller);
  } catch (error) {
    if (!(error instanceof PutOffError)) throw error;
    warn(node, reasonOf(error, node));
    return withoutProvider(state);
  }
}

/** The preflight has looked, of an update that goes on with a row an earlier one. */
async function requireMeans({ node, image, guest }: InstallationInputs): Promise<void> {
  const fault = image && (await imageFault(image));
  if (fault !== undefined) throw new HostError(node, fault);
  if (guest?.again) await requireReinstallable({ ...guest, ...guest.again });
}

/** A guest that is made anew has an empty disk; how its hypervisor is reached means nothing. */
function sameMachine(state: InstallationOutputs, inputs: InstallationInputs): boolean {
  return !state.guest || !inputs.guest || equal(state.guest.id, inputs.guest.id);
}

function mustReinstall({ node, guest }: InstallationInputs, why: string): HostError {
  const remedy = guest
    ? `Start it in VirtualBox and run again; or make its guest anew: \`pulumi up --replace\` with the URN of ${node}-guest (\`pulumi stack --show-urns\`)`
    : "Boot the live installer there and run again";
  return new HostError(
    node,
    `must be reinstalled: ${why}. ${remedy}; its data disk is kept. ` +
      "If the change was not meant, take it back in the configuration.",
  );
}

/** The others can do without the node now, and only its owner can boot its live installer. */
function mustBoot({ node, installer }: InstallationInputs): HostError {
  return new HostError(
    node,
    "must be reinstalled, as what only an installation can set has changed. All other nodes are healthy, so it may go " +
      "now; nothing was touched. To do: boot its live installer (from its ISO, a USB stick or the network; unless it has a " +
      `host key of its own, \`npm run -s moorage -- live ${node}\` prints what tells it its keys), so that it ` +
      `answers as ${installer.user}@${installer.host}:${installer.port}, and run \`pulumi up\` again: it is installed, ` +
      "joins anew with its data disk, and the next node follows. If the change was not meant, take it back in the configuration",
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
      last = reasonOf(error, node);
      dropConnection(target);
    });
    if (installed && installed.bootId !== installerBoot) {
      if (installed.installHash === installHash) return installed.bootId;
      throw new HostError(
        node,
        `another system than the one just installed came up (no or another hash in ${INSTALL_MARKER}). ` +
          bootFrom(inputs),
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
        `the live installer came up again instead of the installed system. ${bootFrom(inputs)}`,
      );
    }
    return undefined;
  });
  if (first !== undefined) return first;
  const refused =
    inputs.format === "cloud-config"
      ? "with a cloud-config that was not applied, `journalctl -t coreos-cloudinit` says why"
      : "Ignition stops the boot at a config that it refuses, and says why";
  throw new HostError(
    node,
    `the installed system was not reached in ${deadline.seconds} s: ${last}\n` +
      `See on its console what it hangs in (${refused}), or which system it has booted, and run again once it answers.`,
  );
}

function bootFrom({ disk }: InstallationInputs): string {
  return `Let the node boot from ${disk} first, reboot it, and run again: what is installed there is adopted.`;
}

/** What only an installation takes, and one that is done has no use for. */
const forTheNext = [
  "stack",
  "userData",
  "format",
  "channel",
  "version",
  "image",
  "erasableDisk",
  "proxies",
  "timeoutSeconds",
  "tryoutSeconds",
  "installer",
  "cluster",
];

function withoutAgain<Inputs extends InstallationInputs>(inputs: Inputs): Inputs {
  if (typeof inputs.guest !== "object") return inputs;
  return { ...inputs, guest: { ...inputs.guest, again: undefined } };
}

/** Of another hash: whether it takes an installation. */
function isReinstallation(state: InstallationOutputs, inputs: InstallationInputs): boolean {
  return !(isRewritable(state, inputs) && sameMachine(state, inputs));
}

/** Only its owner can boot a machine's live installer, and whether it answers is not asked by a preview. */
const MACHINE_PLANNED =
  "reinstalls the node if its live installer answers; otherwise it stops before it touches the node, and asks for that. " +
  "Its data disk is kept";

/** What an update will do to the node, for a preview to say. */
function reinstallationOf(state: InstallationOutputs, inputs: InstallationInputs): string | undefined {
  const texts = [state.userData, inputs.userData, inputs.installHash];
  if (texts.some((text) => text === UNKNOWN)) return undefined;
  const names = changedIn(state.userData, inputs.userData);
  if (!isReinstallation(state, inputs)) {
    const other = names.length > 0 ? `; other: ${names.join(", ")}` : "";
    return `${rewritePlanned(state, inputs)}${other}`;
  }
  const why =
    names.length > 0 ? `other: ${names.join(", ")}` : "another installation is there than the configured one";
  const how = inputs.guest
    ? "reinstalls the node, out of the Swarm meanwhile, and keeps its data disk"
    : MACHINE_PLANNED;
  return `this update ${how}; ${why}`;
}

/**
 * Installs a node, or adopts the installation that is there already when its hash is the wanted one.
 * A changed hash is a reinstallation, one node at a time; `delete` does nothing on the host.
 */
export const installationBy = (clock: Clock): Operation<InstallationInputs, InstallationOutputs> => ({
  async create(inputs) {
    return { id: inputs.node, outs: await create(inputs, clock) };
  },
  read(id, state) {
    return readOrRecorded(state.node, id, state, async () => {
      const { installHash } = await installedOn(state.target).catch(async (error: unknown) => {
        // Left there by an update that was cut off: nothing is installed, which the next one has to know.
        if (couldNotAsk(error) && (await isLeftBlank(state))) return { installHash: "" };
        throw error;
      });
      const changed = installHash !== "" && installHash !== state.installHash;
      if (changed && state.format === "cloud-config" && (await isOnTrial(state.target))) {
        // What is only tried is not what the node has.
        return { id, outs: state };
      }
      if (installHash !== state.installHash)
        warn(state.node, "runs another installation than the recorded one");
      return { id, outs: { ...state, installHash } };
    });
  },
  diff(state, inputs) {
    const isSame = equal(state.installHash, inputs.installHash);
    const said = isSame ? undefined : reinstallationOf(state, inputs);
    if (said !== undefined) note(state.node, said);
    setInstalledAnew(state.node, said !== undefined && isReinstallation(state, inputs));
    const diff = diffOf(withoutAgain(state), withoutAgain(inputs), {
      outputOnly: ["firstBootId"],
      ignored: isSame ? forTheNext : ["cluster", "stack"],
      replace: ["node", "disk"],
    });
    if (sameMachine(state, inputs)) return diff;
    return { ...diff, replaces: [...diff.replaces, "guest"], deleteBeforeReplace: true };
  },
  async update(_id, state, inputs) {
    if (state.installHash === inputs.installHash)
      return { ...withoutProvider(inputs), firstBootId: state.firstBootId };
    return reinstall(state, inputs, clock);
  },
  delete() {
    return Promise.resolve();
  },
});

export const installation = installationBy(systemClock);
