/** The kernel's freezer: what is frozen runs not one instruction more, and does not know of it afterwards. */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError, must, readIf, waitFor } from "../exec";
import { groupOf, groupsBelow, groupsNamed, isUnified, processesOf, setIn } from "./cgroups";
import type { Place } from "./place";

/** On cgroup 1 a unit of systemd has no group in the freezer's hierarchy: it gets this one. */
const COLD = "moorage-frozen";

/** @param group folder of a cgroup, which holds for all below it */
export function setFrozen(group: string, frozen: boolean): void {
  if (isUnified()) setIn(group, "cgroup.freeze", frozen ? "1" : "0");
  else setIn(group, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

function isFrozen(group: string): boolean {
  if (isUnified()) return /^frozen 1$/m.test(readIf(path.join(group, "cgroup.events")) ?? "");
  return readIf(path.join(group, "freezer.state"))?.trim() === "FROZEN";
}

/** The processes of a host that are frozen to the last of their group. */
export function frozenIn(place: Place): number[] {
  return groupsBelow(groupOf(place, "freezer")).filter(isFrozen).flatMap(processesOf);
}

/** Freezes a container's or a unit's processes. @param name of its cgroup */
export function freezeGroup(place: Place, name: string): void {
  const own = groupsNamed(place, "freezer", name);
  if (own.length > 0) return own.forEach((group) => setFrozen(group, true));
  const cold = path.join(groupOf(place, "freezer"), COLD);
  fs.mkdirSync(cold, { recursive: true });
  for (const group of groupsNamed(place, "systemd", name)) {
    for (const pid of processesOf(group)) setIn(cold, "cgroup.procs", String(pid));
  }
  setFrozen(cold, true);
}

/** Thaws whatever of a host is frozen: single processes, or all of it. */
export async function thaw(place: Place): Promise<void> {
  const whole = groupOf(place, "freezer");
  const cold = path.join(whole, COLD);
  for (const group of groupsBelow(whole)) if (group !== cold) setFrozen(group, false);
  if (!fs.existsSync(cold)) return;
  // Out of the group, which thaws them, before the group is thawed: what runs may start others in it meanwhile.
  const gone = await waitFor(() => Promise.resolve(emptied(cold, whole)), 5000, 20);
  if (!gone) throw new LabError(`${place.host.name} has processes left in ${cold}`);
}

/** What ends stays in its group for a moment, and a number may have no process any more. */
function emptied(group: string, into: string): true | undefined {
  for (const pid of processesOf(group)) {
    try {
      setIn(into, "cgroup.procs", String(pid));
    } catch {
      // It has ended, or the next turn says so.
    }
  }
  try {
    fs.rmdirSync(group);
    return true;
  } catch {
    return undefined;
  }
}

/** The link of a host's port on the lab's bridge. A host that is switched on has a new one, which is up. */
export function setLink({ instance, host }: Place, state: "up" | "down"): Promise<string> {
  return must("ip", ["-n", instance.netns, "link", "set", host.name, state]);
}

/**
 * Freezes all of a host. Its link goes down before, as a frozen kernel answers nothing, and the one that this host
 * shares with the others would go on answering ARP and TCP for it.
 */
export async function freezeHost(place: Place): Promise<void> {
  await setLink(place, "down");
  setFrozen(groupOf(place, "freezer"), true);
}

export async function thawHost(place: Place): Promise<void> {
  await thaw(place);
  await setLink(place, "up");
}
