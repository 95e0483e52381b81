/** The keys of a JSON object that is text in a file: whose they are, and what stays without ours. Pure functions. */
import { isDeepStrictEqual } from "node:util";

export type Keys = Readonly<Record<string, unknown>>;

/** The keys in a text; an empty one has none, and `undefined` is one that is no JSON object. */
export function keysIn(text: string): Keys | undefined {
  if (text.trim() === "") return {};
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Keys) : undefined;
  } catch {
    return undefined;
  }
}

export const textOf = (keys: Keys) => `${JSON.stringify(keys, null, 2)}\n`;

/** What a file holds of the recorded keys, as text: the recorded one where all are there as recorded. */
export function ownKeys(recorded: string, actual: string): string {
  const ours = keysIn(recorded) ?? {};
  const found = keysIn(actual);
  if (found === undefined) return actual;
  const picked = pick(found, (key) => key in ours);
  return isDeepStrictEqual(picked, ours) ? recorded : textOf(picked);
}

/** A file's keys with those of `ours` taken away, or back at what they were. */
export function withoutOurs(ours: Keys, current: Keys, original: Keys): Keys {
  return { ...pick(current, (key) => !(key in ours)), ...pick(original, (key) => key in ours) };
}

function pick(keys: Keys, wanted: (key: string) => boolean): Keys {
  return Object.fromEntries(Object.entries(keys).filter(([key]) => wanted(key)));
}
