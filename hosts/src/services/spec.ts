/** What a service's tasks run by, as Docker shows it. */
import { createHash } from "node:crypto";
import { equal } from "../diff";
import type { SwarmService, TaskSpec } from "../swarm/types";

/** Placement is left out, as Swarm keeps a task whose node still satisfies it; Runtime is only on services. */
export function sameSpec(task: TaskSpec, template: TaskSpec): boolean {
  return equal(normal(task), normal(template));
}

function normal(spec: TaskSpec): unknown {
  return withoutEmpty({ ...spec, Runtime: undefined, Placement: undefined });
}

/** Docker shows an empty object, an empty list and nothing at all for the same thing. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, item]) => [key, withoutEmpty(item)] as const)
    .filter(([, item]) => item !== undefined && item !== null);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** As a set, as which a container takes them: Docker's client sorts them in any update. */
function inAnyOrder(list: unknown): unknown {
  return Array.isArray(list) ? list.map((item) => JSON.stringify(withoutEmpty(item))).sort() : list;
}

/**
 * SHA-256 of what a service's tasks run by and of how many there are, hexadecimal. Another one means that the service was
 * changed. A restart that somebody asked for (`docker service update --force`) is no change, whatever else Docker's client says of
 * a service in any update: its runtime, the platforms that its image is for, and mounts and limits in the client's order
 * (`updateService` in docker/cli's cli/command/service/update.go).
 */
export function digestOf({ Spec: { TaskTemplate, Mode } }: SwarmService): string {
  const Placement = { Constraints: TaskTemplate.Placement?.Constraints };
  const { Mounts, Ulimits, ...container } = TaskTemplate.ContainerSpec ?? {};
  const ContainerSpec = { ...container, Mounts: inAnyOrder(Mounts), Ulimits: inAnyOrder(Ulimits) };
  const spec = withoutEmpty([
    { ...TaskTemplate, ContainerSpec, Placement, ForceUpdate: undefined, Runtime: undefined },
    Mode,
  ]);
  return createHash("sha256").update(JSON.stringify(spec)).digest("hex");
}
