/** A guest's power. */
import type { Connection } from "../contract";
import { HostError, messageOf, reasonOf } from "../errors";
import { note, warn } from "../log";
import { bootId } from "../reboot";
import { brief } from "../ssh/connect";
import { dropConnection } from "../ssh/pool";
import { awaitDocker, dockerInfo } from "../swarm/managers";
import { outOfService } from "../swarm/out-of-service";
import { Deadline, poll } from "../time";
import type { GuestInputs } from "./contract";
import { isMissing } from "./manage";
import type { Manage } from "./manage";
import { OFF_KEY, readMark, writeMark } from "./mark";
import type { VmInfo } from "./parse";
import { parseVmInfo } from "./parse";

const SHUTDOWN_SECONDS = 90;
const RETURN_SECONDS = 300;
const INSTALLER_SECONDS = 300;

/** `aborted-saved`, of 7.0 and newer: what ran it died as it took the saved state up again. */
const SAVED = ["saved", "aborted-saved"];

/** Off, or never started; one that was saved holds its settings as well. */
export function isOff(info: VmInfo): boolean {
  return ["poweroff", "aborted", ...SAVED].includes(info.get("VMState") ?? "");
}

function isSaved(info: VmInfo): boolean {
  return SAVED.includes(info.get("VMState") ?? "");
}

async function nowOf(manage: Manage, name: string): Promise<VmInfo> {
  const purpose = `looking whether ${name} is off`;
  return parseVmInfo(await manage.run(["showvminfo", name, "--machinereadable"], { purpose }));
}

async function isOffNow(manage: Manage, name: string): Promise<boolean> {
  return isOff(await nowOf(manage, name));
}

export async function powerOn(manage: Manage, name: string): Promise<void> {
  await manage.run(["startvm", name, "--type", "headless"], {
    purpose: `starting the guest ${name}`,
    timeoutSeconds: 180,
  });
}

/**
 * Presses the power button and, where that does not help in time, pulls the plug. One that is off is left alone, but for
 * a saved state, which VirtualBox lets nobody delete the guest or take its disk out with.
 */
export async function powerOff(manage: Manage, name: string, { gently }: { gently: boolean }): Promise<void> {
  const now = await nowOf(manage, name);
  if (isSaved(now)) {
    await manage.run(["discardstate", name], { purpose: `discarding the saved state of ${name}` });
  }
  if (isOff(now)) return;
  const control = (verb: string, purpose: string) =>
    manage.run(["controlvm", name, verb], { purpose }).catch((error: unknown) => {
      // It went off meanwhile.
      if (!isMissing(error) && !/not currently running|INVALID_VM_STATE/.test(messageOf(error))) throw error;
    });
  if (gently) {
    await control("acpipowerbutton", `pressing the power button of ${name}`);
    const off = await poll(new Deadline(SHUTDOWN_SECONDS), 2, async () =>
      (await isOffNow(manage, name)) ? true : undefined,
    );
    if (off) return;
    note(name, `did not go off within ${SHUTDOWN_SECONDS} s of its power button, so its power is cut`);
  }
  await control("poweroff", `cutting the power of ${name}`);
  const off = await poll(new Deadline(30), 1, async () =>
    (await isOffNow(manage, name)) ? true : undefined,
  );
  if (!off) throw new HostError(name, "the guest does not go off; see it in VirtualBox's window");
}

export type OffFor = "settings" | "installation" | undefined;

/** What an update that was cut off was switching the guest off for, however far it came. */
export async function offFor(manage: Manage, name: string): Promise<OffFor> {
  const mark = await readMark(manage, name, OFF_KEY);
  return mark === "settings" || mark === "installation" ? mark : undefined;
}

/** What of a guest has to do with its power. */
export type Powered = Pick<GuestInputs, "name" | "target" | "cluster">;

/**
 * Runs `work` while the guest is off. One that ran before, or that an update which was cut off left off, runs again
 * afterwards. An installed one is a node, which is taken out of service meanwhile, and waited for.
 * @param known `earlier` is what an update that was cut off was switching it off for
 */
export async function switchedOff(
  manage: Manage,
  guest: Powered,
  known: { readonly installed: boolean; readonly earlier: OffFor },
  work: () => Promise<void>,
): Promise<void> {
  const { name, target, cluster } = guest;
  const { installed, earlier } = known;
  const info = parseVmInfo(
    await manage.run(["showvminfo", name, "--machinereadable"], { purpose: `looking at ${name}` }),
  );
  if (isSaved(info)) {
    throw new HostError(
      name,
      `the guest's state was saved, so VirtualBox changes none of its settings. Start it, or run \`VBoxManage discardstate ${name}\` there`,
    );
  }
  if (isOff(info) && (!installed || earlier === undefined)) return work();
  if (installed) {
    const cycle = () => powerCycle(manage, guest, earlier, work);
    // One that is off already serves nobody.
    if (isOff(info) || cluster === undefined) return cycle();
    return outOfService(target, cluster, cycle, (error) => Promise.reject(cannotBeAsked(guest, error)));
  }
  note(name, "switching off for changed settings");
  await powerOff(manage, name, { gently: false });
  dropConnection(target);
  // It is started later, with the installer's drives in.
  await work();
}

/** It may serve all the same, and to switch it off would be one too many. */
function cannotBeAsked({ name, target }: Powered, error: HostError): HostError {
  return new HostError(
    name,
    `needs a power cycle, and is left as it is: it runs, but does not say whether it serves in the Swarm ` +
      `(${reasonOf(error, target.node)}). Mend that; or, while all other nodes are healthy, switch it off by ` +
      `\`VBoxManage controlvm ${name} acpipowerbutton\`, run again, and start it. Its settings are changed while it is off`,
  );
}

async function powerCycle(
  manage: Manage,
  { name, target }: Powered,
  earlier: OffFor,
  work: () => Promise<void>,
): Promise<void> {
  const swarm = await dockerInfo(target).catch(() => undefined);
  const reinstalled = earlier === "installation";
  note(name, "switching off for changed settings");
  if (!reinstalled) await writeMark(manage, name, OFF_KEY, "settings");
  await powerOff(manage, name, { gently: true });
  dropConnection(target);
  try {
    await work();
  } finally {
    await powerOn(manage, name);
    if (!reinstalled) await writeMark(manage, name, OFF_KEY);
  }
  try {
    await awaitSystem(target, RETURN_SECONDS, "it did not come back after its power cycle");
  } catch (error) {
    if (!reinstalled || !(error instanceof HostError)) throw error;
    // It may be at an address that nothing leads to any more. By the mark its reinstallation goes on.
    return warn(name, `${reasonOf(error, target.node)}; it was being reinstalled, and still is to be`);
  }
  if (reinstalled) await writeMark(manage, name, OFF_KEY);
  if (swarm?.Swarm.LocalNodeState === "active") await awaitDocker(target);
}

/** Waits until a system answers by its pinned key. */
export async function awaitSystem(system: Connection, seconds: number, otherwise: string): Promise<void> {
  const deadline = new Deadline(seconds);
  let last = "";
  const back = await poll(deadline, 2, async () => {
    try {
      return await bootId(system, { ...brief, forgetful: true });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      last = reasonOf(error, error.node);
      dropConnection(system);
      return undefined;
    }
  });
  if (back === undefined) throw new HostError(system.node, `${otherwise} (waited ${seconds} s): ${last}`);
  note(system.node, `answers after ${deadline.elapsed} s`);
}

/** Waits for the live installer of a guest that was started with its drives in. */
export function awaitInstaller(installer: Connection): Promise<void> {
  return awaitSystem(
    installer,
    INSTALLER_SECONDS,
    "the live installer does not answer as the config drive says. See the guest's console in VirtualBox; the address, " +
      "interface and forward of the node must be right",
  );
}
