/** Shapes that all operations share. */
import type { ReadResult } from "./contract";
import { HostError, PartialFailure, messageOf, reasonOf } from "./errors";
import { warn } from "./log";
import { couldNotAsk } from "./ssh/pool";

/**
 * A `read` that falls back to what is recorded: a host that cannot be asked says nothing about what it holds.
 * Whatever a host or the way to it refuses is a warning; a mistake in the program is thrown.
 */
export async function readOrRecorded<Outputs>(
  node: string,
  id: string,
  state: Outputs,
  ask: () => Promise<ReadResult<Outputs>>,
): Promise<ReadResult<Outputs>> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    warn(node, `not refreshed, the recorded state stays: ${reasonOf(error, error.node)}`);
    return { id, outs: state };
  }
}

/** Runs the part of a creation after which something stands on the host, and records it when the rest fails. */
export async function recording<T, Outputs extends object>(
  id: string,
  outs: Outputs,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A host that was never reached holds nothing to record.
    if (couldNotAsk(error)) throw error;
    throw new PartialFailure(id, withoutProvider(outs), error);
  }
}

/** Whether another installation lies below than the one that something was put on. */
export function isReinstalled(
  state: { readonly installation?: string },
  inputs: { readonly installation?: string },
): boolean {
  const [before, now] = [state.installation, inputs.installation];
  return before !== undefined && now !== undefined && before !== now;
}

/** The recorded state with what a refresh found amiss under `key`, and without the key where it found nothing. */
export function withFound<Outputs extends object>(
  state: Outputs,
  key: keyof Outputs & string,
  found: readonly string[],
): Outputs {
  const recorded = Object.fromEntries(Object.entries(state).filter(([name]) => name !== key)) as Outputs;
  return found.length > 0 ? { ...recorded, [key]: found } : recorded;
}

/** Pulumi's own key is put back by its shell. */
export function withoutProvider<Inputs extends object>(inputs: Inputs): Inputs {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => key !== "__provider")) as Inputs;
}

/** A deletion on a host that is off or gone: what is left there is said, and the stack forgets it. */
export async function unlessUnreachable(
  node: string,
  left: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!couldNotAsk(error)) throw error;
    warn(node, `${left}: ${messageOf(error)}`);
  }
}
