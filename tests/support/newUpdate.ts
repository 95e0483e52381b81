import { row } from "../../hosts/src/swarm/turn";

/** Makes this process forget failed nodes, as the provider of another update does. */
export function newUpdate(): void {
  Object.assign(row, { stoppedBy: undefined, reason: undefined } satisfies typeof row);
}
