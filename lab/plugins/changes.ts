import type { Kind, Properties, Property } from "./properties";
import { same, type Change } from "./standIn";
import type { Values } from "./values";

type Detail = "add" | "delete" | "update";

/** Values without what is empty: nothing, an empty text, list or map, zero, false. */
export function filled(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((one) => filled(one));
  if (typeof value !== "object" || value === null) return value === "" || !value ? undefined : value;
  const entries = Object.entries(value).map(([key, inner]) => [key, filled(inner)] as const);
  const there = entries.filter(([key, inner]) => inner !== undefined && key !== "__defaults");
  return there.length === 0 ? undefined : Object.fromEntries(there);
}

/** The inputs, and what the resource has besides them or for those that keep their value where nothing is given. */
export function kept(properties: Properties, inputs: Values, outputs: Values): Values {
  const entries = Object.entries(properties).map(([key, { kind, computed }]) => {
    const [given, had] = [inputs[key], outputs[key]];
    if (given === undefined || given === null) return [key, computed ? had : undefined];
    const hasParts = typeof kind === "object" && "object" in kind && had;
    return [key, hasParts ? kept(kind.object, given as Values, had as Values) : given];
  });
  const others = Object.entries(outputs).filter(([key]) => !(key in properties));
  return Object.fromEntries([...others, ...entries.filter(([, value]) => value !== undefined)]);
}

/** What changes from recorded outputs to new inputs, by the rules of the published plugin's schema. */
export function changesOf(properties: Properties, outputs: Values, inputs: Values): Change {
  const found: [string, Detail, boolean][] = [];
  compare({ object: properties }, {}, outputs, kept(properties, inputs, outputs), "", found);
  const top = (paths: readonly string[]): string[] => [
    ...new Set(paths.map((path) => path.split(/[.[]/)[0] ?? "")),
  ];
  const replaces = top(found.filter(([, , replace]) => replace).map(([path]) => path));
  return {
    diffs: top(found.map(([path]) => path)).sort(),
    replaces: replaces.sort(),
    detailed: Object.fromEntries(found.map(([path, kind]) => [path, kind])),
    deleteBeforeReplace: replaces.length > 0,
  };
}

function compare(
  kind: Kind,
  rule: Partial<Property>,
  old: unknown,
  now: unknown,
  path: string,
  found: [string, Detail, boolean][],
): void {
  if (typeof kind === "object" && "object" in kind && isObject(old) && isObject(now)) {
    return compareParts(kind.object, old, now, path, found);
  }
  if (typeof kind === "object" && "map" in kind) {
    return compareMaps((old ?? {}) as Values, (now ?? {}) as Values, rule, path, found);
  }
  const [one, other] = [filled(old), filled(now)];
  if (same(one, other) || (rule.set && same(ordered(one), ordered(other)))) return;
  if (typeof kind === "object" && "list" in kind && !rule.set && Array.isArray(one) && Array.isArray(other)) {
    return compareLists(kind.list, rule, one, other, path, found);
  }
  const detail = one === undefined ? "add" : other === undefined ? "delete" : "update";
  found.push([path, detail, rule.replaces === true || holdsReplacing(kind)]);
}

function isObject(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function compareParts(
  properties: Properties,
  old: Values,
  now: Values,
  path: string,
  found: [string, Detail, boolean][],
): void {
  for (const [key, rule] of Object.entries(properties)) {
    compare(rule.kind, rule, old[key], now[key], path === "" ? key : `${path}.${key}`, found);
  }
}

function compareMaps(
  old: Values,
  now: Values,
  rule: Partial<Property>,
  path: string,
  found: [string, Detail, boolean][],
): void {
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    const at = /^\w+$/.test(key) ? `${path}.${key}` : `${path}["${key}"]`;
    if (old[key] === now[key]) continue;
    found.push([at, !(key in old) ? "add" : key in now ? "update" : "delete", rule.replaces === true]);
  }
}

function compareLists(
  kind: Kind,
  rule: Partial<Property>,
  old: unknown[],
  now: unknown[],
  path: string,
  found: [string, Detail, boolean][],
): void {
  for (let i = 0; i < Math.max(old.length, now.length); i++) {
    compare(kind, { replaces: rule.replaces }, old[i], now[i], `${path}[${i}]`, found);
  }
}

function holdsReplacing(kind: Kind): boolean {
  if (typeof kind === "string" || !("list" in kind) || typeof kind.list === "string") return false;
  return "object" in kind.list && Object.values(kind.list.object).some((one) => one.replaces);
}

function ordered(value: unknown): unknown {
  return Array.isArray(value) ? value.map((one) => JSON.stringify(sortedKeys(one))).sort() : value;
}

function sortedKeys(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
}

/** The inputs after a refresh: what differs from before is as it was found, and nothing is added. */
export function followed(properties: Properties, inputs: Values, before: Values, after: Values): Values {
  const entries = Object.entries(inputs).map(([key, value]) => {
    const rule = properties[key];
    const [old, now] = [filled(before[key]), filled(after[key])];
    if (!rule || same(old, now) || (rule.set && same(ordered(old), ordered(now)))) return [key, value];
    if (typeof rule.kind === "string" || "list" in rule.kind || !isObject(value)) return [key, now];
    const parts = "object" in rule.kind ? rule.kind.object : partsOf(value);
    return [key, followed(parts, value, (old ?? {}) as Values, (now ?? {}) as Values)];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function partsOf(map: Values): Properties {
  return Object.fromEntries(Object.keys(map).map((key) => [key, { kind: "string" }]));
}
