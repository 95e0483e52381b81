/** What a reinstallation takes, looked at while every node still serves. */
import type { PreflightHost, PreflightInputs } from "../contract";
import { equal } from "../diff";
import { HostError, reasonOf } from "../errors";
import { imageFault } from "../installation/image";
import { endReinstallation, requireReinstallable } from "../virtualbox/again";
import type { Looked } from "./parse";
import { takenFaults } from "./taken";

/**
 * Which of the nodes that are there already will be installed anew, by what they themselves show: an update may have
 * stopped among them. Pure.
 */
function installedAnew(
  before: PreflightInputs | undefined,
  inputs: PreflightInputs,
  looked: ReadonlyMap<string, Looked>,
): string[] {
  const written = [before?.format, inputs.format].every((format) => format === "cloud-config");
  return [...looked].flatMap(([name, { stage, facts }]) => {
    const [old, host] = [before?.hosts[name], inputs.hosts[name]];
    if (old === undefined || host?.installHash === undefined) return [];
    if (stage === "installer") return [name];
    // Another cloud-config is applied by a reboot, and leaves everything else on the disk as it is.
    const inPlace = written && equal(old.disk, host.disk) && !moves(old, host);
    const stays = facts.installHash === host.installHash || inPlace;
    return stays ? [] : [name];
  });
}

/** Whether it is reached in another way than before: by a guest's forward, or where SSH goes to the address itself. */
function moves(old: PreflightHost, { address, guest, target }: PreflightHost): boolean {
  return old.address !== address && (guest !== undefined || target.host === address);
}

/** What is in the way of reinstallations, a line each. */
export async function anewFaults(
  before: PreflightInputs | undefined,
  inputs: PreflightInputs,
  looked: ReadonlyMap<string, Looked>,
): Promise<string[]> {
  const { imageIds = [] } = inputs;
  const anew = installedAnew(before, inputs, looked);
  const joining = joiningAnew(before, looked, anew);
  // A system just installed has the configured archives' images alone, and joins before services change theirs.
  const isOld = (image: string) => !imageIds.includes(image);
  // Of a change that an earlier update has begun there may be no way back, so that one that joins may do so then.
  const isLeaving = (image: string) => isOld(image) && before?.imageIds?.includes(image) === true;
  return [
    ...oldServices(anew, "be installed", looked, isOld),
    ...oldServices(joining, "join the Swarm", looked, isLeaving),
    ...(await imageFaults(anew, inputs, looked)),
    ...(await guestFaults(anew, inputs, looked)),
    ...(await takenFaults(anew, before, inputs, looked)),
  ];
}

/**
 * Nodes that are there already, and in no Swarm: their owner has set them up anew, so that they join it before services
 * change their images. Pure.
 */
function joiningAnew(
  before: PreflightInputs | undefined,
  looked: ReadonlyMap<string, Looked>,
  anew: readonly string[],
): string[] {
  return [...looked].flatMap(([name, { facts }]) =>
    before?.hosts[name] && facts.docker?.state === "inactive" && !anew.includes(name) ? [name] : [],
  );
}

/** Services that run from images of archives which `nodes`, that `what` anew, would be without. */
function oldServices(
  nodes: readonly string[],
  what: string,
  looked: ReadonlyMap<string, Looked>,
  isOld: (image: string) => boolean,
): string[] {
  const services = [...looked.values()].flatMap(({ facts }) => facts.services);
  const found = services.filter(({ image }) => image.startsWith("sha256:") && isOld(image));
  const names = [...new Set(found.map(({ name }) => name))].sort();
  if (nodes.length === 0 || names.length === 0) return [];
  return [
    `  ${nodes.join(", ")}: would ${what} anew, without the images that ${names.join(", ")} still ` +
      `${names.length === 1 ? "runs" : "run"} from, as no configured archive holds them: these cannot start there. ` +
      "To do: make one change after the other: name the former archives in `images` and run `pulumi up`; name the " +
      "others after it",
  ];
}

/** The image's file is asked for only where a node will be installed from it. */
async function imageFaults(
  anew: readonly string[],
  { image }: PreflightInputs,
  looked: ReadonlyMap<string, Looked>,
): Promise<string[]> {
  const needed = anew.length > 0 || [...looked.values()].some(({ stage }) => stage === "installer");
  const fault = image && needed ? await imageFault(image) : undefined;
  return fault === undefined ? [] : [`  os.image: ${fault}`];
}

/** One that sits in its live installer has booted it already. */
async function guestFaults(
  anew: readonly string[],
  { hosts }: PreflightInputs,
  looked: ReadonlyMap<string, Looked>,
): Promise<string[]> {
  const faults = anew.map(async (name) => {
    const guest = hosts[name]?.guest;
    if (!guest || looked.get(name)?.stage === "installer") return [];
    try {
      await requireReinstallable(guest);
      return [];
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      return [`  ${name}: ${reasonOf(error, name)}`];
    }
  });
  return (await Promise.all(faults)).flat();
}

/**
 * An update that was cut off may have marked a guest as one that has left the Swarm to be reinstalled. Where that change
 * was taken back, or the node is in the Swarm all the same, the mark has to go.
 * @throws HostError where the hypervisor cannot be asked.
 */
export async function endTakenBack(
  before: PreflightInputs | undefined,
  { hosts }: PreflightInputs,
  looked: ReadonlyMap<string, Looked>,
): Promise<void> {
  const ends = [...looked].map(async ([name, { stage, facts }]) => {
    const [old, host] = [before?.hosts[name], hosts[name]];
    if (!old || !host?.guest || old.installHash === host.installHash || stage === "installer") return;
    const isBack = facts.installHash === host.installHash || facts.docker?.state === "active";
    if (isBack) await endReinstallation(host.guest);
  });
  await Promise.all(ends);
}
