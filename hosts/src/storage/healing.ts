/** What the first storage node brings to the drives that have missed it. */
import type { Connection } from "../contract";
import { HostError, reasonOf } from "../errors";
import { HEALING_SCRIPT } from "../rendered";
import { runScript } from "../ssh/exec";
import { Deadline, poll } from "../time";

/** How long it may take to bring to all drives what one of them has missed: that looks at every object. */
const HEALING_SECONDS = 3600;
/** What the line below ends with where nothing heals there. */
const NOT_THERE = 69;

const line = `test -e "$1" || exit ${NOT_THERE}; exec sh "$1" whole`;

/**
 * Waits until all drives of MinIO hold everything, and heals what is missing at once. What fails is tried again for
 * `timeoutSeconds`; a heal that is under way then may take an hour.
 * @returns false where nothing heals there: it is switched off, or the part of it is yet to come.
 * @throws HostError in the name of `node`.
 */
export async function waitUntilHealed(
  node: string,
  first: Connection,
  timeoutSeconds: number,
): Promise<boolean> {
  let reason = "";
  const healed = await poll(new Deadline(timeoutSeconds), 5, async () => {
    try {
      const { code } = await runScript(first, line, [HEALING_SCRIPT], {
        sudo: true,
        timeoutSeconds: HEALING_SECONDS,
        purpose: "healing what a drive has missed",
        accept: [0, NOT_THERE],
      });
      return code === 0;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      reason = reasonOf(error, first.node);
      return undefined;
    }
  });
  if (healed === undefined) throw new HostError(node, `MinIO on ${first.node}: ${reason}`);
  return healed;
}
