/** A part that all nodes have and clients are served by: changed node by node, and put back where it does not work. */
import type { NodeFilesInputs, NodeFilesOutputs } from "../contract";
import { HostError, PartialFailure, reasonOf } from "../errors";
import { Semaphore } from "../locks";
import { note, warn } from "../log";
import { couldNotAsk } from "../ssh/pool";
import { differing, touchesUnits } from "./plan";

type Ensure = (inputs: NodeFilesInputs, before?: NodeFilesOutputs) => Promise<NodeFilesOutputs>;

interface Rollout {
  readonly turn: Semaphore;
  /** Nodes that get what all agree on. */
  readonly agreeing: Promise<unknown>[];
  /** The node that it did not work on. */
  stoppedBy?: string;
}

const rollouts = new Map<string, Rollout>();

function rolloutOf(part: string): Rollout {
  const known = rollouts.get(part) ?? { turn: new Semaphore(1), agreeing: [] };
  rollouts.set(part, known);
  return known;
}

/**
 * Changes the part on its node. What nodes have to agree on comes first, on all of them at once: neighbours that disagree
 * about their VIP both take it. The rest comes on one node after the other, where units restart or read it anew: the
 * first on which they do not work goes back, and those after it are left as they are.
 */
export async function rolled(
  id: string,
  inputs: NodeFilesInputs,
  before: NodeFilesOutputs,
  ensure: Ensure,
): Promise<NodeFilesOutputs> {
  const rollout = rolloutOf(inputs.part);
  const { node } = inputs.connection;
  const agreeing = onlyAgreed(inputs, before);
  const first = agreeing && noting(rollout, node, () => orBack(agreeing, before, ensure));
  if (first) rollout.agreeing.push(first);
  const agreed = (await first) ?? before;
  try {
    if (!touchesUnits(agreed, inputs)) return await orBack(inputs, agreed, ensure);
    return await rollout.turn.use(() => inTurn(rollout, inputs, agreed, ensure));
  } catch (error) {
    // That stays, as the other nodes have it, too.
    throw agreeing ? new PartialFailure(id, agreed, error) : error;
  }
}

/** The part as it is, but with what nodes have to agree on as it will be; nothing where that is the same. */
function onlyAgreed(inputs: NodeFilesInputs, before: NodeFilesOutputs): NodeFilesInputs | undefined {
  const agreed = Object.entries(inputs.files).filter(([, file]) => file.agreed);
  const files = { ...before.files, ...Object.fromEntries(agreed) };
  const agreeing = { ...inputs, files, units: wantedAgain(before, inputs) };
  return differing(before, agreeing).written.length > 0 ? agreeing : undefined;
}

async function inTurn(
  rollout: Rollout,
  inputs: NodeFilesInputs,
  before: NodeFilesOutputs,
  ensure: Ensure,
): Promise<NodeFilesOutputs> {
  const { node } = inputs.connection;
  // One that changes and others that are still about to agree would be too many at once.
  await Promise.allSettled(rollout.agreeing);
  if (rollout.stoppedBy !== undefined) {
    throw new HostError(
      node,
      `${inputs.part} is left as it is, as what was changed does not work on ${rollout.stoppedBy}`,
    );
  }
  return noting(rollout, node, () => orBack(inputs, before, ensure));
}

/** After a failure no other node has its turn. */
async function noting<T>(rollout: Rollout, node: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    rollout.stoppedBy ??= node;
    throw error;
  }
}

async function orBack(
  inputs: NodeFilesInputs,
  before: NodeFilesOutputs,
  ensure: Ensure,
): Promise<NodeFilesOutputs> {
  try {
    return await ensure(inputs, before);
  } catch (error) {
    if (!(error instanceof HostError) || couldNotAsk(error)) throw error;
    const { node } = inputs.connection;
    note(node, `${inputs.part}: what was changed does not work; going back`);
    try {
      // What is recorded becomes what is wanted.
      await ensure({ ...inputs, files: before.files, units: wantedAgain(before, inputs) }, inputs);
    } catch (again) {
      if (!(again instanceof HostError)) throw again;
      warn(node, `${inputs.part}: what was there before does not work either: ${reasonOf(again, node)}`);
      throw error;
    }
    throw new HostError(node, `went back to what it had before: ${reasonOf(error, node)}`);
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
