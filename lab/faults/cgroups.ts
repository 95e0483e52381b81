/** The cgroups of a host, as this machine sees them: version 1 with a hierarchy for each controller, or version 2. */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError, readIf } from "../exec";
import type { Place } from "./place";

const ROOT = "/sys/fs/cgroup";

/** A fault that this machine's kernel, or how it is set up, does not allow. */
export class NotHere extends LabError {}

export const isUnified = (): boolean => fs.existsSync(path.join(ROOT, "cgroup.controllers"));

/** The folder that holds all of a host in the hierarchy of a controller (`systemd` has one too). */
export function groupOf({ instance, host }: Place, controller: string): string {
  return path.join(ROOT, ...(isUnified() ? [] : [controller]), instance.prefix, host.name);
}

/** A group and all below it, itself first; none where it is gone. */
export function groupsBelow(group: string): string[] {
  if (!fs.existsSync(group)) return [];
  const below = listed(group).filter((entry) => entry.isDirectory());
  return [group, ...below.flatMap((entry) => groupsBelow(path.join(group, entry.name)))];
}

/** Groups come and go while they are looked at. */
function listed(group: string): fs.Dirent[] {
  try {
    return fs.readdirSync(group, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** The processes of a group and of all below it. */
export function processesOf(group: string): number[] {
  const texts = groupsBelow(group).map((one) => readIf(path.join(one, "cgroup.procs")) ?? "");
  return texts.flatMap((text) => text.split("\n").filter(Boolean).map(Number)).filter((pid) => pid > 0);
}

/** The groups of that name below a host's own: a unit's, or a container's, which Docker names by its id. */
export function groupsNamed(place: Place, controller: string, name: string): string[] {
  return groupsBelow(groupOf(place, controller)).filter((group) => path.basename(group).includes(name));
}

/**
 * Has a host's group keep to a controller's limits: in version 2 it can where the group above hands the controller down,
 * and that is the lab's own. Where the machine has none for that one, `setIn` says so.
 */
export function handDown(place: Place, controller: string): void {
  if (!isUnified()) return;
  const above = path.dirname(groupOf(place, controller));
  try {
    fs.writeFileSync(path.join(above, "cgroup.subtree_control"), `+${controller}`);
  } catch {
    // There is none to hand down.
  }
}

/**
 * Writes a setting of a group; one that is gone by now needs none.
 * @throws NotHere where the group is there, and this machine has no such setting for it
 */
export function setIn(group: string, file: string, value: string): void {
  try {
    fs.writeFileSync(path.join(group, file), value);
  } catch (error) {
    if (fs.existsSync(path.join(group, file))) throw error;
    if (fs.existsSync(group)) throw new NotHere(`this machine's kernel has no ${file} in ${group}`);
  }
}
