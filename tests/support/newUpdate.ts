import { row } from "../../hosts/src/swarm/turn";

/** From here on all is another update's, as if its provider had just started: none of its nodes has failed yet. */
export function newUpdate(): void {
  Object.assign(row, { stoppedBy: undefined, reason: undefined } satisfies typeof row);
}
