import { expect, test } from "vitest";
import { parse } from "yaml";
import { ConfigError } from "../../../config/problem";
import { parseStackConfig, type StackConfig } from "../../../config/stack";
import { machinesStack, rawStack, type RawConfig } from "../../support/stacks";

/** Values by path, such as `edge.port`; `null` takes a key away. In YAML or as an object. */
export type Settings = string | Readonly<Record<string, unknown>>;

/** The lab's stack for machines, or a stack file, with some values set. */
export function rawWith(settings: Settings, stack?: string): RawConfig {
  const raw = structuredClone(stack === undefined ? machinesStack() : rawStack(stack));
  const values = typeof settings === "string" ? (parse(settings) as object) : settings;
  for (const [path, value] of Object.entries(values ?? {})) set(raw, path.split("."), value ?? undefined);
  return raw;
}

export const configWith = (settings: Settings, stack?: string): StackConfig =>
  parseStackConfig(rawWith(settings, stack));

/** The mistakes of a configuration, as `path: found; wanted`. */
export function mistakesOf(raw: RawConfig): string[] {
  try {
    parseStackConfig(raw);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((one) => `${one.path}: ${one.found}; ${one.wanted}`);
  }
  return [];
}

export const mistakesWith = (settings: Settings, stack?: string): string[] =>
  mistakesOf(rawWith(settings, stack));

/** Tests that each of these settings, in YAML, has these mistakes and no other. */
export function testMistakes(table: Readonly<Record<string, string | readonly string[]>>, stack?: string) {
  test.each(Object.entries(table))("%s", (settings, wanted) => {
    expect(mistakesWith(settings, stack)).toEqual([wanted].flat());
  });
}

/** Defines a value: assigned, `__proto__` would not be a key like others, as it is for JSON's parser. */
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
