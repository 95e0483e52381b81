/** A part that all nodes have and clients are served by: changed node by node, and put back where it does not work. */
import type { NodeFilesInputs, NodeFilesOutputs } from "../contract";
import { HostError, reasonOf } from "../errors";
import { Semaphore } from "../locks";
import { note, warn } from "../log";
import { couldNotAsk } from "../ssh/pool";
import { restartsUnits } from "./plan";

type Ensure = (inputs: NodeFilesInputs, before?: NodeFilesOutputs) => Promise<NodeFilesOutputs>;

interface Rollout {
  readonly turn: Semaphore;
  /** The node that it did not work on. */
  stoppedBy?: string;
}

const rollouts = new Map<string, Rollout>();

function rolloutOf(part: string): Rollout {
  const known = rollouts.get(part) ?? { turn: new Semaphore(1) };
  rollouts.set(part, known);
  return known;
}

/**
 * Changes the part on its node. Where units restart for it, one node after the other: the first on which they do not
 * run goes back, and those after it are left as they are. Reloads come on all nodes at once, since neighbours that
 * have to agree, as those of one VIP, should not disagree for longer than it takes.
 */
export async function rolled(
  inputs: NodeFilesInputs,
  before: NodeFilesOutputs,
  ensure: Ensure,
): Promise<NodeFilesOutputs> {
  if (!restartsUnits(before, inputs)) return orBack(inputs, before, ensure);
  const rollout = rolloutOf(inputs.part);
  return rollout.turn.use(async () => {
    const { node } = inputs.connection;
    if (rollout.stoppedBy !== undefined) {
      throw new HostError(
        node,
        `${inputs.part} is left as it is, as what was changed does not work on ${rollout.stoppedBy}`,
      );
    }
    try {
      return await orBack(inputs, before, ensure);
    } catch (error) {
      rollout.stoppedBy = node;
      throw error;
    }
  });
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
