/** The mark that a member of our Swarm leaves on its host, so that preflight can tell it from a stranger. */
import type { Connection } from "../contract";
import { readNoted, removeNoted, writeNoted } from "../noted";
import { parseMark } from "../preflight/parse";
import type { Mark } from "../preflight/parse";
import { SWARM_MARK } from "../preflight/script";

export async function readMark(connection: Connection): Promise<Mark> {
  return parseMark(await readNoted(connection, SWARM_MARK));
}

/** Written before a node joins and after: an interruption in between leaves a member that is known to be ours. */
export function writeMark(connection: Connection, mark: Mark): Promise<void> {
  return writeNoted(connection, SWARM_MARK, mark);
}

export function removeMark(connection: Connection): Promise<void> {
  return removeNoted(connection, SWARM_MARK);
}
