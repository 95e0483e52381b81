/**
 * Services that a refresh has found changed by hand, or gone, for the rest of its run. Pulumi writes what a refresh has found with the
 * first change that follows: in `pulumi up --refresh` the program reads the state of before.
 */

import type { MendedInputs } from "../contract";

/** On globalThis for the same reason as the connections: one process may load this module more than once. */
function found(): Set<string> {
  const holder = globalThis as unknown as Record<symbol, unknown>;
  const key = Symbol.for("@moorage/hosts/services-found-changed");
  return (holder[key] ??= new Set()) as Set<string>;
}

export const isFoundChanged = (service: string): boolean => found().has(service);

export function noteFound(service: string, isChanged: boolean): void {
  if (isChanged) found().add(service);
  else found().delete(service);
}

/** Whether a refresh, of this run or before it, has found one of the services changed by hand, or gone. */
export const isMended = ({ mended }: MendedInputs, services: readonly string[]): boolean =>
  mended === true || services.some(isFoundChanged);

/** The same for an order: what a refresh reads back says what was found before. */
export const isDueToMend = (
  state: MendedInputs,
  inputs: MendedInputs,
  services: readonly string[],
): boolean => state.run !== inputs.run && isMended(inputs, services);
