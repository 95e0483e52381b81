/** What the change of a service waits for, right before it. */
import type { Connection, Operation, ServiceTurnInputs, TurnInputs } from "../contract";
import { diffOf } from "../diff";
import { HostError } from "../errors";
import { note } from "../log";
import { withoutProvider } from "../operation";
import { listNodes, onManager } from "../swarm/managers";
import { Deadline, poll } from "../time";
import { isFoundChanged } from "./found";

/**
 * Waits where the service is about to be changed. An update that is cut off between the two has this done and the change not:
 * so it is done again until the service is recorded as what it is to be.
 * @param own the key of the inputs by which one is told from another
 * @param serviceOf the service's name
 * @param ignored keys of the inputs whose change alone is nothing to wait for
 */
export function turn<Inputs extends TurnInputs>(
  own: keyof Inputs & string,
  serviceOf: (inputs: Inputs) => string | undefined,
  ignored: readonly (keyof Inputs & string)[],
  wait: (inputs: Inputs) => Promise<void>,
): Operation<Inputs, Inputs> {
  /** Whether the service runs as something else than what is wanted, for all that is known. */
  const isDue = (inputs: Inputs) => {
    const { recorded, fingerprint } = inputs;
    return (recorded !== undefined && recorded !== fingerprint) || isFoundChanged(serviceOf(inputs) ?? "");
  };
  const take = async (inputs: Inputs): Promise<Inputs> => {
    if (isDue(inputs)) await wait(inputs);
    return withoutProvider(inputs);
  };
  return {
    async create(inputs) {
      return { id: String(inputs[own]), outs: await take(inputs) };
    },
    read(id, state) {
      return Promise.resolve({ id, outs: state });
    },
    diff(state, inputs) {
      const diff = diffOf(state, inputs, { replace: [own], ignored: ["recorded", "run", ...ignored] });
      // What a refresh reads back says what was recorded before the change.
      const isAsked = state.run !== inputs.run;
      return { ...diff, changes: diff.changes || (isAsked && isDue(inputs)) };
    },
    update(_id, _state, inputs) {
      return take(inputs);
    },
    delete() {
      return Promise.resolve();
    },
  };
}

/** How long the Swarm may take to know of each node whether it is there: the managers give one that is silent 40 s. */
const KNOWN_SECONDS = 60;

/** Names of the nodes of which a new leader does not know yet whether they are there; undefined during an election. */
async function unknownNodes(managers: readonly Connection[]): Promise<string[] | undefined> {
  try {
    const nodes = await onManager(managers, "listing the Swarm's nodes", ({ api }) => listNodes(api));
    return nodes
      .filter(({ Status }) => Status.State === "unknown")
      .map(({ Description }) => Description.Hostname);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return undefined;
  }
}

/**
 * Until the Swarm knows of each node whether it is there. A node that is found to be there while a service with a task on each
 * is changed has its task changed at once, out of turn: after the election of a leader those are all nodes (`reconcileOneNode`
 * in swarmkit's manager/orchestrator/global/global.go). Whatever is not known in time is left to the change itself.
 */
async function nodesKnown({ managers, service }: ServiceTurnInputs): Promise<void> {
  let said = "";
  await poll(new Deadline(KNOWN_SECONDS), 1, async () => {
    const unknown = await unknownNodes(managers);
    if (unknown?.length === 0) return true;
    const who = unknown?.sort().join(", ") ?? "its nodes";
    if (who !== said) note(service, `waits until the Swarm's new leader knows whether it reaches ${who}`);
    said = who;
    return undefined;
  });
}

export const serviceTurn = turn<ServiceTurnInputs>(
  "service",
  ({ service }) => service,
  ["managers"],
  nodesKnown,
);
