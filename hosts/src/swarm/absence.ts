/** What a node that was taken out of service had, noted on the node itself: an interrupted update puts it back later. */
import type { Connection } from "../contract";
import { readNoted, removeNoted, writeNoted } from "../noted";
import type { NodeSpec } from "./types";

/** On the disk, as the node may be rebooted meanwhile. */
export const ABSENCE_FILE = "/etc/moorage/out-of-service";

export interface Absence {
  readonly availability: NodeSpec["Availability"];
  /** Ids of the services that had a task here. */
  readonly services: readonly string[];
}

export async function readAbsence(connection: Connection): Promise<Absence | undefined> {
  const text = await readNoted(connection, ABSENCE_FILE);
  return text.trim() === "" ? undefined : (JSON.parse(text) as Absence);
}

export function recordAbsence(connection: Connection, absence: Absence): Promise<void> {
  return writeNoted(connection, ABSENCE_FILE, absence);
}

export function forgetAbsence(connection: Connection): Promise<void> {
  return removeNoted(connection, ABSENCE_FILE);
}
