/** Where the Docker provider's way in finds its managers: in the stack's own state. */
import type { Connection } from "../contract";
import { recordedState, unwrapped, type RecordedResource } from "../state";

/** What a stack's state says of its Swarm. */
export interface RecordedSwarm {
  /** The managers' connections, in the order they were made. */
  readonly managers: Connection[];
  /** Names of all that is recorded with a name of its own. */
  readonly names: ReadonlySet<string>;
}

/** Ids of all that a stack's state holds, also of what an update is yet to delete. */
export async function recordedIds(stack: string): Promise<Set<string>> {
  const resources = await recordedState(stack, false);
  return new Set(resources.flatMap(({ id }) => (id === undefined ? [] : [id])));
}

/** The Swarm of a stack as recorded, from `pulumi stack export --show-secrets`, run where the project is. */
export async function recordedSwarm(stack: string): Promise<RecordedSwarm> {
  const resources = await recordedState(stack, true);
  return {
    managers: managersIn(resources),
    names: namesIn(resources),
  };
}

/** The connections of a state's Swarm members with the role of a manager, in the order they were made. */
export function managersIn(resources: readonly RecordedResource[]): Connection[] {
  const members = resources.filter((resource) => resource.type?.endsWith(":SwarmMember"));
  return members.flatMap((member) => {
    const values = unwrapped({ ...member.inputs, ...member.outputs }) as {
      role?: string;
      connection?: Connection;
    };
    return values.role === "manager" && values.connection?.host !== undefined ? [values.connection] : [];
  });
}

export function namesIn(resources: readonly RecordedResource[]): Set<string> {
  const names = resources.map((resource) => resource.outputs?.["name"]);
  return new Set(names.filter((name) => typeof name === "string"));
}
