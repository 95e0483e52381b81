import { ConfigError } from "../../../config/problem";
import { parseStackConfig } from "../../../config/stack";
import { machinesStack, rawStack, type RawConfig } from "../../support/stacks";

/** Values by path, such as `edge.port`. */
export type Settings = Readonly<Record<string, unknown>>;

/** The mistakes of the lab's stack for machines, or of a stack file, with some values set, as `path: found; wanted`. */
export function mistakesWith(settings: Settings, stack?: string): string[] {
  const raw = structuredClone(stack === undefined ? machinesStack() : rawStack(stack));
  for (const [path, value] of Object.entries(settings)) set(raw, path.split("."), value);
  return mistakesOf(raw);
}

export function mistakesOf(raw: RawConfig): string[] {
  try {
    parseStackConfig(raw);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((one) => `${one.path}: ${one.found}; ${one.wanted}`);
  }
  return [];
}

/** Defined and not assigned, as JSON's parser does: `__proto__` is a key like others. */
export function set(within: object, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  if (rest.length === 0) {
    Object.defineProperty(within, key, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  const inner = Object.getOwnPropertyDescriptor(within, key)?.value as object | undefined;
  if (inner === undefined) set(within, [key], {});
  set((Object.getOwnPropertyDescriptor(within, key)?.value ?? {}) as object, rest, value);
}
