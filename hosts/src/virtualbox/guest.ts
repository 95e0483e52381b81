/** A guest: made, read for drift, changed in place or with a power cycle, deleted; its data disk stays. */
import type { Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, recording, unlessUnreachable, withoutProvider } from "../operation";
import { brief } from "../ssh/connect";
import { endAbsence } from "../swarm/out-of-service";
import type { GuestInputs, GuestOutputs, InstalledGuest } from "./contract";
import { requireImage } from "./iso";
import { isMissing, Manage } from "./manage";
import { OFF_KEY, PHASE_KEY, STACK_KEY, notOurs, readMark, writeMark } from "./mark";
import {
  cannotShrink,
  capacityOf,
  detachDataDisk,
  drivesOf,
  ejectInstaller,
  emptyDrives,
  ensureController,
  ensureDisk,
  ensureDrives,
  filesOf,
  insertInstaller,
  isFilled,
  mediumIn,
  missingDrives,
  otherController,
  ports,
  refuseOtherController,
  removeConfigDrive,
} from "./media";
import type { VmInfo } from "./parse";
import { parseVmInfo } from "./parse";
import { OS_TYPE, otherOsType } from "./os-type";
import { awaitInstaller, isOff, offFor, powerOff, powerOn, switchedOff } from "./power";
import { nameOf } from "./run";
import { isConnected, settingArguments, settingsOf } from "./settings";

const MINIMUM_MEMORY = 2048;

export async function infoOf(manage: Manage, name: string): Promise<VmInfo | undefined> {
  try {
    return parseVmInfo(
      await manage.run(["showvminfo", name, "--machinereadable"], {
        purpose: `looking at the guest ${name}`,
      }),
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** What of the guest is ours to read; `undefined` where there is no guest of that name. @throws where it is not ours. */
async function ours(manage: Manage, { name, stack }: GuestInputs): Promise<VmInfo | undefined> {
  const info = await infoOf(manage, name);
  if (!info) return undefined;
  const owner = await readMark(manage, name, STACK_KEY);
  if (owner !== stack) throw notOurs(manage, "guest", name, { target: name, key: STACK_KEY, stack }, owner);
  return info;
}

async function made(manage: Manage, { name, stack }: GuestInputs): Promise<VmInfo> {
  const create = ["--name", name, "--ostype", OS_TYPE, "--basefolder", manage.folder, "--register"];
  await manage.run(["createvm", ...create], {
    purpose: `making the guest ${name}`,
    advice:
      "Where a settings file is left of an earlier guest, look into it, and move its folder away if nothing there is needed",
  });
  await writeMark(manage, name, PHASE_KEY, "installing");
  await writeMark(manage, name, STACK_KEY, stack);
  const info = await infoOf(manage, name);
  if (!info)
    throw new HostError(
      name,
      "the guest is gone a moment after it was made: somebody else deletes guests there",
    );
  return info;
}

/** Brings a guest to what is wanted, from whatever there is of it. */
async function ensure(inputs: GuestInputs): Promise<GuestOutputs> {
  const { hypervisor, name, network, withPowerCycle: wanted } = inputs;
  if (wanted.memory < MINIMUM_MEMORY)
    throw new HostError(
      name,
      `${wanted.memory} MB of memory are too little: ${MINIMUM_MEMORY} MB or more are needed`,
    );
  const manage = await Manage.on(hypervisor);
  const known = await ours(manage, inputs);
  if (!known) note(name, `making the guest: ${wanted.memory} MB, ${wanted.cpus} CPUs`);
  const info = known ?? (await made(manage, inputs));
  const uuid = info.get("UUID") ?? "";
  const found = await current(manage, info, inputs);
  refuseSmaller(name, "system disk", found.systemDisk, wanted.systemDisk);
  refuseSmaller(name, "data disk", found.dataDisk, wanted.dataDisk);
  refuseOtherController(name, info);
  const installing = await isInstalling(manage, name, info);
  const earlier = installing ? undefined : await offFor(manage, name);
  const leftOff = earlier !== undefined && isOff(info);
  const needsCycle = leftOff || diffOf(found, wanted).changes;
  if (needsCycle) {
    await switchedOff(manage, inputs, { installed: !installing, earlier }, async () => {
      const type = found.osType === undefined ? [] : ["--ostype", OS_TYPE];
      await manage.run(["modifyvm", name, ...type, ...settingArguments(manage.version, wanted, network)], {
        purpose: `setting up the guest ${name}`,
      });
      await furnish(manage, inputs, info, installing);
    });
  } else {
    await connect(manage, name, network, info);
  }
  // Cut off a moment after it was started again.
  if (!needsCycle && earlier === "settings") await writeMark(manage, name, OFF_KEY);
  if (!installing) await emptyDrives(manage, name, info);
  if (installing) await bootInstaller(manage, inputs);
  else if (leftOff || !isOff(info)) await backInService(inputs);
  return { ...withoutProvider(inputs), uuid };
}

/** Disks and drives of a guest that is off. */
async function furnish(
  manage: Manage,
  inputs: GuestInputs,
  info: VmInfo,
  installing: boolean,
): Promise<void> {
  const { hypervisor, name, withPowerCycle: wanted } = inputs;
  const files = filesOf(manage.folder, name);
  await ensureController(manage, name, info);
  await ensureDisk(manage, hypervisor, name, info, { port: 0, file: files.system, size: wanted.systemDisk });
  if (wanted.dataDisk !== undefined)
    await ensureDisk(manage, hypervisor, name, info, { port: 1, file: files.data, size: wanted.dataDisk });
  else if (mediumIn(info, ports.data) === files.data) await detachDataDisk(manage, name, info);
  if (!installing) await ensureDrives(manage, name, info);
}

/** Starts a guest whose system disk is not installed yet with the live installer's drives in. */
async function bootInstaller(manage: Manage, inputs: GuestInputs): Promise<void> {
  const info = await infoOf(manage, inputs.name);
  if (!info || !isOff(info)) return;
  // It is handed keys and user data.
  await requireImage(inputs.hypervisor, inputs.iso, inputs.isoSha256);
  await insertInstaller(manage, inputs);
  await powerOn(manage, inputs.name);
  await writeMark(manage, inputs.name, OFF_KEY);
  note(inputs.name, "boots the live installer");
  await awaitInstaller(inputs.installer);
}

/** What a running guest takes of the settings: its network, and its cable. */
async function connect(manage: Manage, name: string, network: string, info: VmInfo): Promise<void> {
  const change = (off: string[], running: string[], purpose: string) =>
    manage.run(isOff(info) ? ["modifyvm", name, ...off] : ["controlvm", name, ...running], { purpose });
  if (networkOf(info, network) !== network) {
    await change(
      ["--nic1", "natnetwork", "--nat-network1", network],
      ["nic1", "natnetwork", network],
      `putting ${name} into the NAT network ${network}`,
    );
  }
  if (!isConnected(info)) {
    await change(["--cableconnected1", "on"], ["setlinkstate1", "on"], `putting in the cable of ${name}`);
  }
}

/** Its NAT network. Some versions tell only that it is in one, which is then taken to be the right one. */
function networkOf(info: VmInfo, wanted: string): string {
  return info.get("nic1") === "natnetwork" ? (info.get("nat-network1") ?? wanted) : "";
}

/** Until its system disk is installed. One that has none has nothing installed, whoever made it, or took it away. */
export async function isInstalling(manage: Manage, name: string, info: VmInfo): Promise<boolean> {
  const phase = await readMark(manage, name, PHASE_KEY);
  if (phase === "installing" || (mediumIn(info, ports.system) ?? "none") !== "none")
    return phase === "installing";
  const { system } = filesOf(manage.folder, name);
  if (phase === "installed" && (await capacityOf(manage, system)) !== undefined) return false;
  await writeMark(manage, name, PHASE_KEY, "installing");
  return true;
}

/** An earlier update may have been cut off between the power cycle and the node's return. */
async function backInService({ name, target, cluster }: GuestInputs): Promise<void> {
  if (cluster === undefined) return;
  await unlessUnreachable(name, "may be out of service still", () => endAbsence(target, cluster));
}

/** Before a guest is switched off for it. */
function refuseSmaller(
  name: string,
  disk: string,
  found: number | undefined,
  size: number | undefined,
): void {
  if (found !== undefined && size !== undefined && found > size)
    throw cannotShrink(name, `its ${disk}`, found);
}

/** What the guest has of all that a power cycle sets. */
async function current(manage: Manage, info: VmInfo, { name, withPowerCycle: wanted }: GuestInputs) {
  const files = filesOf(manage.folder, name);
  const size = async (port: 0 | 1, file: string) =>
    mediumIn(info, port) === file ? await capacityOf(manage, file) : undefined;
  return {
    ...settingsOf(info, wanted),
    ...missingDrives(info),
    ...otherController(info),
    ...(await otherOsType(manage, info)),
    systemDisk: (await size(ports.system, files.system)) ?? 0,
    dataDisk: await size(ports.data, files.data),
  };
}

/** The guest as it is read back. What only a guest with a fault has is left out of one without. */
async function asItIs(manage: Manage, info: VmInfo, state: GuestOutputs): Promise<GuestOutputs> {
  const leftOff = isOff(info) && (await offFor(manage, state.name)) !== undefined;
  if (leftOff) warn(state.name, "a change that was cut off has left it switched off");
  const installed = (await readMark(manage, state.name, PHASE_KEY)) === "installed";
  const inserted = installed ? drivesOf(info).filter(isFilled) : [];
  const outs: { -readonly [Key in keyof GuestOutputs]: GuestOutputs[Key] } = {
    ...state,
    uuid: info.get("UUID") ?? "",
    network: networkOf(info, state.network),
    withPowerCycle: await current(manage, info, state),
  };
  for (const fault of ["leftOff", "cableConnected", "inserted"] as const) delete outs[fault];
  if (leftOff) outs.leftOff = true;
  if (!isConnected(info)) outs.cableConnected = false;
  if (inserted.length > 0) outs.inserted = inserted;
  return outs;
}

async function remove({ hypervisor, name, stack, keepDataDisk }: GuestOutputs): Promise<void> {
  const manage = await Manage.on(hypervisor);
  const info = await infoOf(manage, name);
  // One that somebody else has made since is none of ours.
  if (!info || (await readMark(manage, name, STACK_KEY)) !== stack) return;
  await powerOff(manage, name, { gently: (await readMark(manage, name, PHASE_KEY)) !== "installing" });
  await removeConfigDrive(manage, hypervisor, name, info);
  await ejectInstaller(manage, name, info);
  if (keepDataDisk) await detachDataDisk(manage, name, info);
  await manage.run(["unregistervm", name, "--delete"], {
    purpose: `deleting the guest ${name}`,
    timeoutSeconds: 300,
  });
  note(name, "the guest is deleted");
}

/** Names of the settings that take a power cycle, as far as they are known. */
function changedSettings(state: GuestInputs, inputs: GuestInputs): readonly string[] {
  const [before, after] = [state.withPowerCycle, inputs.withPowerCycle];
  return typeof after === "object" ? diffOf(before, after).changedKeys : [];
}

export const guest: Operation<GuestInputs, GuestOutputs> = {
  async create(inputs) {
    // What a failed creation has made is known by its name from then on.
    const outs = await recording(inputs.name, { ...inputs, uuid: "" }, () => ensure(inputs));
    return { id: outs.uuid, outs };
  },
  read(id, state) {
    return readOrRecorded(nameOf(state.hypervisor), id, state, async () => {
      const manage = await Manage.on(state.hypervisor, { patience: brief });
      const info = await ours(manage, state);
      if (!info) return undefined;
      return { id, outs: await asItIs(manage, info, state) };
    });
  },
  diff(state, inputs) {
    const settings = changedSettings(state, inputs);
    if (settings.length > 0)
      note(
        state.name,
        `this update switches it off, the node drained meanwhile; other: ${settings.join(", ")}`,
      );
    if (state.leftOff) note(state.name, "this update starts it again");
    return diffOf(state, inputs, {
      outputOnly: ["uuid"],
      ignored: ["cluster", "isoSha256"],
      replace: ["name"],
    });
  },
  async update(_id, state, inputs) {
    // Another one in its place would have to be installed, which an update of this one cannot tell anybody.
    if (state.uuid !== "" && !(await infoOf(await Manage.on(inputs.hypervisor), inputs.name))) {
      throw new HostError(
        inputs.name,
        "the guest is gone from the hypervisor. Run `pulumi up --refresh`, which makes it anew and installs it",
      );
    }
    return ensure(inputs);
  },
  async delete(_id, state) {
    await unlessUnreachable(nameOf(state.hypervisor), `its guest ${state.name} stays`, () => remove(state));
  },
};

/** Before the reboot into the installed system, which would read the config drive too. */
export async function beforeReboot({ hypervisor, name }: InstalledGuest): Promise<void> {
  const manage = await Manage.on(hypervisor);
  const info = await infoOf(manage, name);
  if (!info) return;
  await removeConfigDrive(manage, hypervisor, name, info);
  // Whoever switches it off from now on is its owner.
  await writeMark(manage, name, OFF_KEY);
  await writeMark(manage, name, PHASE_KEY, "installed");
}

/** Once the installed system runs: its disk comes first, so this is for tidiness. */
export async function afterInstallation({ hypervisor, name }: InstalledGuest): Promise<void> {
  const manage = await Manage.on(hypervisor);
  const info = await infoOf(manage, name);
  if (info) await ejectInstaller(manage, name, info);
}
