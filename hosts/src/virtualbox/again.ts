/** A guest that boots its live installer once more, with an empty system disk; its data disk stays where it is. */
import type { Connection } from "../contract";
import { HostError } from "../errors";
import { note } from "../log";
import { dropConnection } from "../ssh/pool";
import type { InstalledGuest, ReinstallableGuest } from "./contract";
import { infoOf, isInstalling } from "./guest";
import { requireImage } from "./iso";
import { Manage } from "./manage";
import { OFF_KEY, PHASE_KEY, STACK_KEY, readMark, writeMark } from "./mark";
import { ensureDisk, filesOf, insertInstaller, ports, removeSystemDisk } from "./media";
import type { VmInfo } from "./parse";
import { awaitInstaller, isOff, offFor, powerOff, powerOn } from "./power";

/** Whether an earlier update began to reinstall the guest: nothing that has to be kept is on its system disk. */
export async function isBeingInstalled({ hypervisor, name }: InstalledGuest): Promise<boolean> {
  const manage = await Manage.on(hypervisor);
  const info = await infoOf(manage, name);
  if (info === undefined) return false;
  // Marked for it, it has left the Swarm, whether it has gone off since or runs again.
  if ((await offFor(manage, name)) === "installation") return true;
  return isInstalling(manage, name, info);
}

/**
 * Ends an earlier update's mark on a guest whose node is what it was before: that it has left the Swarm is no longer
 * true of it, whenever it is silent next.
 */
export async function endReinstallation({ hypervisor, name, stack }: ReinstallableGuest): Promise<void> {
  const manage = await Manage.on(hypervisor);
  const info = await infoOf(manage, name);
  if (!info || (await readMark(manage, name, STACK_KEY)) !== stack) return;
  if ((await offFor(manage, name)) === "installation") await writeMark(manage, name, OFF_KEY);
}

/** @throws HostError where the guest is gone or another stack's. */
async function requireOurs(manage: Manage, name: string, stack: string): Promise<VmInfo> {
  const info = await infoOf(manage, name);
  if (info && (await readMark(manage, name, STACK_KEY)) === stack) return info;
  throw noGuest(name);
}

function noGuest(name: string): HostError {
  return new HostError(
    name,
    "there is no guest of this stack by that name on the hypervisor. Run `pulumi up --refresh`",
  );
}

/** @throws HostError where the guest could not boot its live installer again, though its node serves. */
export async function requireReinstallable(guest: ReinstallableGuest): Promise<void> {
  const { hypervisor, name, stack, iso, isoSha256 } = guest;
  await requireOurs(await Manage.on(hypervisor), name, stack);
  await requireImage(hypervisor, iso, isoSha256);
}

/**
 * Switches the guest off, gives it an empty system disk and the installer's drives, and waits for the live installer.
 * @param target the installed system, which is gone afterwards
 */
export async function bootInstallerAgain(
  guest: InstalledGuest,
  installer: Connection,
  target: Connection,
): Promise<void> {
  const { hypervisor, name, again } = guest;
  if (again === undefined) throw noGuest(name);
  const manage = await Manage.on(hypervisor);
  const info = await requireOurs(manage, name, again.stack);
  await requireImage(hypervisor, again.iso, again.isoSha256);
  note(name, "switching off, to be installed anew; its data disk stays");
  await writeMark(manage, name, OFF_KEY, "installation");
  await powerOff(manage, name, { gently: true });
  for (const connection of [installer, target]) dropConnection(connection);
  await removeSystemDisk(manage, hypervisor, name, info);
  // Not before: cut off by then, a guest has its system still, and a change that is taken back leaves it at that.
  await writeMark(manage, name, PHASE_KEY, "installing");
  await writeMark(manage, name, OFF_KEY);
  const emptied = (await infoOf(manage, name)) ?? info;
  const system = { port: ports.system, file: filesOf(manage.folder, name).system, size: again.systemDisk };
  await ensureDisk(manage, hypervisor, name, emptied, system);
  await insertInstaller(manage, { hypervisor, name, ...again });
  if (isOff(emptied)) await powerOn(manage, name);
  note(name, "boots the live installer");
  await awaitInstaller(installer);
}
