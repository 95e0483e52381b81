/** A part that a node has already: changed node by node where units take part, and put back where it does not work. */
import type { NodeFilesInputs, NodeFilesOutputs } from "../contract";
import { equal } from "../diff";
import { HostError, PartialFailure, reasonOf } from "../errors";
import { note, warn } from "../log";
import { withoutProvider } from "../operation";
import { couldNotAsk } from "../ssh/pool";
import { dockerIfThere } from "../swarm/managers";
import { endAbsence } from "../swarm/out-of-service";
import { beforeTurns, inTurn, mayGo, orStop } from "../swarm/turn";
import { inTrial, WentBack } from "../trial";
import { carryOut, settle, stopsContainers } from "./apply";
import { lookAhead, place, type Ahead } from "./place";
import { writtenFiles } from "./plan";

type Change = (inputs: NodeFilesInputs, before: NodeFilesOutputs) => Promise<void>;

const FORMER = "what it had before";

/**
 * Changes the part on its node. What nodes have to agree on comes first, on all of them at once: neighbours that disagree
 * about their VIP both take it. It stays where the rest goes back, as the other nodes have it, too.
 */
export async function changed(id: string, inputs: NodeFilesInputs, before: NodeFilesOutputs): Promise<void> {
  const agreed = onlyAgreed(inputs, before);
  if (!agreed) return nodeByNode(inputs, before);
  await beforeTurns(() => agree(agreed, before));
  try {
    await nodeByNode(inputs, agreed);
  } catch (error) {
    throw new PartialFailure(id, withoutProvider(agreed), error);
  }
}

/** The part as it is, but with what nodes have to agree on as it will be; nothing where that is the same. */
function onlyAgreed(inputs: NodeFilesInputs, before: NodeFilesOutputs): NodeFilesInputs | undefined {
  const agreed = Object.entries(inputs.files).filter(([, file]) => file.agreed);
  const files = { ...before.files, ...Object.fromEntries(agreed) };
  const agreeing = { ...inputs, files, units: wantedAgain(before, inputs) };
  return writtenFiles(before, agreeing).length > 0 ? agreeing : undefined;
}

async function agree(agreed: NodeFilesInputs, before: NodeFilesOutputs): Promise<void> {
  // Whoever cannot be asked fails here, and keeps nobody from taking a turn.
  await lookAhead(agreed, before);
  await orStop(agreed.connection.node, () => orBack(agreed, before, together), whyStopped);
}

const together: Change = async (inputs, before) => {
  const pending = await place(inputs, before);
  // What an earlier run has left to do stays noted for the node's turn where it stops containers.
  if (!stopsContainers(inputs, pending)) await carryOut(inputs, pending, true);
};

/**
 * What stops containers takes the node out of service; other units start, stop, restart and read files anew on one node
 * at a time. The first on which the change does not work goes back, and those after it are left as they are. What is only
 * written comes on all nodes at once.
 */
async function nodeByNode(inputs: NodeFilesInputs, before: NodeFilesOutputs): Promise<void> {
  // As in `agree`.
  const ahead = await lookAhead(inputs, before);
  const { connection, cluster } = inputs;
  if (cluster && stopsContainers(inputs, ahead.pending)) {
    await inTrial(connection, cluster, FORMER, () => orBack(inputs, before, inItsTurn));
    // Of a node whose Docker did not answer nobody could say whether it is out of service.
    if (ahead.pending.outOfService) await endAbsence(connection, cluster);
    return;
  }
  return ahead.touchesUnits ? afterOthers(inputs, before, ahead) : orBack(inputs, before, atOnce);
}

const inItsTurn: Change = async (inputs, before) => carryOut(inputs, await place(inputs, before), true);

const atOnce: Change = async (inputs, before) => settle(inputs, await place(inputs, before));

const whyStopped = (error: unknown) =>
  error instanceof WentBack ? `went back to ${FORMER}` : "could not be changed";

async function afterOthers(
  inputs: NodeFilesInputs,
  before: NodeFilesOutputs,
  { pending }: Ahead,
): Promise<void> {
  const { connection, cluster } = inputs;
  const { node } = connection;
  // Those before it may wait for its Docker in their turn, and this change be what starts it.
  if ((await dockerIfThere(connection)) instanceof HostError) {
    mayGo(node);
    return orStop(node, () => orBack(inputs, before, atOnce), whyStopped);
  }
  // So may they for what would run here.
  if (pending.outOfService && cluster) await endAbsence(connection, cluster);
  return inTurn(
    node,
    () => Promise.resolve(),
    () => orBack(inputs, before, inItsTurn),
    whyStopped,
  );
}

async function orBack(inputs: NodeFilesInputs, before: NodeFilesOutputs, change: Change): Promise<void> {
  try {
    await change(inputs, before);
  } catch (error) {
    const former = { ...inputs, files: before.files, units: wantedAgain(before, inputs) };
    const isSame = equal([former.files, former.units], [inputs.files, inputs.units]);
    if (!(error instanceof HostError) || couldNotAsk(error) || isSame) throw error;
    const { node } = inputs.connection;
    note(node, `${inputs.part}: what was changed does not work; going back`);
    try {
      // What is recorded becomes what is wanted.
      await change(former, inputs);
    } catch (again) {
      if (!(again instanceof HostError)) throw again;
      warn(node, `${inputs.part}: ${FORMER} does not work either: ${reasonOf(again, node)}`);
      throw error;
    }
    throw new WentBack(node, `went back to ${FORMER}: ${reasonOf(error, node)}`);
  }
}

/** The units as they are recorded. What was found to be partly on was wanted by nobody. */
function wantedAgain(before: NodeFilesOutputs, inputs: NodeFilesInputs): NodeFilesInputs["units"] {
  return Object.fromEntries(
    Object.entries(before.units).map(([name, { enabled, ...unit }]) => {
      const wanted = enabled === "partly" ? inputs.units[name]?.enabled : enabled;
      return [name, { ...unit, ...(wanted === undefined ? {} : { enabled: wanted }) }];
    }),
  );
}
