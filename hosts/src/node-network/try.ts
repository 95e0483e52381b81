/** Trying another network on a node: kept once SSH was reached anew, taken back by the node otherwise. */
import type { NodeNetworkInputs } from "../contract";
import { HostError, UnreachableError, reasonOf } from "../errors";
import { note } from "../log";
import { runScript } from "../ssh/exec";
import { dropConnection } from "../ssh/pool";
import { Deadline, poll } from "../time";
import { inTrial, once, WentBack } from "../trial";
import { leftToChange, look } from "./look";
import { BACK_UNIT, confirmScript, pathsOf, tryScript, type Change } from "./scripts";

/** How long after its time a node may take to have gone back. */
const RETURN_SECONDS = 60;

/**
 * Tries the change when it is the node's turn, which is drained meanwhile.
 * @throws HostError where the node went back; it is in service then, and those after it are left as they are.
 */
export function tryInTurn(inputs: NodeNetworkInputs, change: Change): Promise<void> {
  return inTrial(inputs.connection, inputs.cluster, "its former network", () => tryOut(inputs, change));
}

async function tryOut(inputs: NodeNetworkInputs, change: Change): Promise<void> {
  const { connection, tryoutSeconds } = inputs;
  const { node } = connection;
  await runScript(connection, tryScript(inputs, change), [], {
    sudo: true,
    purpose: "handing over the new network",
  });
  note(node, `tries its new network, for at most ${tryoutSeconds} s`);
  const deadline = new Deadline(tryoutSeconds + RETURN_SECONDS);
  let last = "";
  let applied = false;
  const ended = await poll(deadline, 1, async () => {
    // A connection from before the change proves nothing.
    dropConnection(connection);
    try {
      const seen = await look(connection, pathsOf(change), once);
      if (seen.change === "applied" && applied && (await confirmed(inputs))) return { problem: undefined };
      applied = seen.change === "applied";
      if (seen.change !== "none") return undefined;
      const left = leftToChange(change, seen);
      return left.wanted.length + left.gone.length === 0 ? { problem: undefined } : { problem: seen.problem };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      last = reasonOf(error, node);
      return undefined;
    }
  });
  if (ended === undefined) throw lost(inputs, last);
  if (ended.problem !== undefined) throw wentBack(inputs, change, ended.problem, last);
  note(node, `has its new network after ${deadline.elapsed} s`);
}

async function confirmed({ connection }: NodeNetworkInputs): Promise<boolean> {
  const { stdout } = await runScript(connection, confirmScript, [], {
    sudo: true,
    timeoutSeconds: 10,
    patience: once,
    purpose: "keeping the new network",
  });
  return stdout.trim().endsWith("kept");
}

function wentBack(
  { connection, service, tryoutSeconds }: NodeNetworkInputs,
  change: Change,
  problem: string,
  last: string,
): WentBack {
  const { node, user, host, port } = connection;
  const why =
    problem === ""
      ? `with the new one, SSH did not return at ${user}@${host}:${port} within ${tryoutSeconds} s${last === "" ? "" : ` (${last})`}`
      : `${service} refused the new one: ${problem}`;
  return new WentBack(
    node,
    `went back by itself to its former network: ${why}. Tried: ${pathsOf(change).join(", ")}. ` +
      `Correct nodes.${node} or network in the configuration, and run again.`,
  );
}

function lost({ connection, tryoutSeconds }: NodeNetworkInputs, last: string): UnreachableError {
  return new UnreachableError(
    connection.node,
    `does not answer, with neither its new network nor, ${tryoutSeconds + RETURN_SECONDS} s later, its former one: ${last}. ` +
      `See on its console; \`systemctl start ${BACK_UNIT}\` there, or a reboot, puts the former one back.`,
  );
}
