/** A guest's disks and drives, on one SATA controller whose ports are the same for every guest. */
import { HostError } from "../errors";
import { note } from "../log";
import type { GuestInputs, Hypervisor, PowerCycled } from "./contract";
import { configDriveOf } from "./config-drive";
import { isMissing } from "./manage";
import type { Manage } from "./manage";
import type { VmInfo } from "./parse";
import { parseCapacity } from "./parse";
import { leadTo } from "./network";
import { scriptOn, writeOn } from "./run";

const CONTROLLER = "SATA";
const CONTROLLER_TYPE = "IntelAhci";
const PORT_COUNT = 4;
export const ports = { system: 0, data: 1, installer: 2, configDrive: 3 } as const;
type Port = (typeof ports)[keyof typeof ports];

/** Where the parts of a guest lie. The data disk is outside the guest's own folder, which goes with the guest. */
export function filesOf(folder: string, name: string) {
  return {
    system: `${folder}/${name}/${name}-system.vdi`,
    data: `${folder}/moorage/data/${name}-data.vdi`,
    configDrive: `${folder}/moorage/config-drives/${name}.iso`,
  };
}

/** What is in a port: a path, `emptydrive`, or `none`; `undefined` where there is no such port. */
export function mediumIn(info: VmInfo, port: Port): string | undefined {
  // A Windows host answers with its own separators, whichever it was given.
  return info.get(`${CONTROLLER}-${port}-0`)?.replaceAll("\\", "/");
}

function attach(
  manage: Manage,
  guest: string,
  port: Port,
  type: "hdd" | "dvddrive",
  medium: string,
): Promise<string> {
  const drive = ["--port", String(port), "--device", "0", "--type", type, "--medium", medium];
  // A guest that has mounted what is in a drive has locked its door.
  const force = type === "dvddrive" ? ["--forceunmount"] : [];
  return manage.run(["storageattach", guest, "--storagectl", CONTROLLER, ...drive, ...force], {
    purpose: `putting ${medium} into port ${port} of ${guest}`,
  });
}

/** A setting of our controller, as `type` or `portcount`; undefined where there is no such controller, or nothing told of it. */
function controllerSays(info: VmInfo, what: string): string | undefined {
  const [key] =
    [...info].find(([key, name]) => /^storagecontrollername\d+$/.test(key) && name === CONTROLLER) ?? [];
  return key && info.get(key.replace("name", what));
}

/** What our controller has otherwise than every guest of ours. */
export function otherController(
  info: VmInfo,
): Pick<PowerCycled, "controllerType" | "controllerPorts" | "controllerBootable"> {
  const says = (what: string) => controllerSays(info, what);
  const [type, ports, bootable] = ["type", "portcount", "bootable"].map(says);
  return {
    ...(type !== undefined && type !== CONTROLLER_TYPE && { controllerType: type }),
    ...(ports !== undefined && Number(ports) !== PORT_COUNT && { controllerPorts: Number(ports) }),
    ...(bootable === "off" && { controllerBootable: false }),
  };
}

/** @throws HostError where something else has our controller's name: a controller's kind is for good. */
export function refuseOtherController(guest: string, info: VmInfo): void {
  const { controllerType } = otherController(info);
  if (controllerType === undefined) return;
  throw new HostError(
    guest,
    `its disk controller ${CONTROLLER} is a ${controllerType}, and no ${CONTROLLER_TYPE}, and is left as it is. ` +
      `Switch the guest off, remove it by \`VBoxManage storagectl ${guest} --name ${CONTROLLER} --remove\` (its disks stay where ` +
      "they are, as files), run `pulumi up`, which makes another one and puts them in, and start it again",
  );
}

export async function ensureController(manage: Manage, guest: string, info: VmInfo): Promise<void> {
  const isThere = controllerSays(info, "name") !== undefined;
  if (isThere && Object.keys(otherController(info)).length === 0) return;
  const kind = isThere ? [] : ["--add", "sata", "--controller", CONTROLLER_TYPE];
  const settings = ["--portcount", String(PORT_COUNT), "--bootable", "on"];
  await manage.run(["storagectl", guest, "--name", CONTROLLER, ...kind, ...settings], {
    purpose: `giving ${guest} a disk controller of ${PORT_COUNT} ports`,
  });
}

/** Size of a disk in MB; `undefined` where there is none. */
export async function capacityOf(manage: Manage, file: string): Promise<number | undefined> {
  try {
    return parseCapacity(
      await manage.run(["showmediuminfo", "disk", file], { purpose: `looking at the disk ${file}` }),
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function cannotShrink(guest: string, disk: string, size: number): HostError {
  return new HostError(
    guest,
    `${disk} has ${size} MB, and VirtualBox makes no disk smaller. Set its size in the configuration to ${size} or more`,
  );
}

/** Makes a disk where there is none, grows one that is too small, and attaches it. Only while the guest is off. */
export async function ensureDisk(
  manage: Manage,
  hypervisor: Hypervisor,
  guest: string,
  info: VmInfo,
  disk: { readonly port: 0 | 1; readonly file: string; readonly size: number },
): Promise<void> {
  const { port, file, size } = disk;
  const there = mediumIn(info, port) ?? "none";
  if (there !== "none" && there !== file) {
    throw new HostError(
      guest,
      `its disk port ${port} holds ${there}, which is not this program's ${file}, and is left as it is. ` +
        "Detach it in VirtualBox where the guest does not need it",
    );
  }
  const known = await capacityOf(manage, file);
  if (known === undefined) {
    await scriptOn(hypervisor, `mkdir -p "$(dirname "$1")"`, [file], {
      purpose: `making the folder of ${file}`,
    });
    const make = ["--filename", file, "--size", String(size), "--format", "VDI", "--variant", "Standard"];
    await manage.run(["createmedium", "disk", ...make], {
      purpose: `making the disk ${file}`,
      timeoutSeconds: 300,
    });
  } else if (known < size) {
    await manage.run(["modifymedium", "disk", file, "--resize", String(size)], {
      purpose: `growing the disk ${file}`,
      timeoutSeconds: 600,
    });
    note(guest, `${file} has ${size} MB now, before ${known}`);
  } else if (known > size) {
    throw cannotShrink(guest, file, known);
  } else if (port === ports.data && there === "none") {
    note(guest, `the data disk ${file} of an earlier guest is attached`);
  }
  if (there === "none") await attach(manage, guest, port, "hdd", file);
}

/** Takes the system disk out and away. Only while the guest is off, and only a disk that this program made. */
export async function removeSystemDisk(
  manage: Manage,
  hypervisor: Hypervisor,
  guest: string,
  info: VmInfo,
): Promise<void> {
  const { system } = filesOf(manage.folder, guest);
  if (mediumIn(info, ports.system) === system) await attach(manage, guest, ports.system, "hdd", "none");
  await forget(manage, "disk", system);
  await scriptOn(hypervisor, `rm -f -- "$1"`, [system], { purpose: `removing the system disk of ${guest}` });
}

/**
 * Puts the installer's image into one drive and a config drive into the other, and leads the guest's forward to the
 * address that it has with them.
 */
export async function insertInstaller(
  manage: Manage,
  inputs: Pick<GuestInputs, "hypervisor" | "name" | "iso" | "installerUserData" | "forward">,
): Promise<void> {
  const { hypervisor, name, iso, installerUserData, forward } = inputs;
  const { configDrive } = filesOf(manage.folder, name);
  await writeOn(
    hypervisor,
    configDrive,
    configDriveOf(installerUserData),
    `writing the config drive of ${name}`,
  );
  await attach(manage, name, ports.installer, "dvddrive", iso);
  await attach(manage, name, ports.configDrive, "dvddrive", configDrive);
  if (forward) await leadTo(manage, forward);
}

const drivePorts = [ports.installer, ports.configDrive];

/** The optical drives that a guest has, each as what is in it. */
export function drivesOf(info: VmInfo): string[] {
  return drivePorts.map((port) => mediumIn(info, port) ?? "none").filter((medium) => medium !== "none");
}

/** How many of its optical drives a guest has, where that is not all of them. */
export function missingDrives(info: VmInfo): { opticalDrives?: number } {
  const { length } = drivesOf(info);
  return length === drivePorts.length ? {} : { opticalDrives: length };
}

/** Empty drives, where the installation is done: what goes in later needs no power cycle. */
export async function ensureDrives(manage: Manage, guest: string, info: VmInfo): Promise<void> {
  for (const port of drivePorts) {
    const medium = mediumIn(info, port);
    if (medium === undefined || medium === "none")
      await attach(manage, guest, port, "dvddrive", "emptydrive");
  }
}

/** Takes out what somebody has put into the drives of an installed guest; the files stay where they are. */
export async function emptyDrives(manage: Manage, guest: string, info: VmInfo): Promise<void> {
  for (const port of drivePorts) {
    if (isFilled(mediumIn(info, port))) await attach(manage, guest, port, "dvddrive", "emptydrive");
  }
}

export function isFilled(medium: string | undefined): boolean {
  return medium !== undefined && medium !== "none" && medium !== "emptydrive";
}

/** Takes the config drive out and away: keys of the live installer are on it, and the installed system would read it. */
export async function removeConfigDrive(
  manage: Manage,
  hypervisor: Hypervisor,
  guest: string,
  info: VmInfo,
): Promise<void> {
  const { configDrive } = filesOf(manage.folder, guest);
  const medium = mediumIn(info, ports.configDrive);
  if (medium === configDrive) await attach(manage, guest, ports.configDrive, "dvddrive", "emptydrive");
  await forget(manage, "dvd", configDrive);
  await scriptOn(hypervisor, `rm -f -- "$1"`, [configDrive], {
    purpose: `removing the config drive of ${guest}`,
  });
}

export async function ejectInstaller(manage: Manage, guest: string, info: VmInfo): Promise<void> {
  if (isFilled(mediumIn(info, ports.installer)))
    await attach(manage, guest, ports.installer, "dvddrive", "emptydrive");
}

/** Takes the data disk out of a guest that is about to go, so that it stays. */
export async function detachDataDisk(manage: Manage, guest: string, info: VmInfo): Promise<void> {
  const medium = mediumIn(info, ports.data);
  if (medium === undefined || medium === "none") return;
  await attach(manage, guest, ports.data, "hdd", "none");
  await forget(manage, "disk", medium);
  note(guest, `its data disk ${medium} is kept`);
}

/** VirtualBox remembers media it has seen; one that comes back as another file would be refused. */
async function forget(manage: Manage, kind: "disk" | "dvd", file: string): Promise<void> {
  await manage.run(["closemedium", kind, file], { purpose: `forgetting ${file}` }).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}
