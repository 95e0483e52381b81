import { isDeepStrictEqual } from "node:util";
import { isObject, partsOf, without, type Properties, type Property, type Values } from "./properties";

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
    const path = /^\w+$/.test(key) || at === "" ? at + key : `${at.slice(0, -1)}["${key}"]`;
    const both =
      rule.kind === "map" ? { ...(before as Values), ...(after as Values) } : isObject(before) && after;
    const parts = partsOf(rule, both);
    if (parts) return differences(parts, (before ?? {}) as Values, (after ?? {}) as Values, `${path}.`);
    const [one, other] = [comparable(rule, before), comparable(rule, after)];
    if (isDeepStrictEqual(one, other)) return [];
    const isNeverAbsent = /boolean|number/.test(String(rule.kind));
    // A text that is recorded as empty is there.
    const kind = one === undefined && before !== "" ? "add" : other === undefined ? "delete" : "update";
    return [{ path, kind: isNeverAbsent ? "update" : kind, replaces: rule.replaces === true }];
  });
}

function comparable({ many, exact }: Property, value: unknown): unknown {
  const there = exact ? value : filled(value);
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
  return { ...without(outputs, ...Object.keys(properties)), ...Object.fromEntries(entries) };
}

/** The inputs after a refresh: what differs from before is as it was found, and nothing is added, also to a list. */
export function followed(properties: Properties, inputs: Values, before: Values, after: Values): Values {
  const entries = Object.entries(inputs).map(([key, value]) => {
    const rule = properties[key];
    const [old, now] = [before[key], after[key]];
    if (!rule || isDeepStrictEqual(comparable(rule, old), comparable(rule, now))) return [key, value];
    const parts = partsOf(rule, value);
    if (parts) return [key, followed(parts, value as Values, (old ?? {}) as Values, (now ?? {}) as Values)];
    return [key, filled(Array.isArray(value) ? (now as unknown[]).slice(0, value.length) : now)];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}
