import { recordedSwarm, removeUnrecorded, type NamedKind, type RecordedSwarm } from "@moorage/hosts";
import * as pulumi from "@pulumi/pulumi";
import { stackReference } from "./stack";

/**
 * A name for a service or network that nothing unrecorded has. An update that is killed between Docker's answer
 * and the state leaves such a thing behind, and the next update would fail on its name; so it is removed first.
 *
 * @param label `key=value` that everything of the stack carries; what does not carry it is left alone and refused
 * @param ready known once the Swarm can be asked
 */
export function freeName(
  kind: NamedKind,
  name: string,
  label: string,
  ready: pulumi.Output<string[]>,
): pulumi.Input<string> {
  if (pulumi.runtime.isDryRun()) {
    return name;
  }
  const free = async (): Promise<string> => {
    const { managers, names } = await recordedOnce(ready);
    if (!names.has(name)) {
      await removeUnrecorded(managers, kind, name, label).catch(tell);
    }
    return name;
  };
  // No output: what depends on a resource by a property that cannot change is replaced with it, and all services would
  // go with any member of the Swarm that gets another address.
  return free();
}

/**
 * What is refused is said in its own words: without the stack of what asked for it, and without what Pulumi puts before a
 * message, the name of a property for each resource that waits for the one that failed.
 */
function tell(error: unknown): never {
  if (!(error instanceof Error)) throw error;
  const { message } = error;
  throw Object.defineProperty(new pulumi.RunError(message), "message", {
    get: () => message,
    set: () => undefined,
  });
}

/** Every service asks. Before the Swarm is there its managers are not recorded. */
function recordedOnce(ready: pulumi.Output<string[]>): Promise<RecordedSwarm> {
  return new Promise((resolve, reject) => {
    ready.apply(() => (recorded ??= recordedSwarm(stackReference())).then(resolve, reject));
  });
}

let recorded: Promise<RecordedSwarm> | undefined;
