import { isDeepStrictEqual } from "node:util";
import { partsOf, type Properties, type Property } from "./properties";
import { isObject, type Values } from "./values";

/** One value that is another in the new inputs. */
export interface Difference {
  /** Such as `taskSpec.containerSpec.args`; a list is one value. */
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  /** Whether it takes another resource. */
  readonly replaces: boolean;
}

/** What changes from recorded outputs to new inputs. */
export function changesOf(properties: Properties, outputs: Values, inputs: Values): Difference[] {
  return differences(properties, outputs, kept(properties, inputs, outputs), "");
}

function differences(properties: Properties, old: Values, now: Values, at: string): Difference[] {
  return Object.entries(properties).flatMap(([key, rule]) => {
    const [before, after] = [old[key], now[key]];
    if (rule.kind === "map") {
      return mapDifferences(rule, (before ?? {}) as Values, (after ?? {}) as Values, at + key);
    }
    const parts = isObject(before) && partsOf(rule, after);
    if (parts) return differences(parts, before, after as Values, `${at + key}.`);
    const [one, other] = [comparable(rule, before), comparable(rule, after)];
    return isDeepStrictEqual(one, other) ? [] : [difference(rule, one, other, at + key)];
  });
}

/** In a map, what is empty is there too. */
function mapDifferences(rule: Property, old: Values, now: Values, path: string): Difference[] {
  const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter(
    (key) => old[key] !== now[key],
  );
  const at = (key: string): string => (/^\w+$/.test(key) ? `${path}.${key}` : `${path}["${key}"]`);
  return keys.map((key) => difference(rule, old[key], now[key], at(key)));
}

function difference({ replaces = false }: Property, one: unknown, other: unknown, path: string): Difference {
  return { path, kind: one === undefined ? "add" : other === undefined ? "delete" : "update", replaces };
}

function comparable({ many }: Property, value: unknown): unknown {
  const there = filled(value);
  return many === "set" && Array.isArray(there) ? new Set(there) : there;
}

/** Values without what is empty: nothing, an empty text, list or map, zero, false. */
function filled(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(filled);
  if (!isObject(value)) return value || undefined;
  const there = Object.entries(value).flatMap(([key, inner]) => {
    const one = filled(inner);
    return one === undefined || key === "__defaults" ? [] : [[key, one] as const];
  });
  return there.length === 0 ? undefined : Object.fromEntries(there);
}

/** The inputs, and what the resource has besides them or for those that keep their value where nothing is given. */
export function kept(properties: Properties, inputs: Values, outputs: Values): Values {
  const entries = Object.entries(properties).flatMap(([key, rule]) => {
    const [given, had] = [inputs[key] ?? undefined, outputs[key]];
    const parts = typeof rule.kind === "object" && isObject(had) && partsOf(rule, given);
    const value = parts ? kept(parts, given as Values, had) : (given ?? (rule.computed ? had : undefined));
    return value === undefined ? [] : [[key, value] as const];
  });
  const others = Object.entries(outputs).filter(([key]) => !(key in properties));
  return Object.fromEntries([...others, ...entries]);
}

/** The inputs after a refresh: what differs from before is as it was found, and nothing is added. */
export function followed(properties: Properties, inputs: Values, before: Values, after: Values): Values {
  const entries = Object.entries(inputs).map(([key, value]) => {
    const rule = properties[key];
    const [old, now] = [before[key], after[key]];
    if (!rule || isDeepStrictEqual(comparable(rule, old), comparable(rule, now))) return [key, value];
    const parts = partsOf(rule, value);
    if (!parts) return [key, filled(now)];
    return [key, followed(parts, value as Values, (old ?? {}) as Values, (now ?? {}) as Values)];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}
