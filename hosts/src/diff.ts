/** What a changed input means, without asking any host. */
import type { Connection, Diff } from "./contract";

/** What Pulumi passes for a value that is not known yet, whatever its type. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export interface DiffRules {
  /** Keys that only outputs have. */
  readonly outputOnly?: readonly string[];
  /** Keys whose change alone is nothing to do. */
  readonly ignored?: readonly string[];
  /** Keys whose change cannot be made in place. */
  readonly replace?: readonly string[];
  /** Keys that hold a connection; another `node` in it means another host, and replaces. */
  readonly connections?: readonly string[];
}

/** Compares key by key; the order of keys inside objects means nothing, and absent is the same as `null`. */
export function diffOf(state: object, inputs: object, rules: DiffRules = {}): Diff {
  const { outputOnly = [], ignored = [], replace = [], connections = [] } = rules;
  const olds = state as Record<string, unknown>;
  const news = inputs as Record<string, unknown>;
  const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter(
    (key) => key !== "__provider" && !outputOnly.includes(key) && !ignored.includes(key),
  );
  const changedKeys = keys.filter((key) => !equal(olds[key], news[key])).sort();
  const replaces = changedKeys.filter(
    (key) => replace.includes(key) || (connections.includes(key) && otherNode(olds[key], news[key])),
  );
  return {
    changes: changedKeys.length > 0,
    changedKeys,
    replaces,
    ...(replaces.length > 0 ? { deleteBeforeReplace: true } : {}),
  };
}

function otherNode(old: unknown, next: unknown): boolean {
  const node = (value: unknown) => (value as Connection | undefined)?.node;
  return next !== UNKNOWN && node(old) !== node(next);
}

/** Deep equality of plain values. An unknown value equals nothing, not even itself. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === UNKNOWN || b === UNKNOWN) return false;
  if (a === undefined || a === null) return b === undefined || b === null;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => equal(item, b[index]));
  }
  if (typeof a !== "object" || typeof b !== "object" || b === null || Array.isArray(b)) return a === b;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) =>
    equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
  );
}
