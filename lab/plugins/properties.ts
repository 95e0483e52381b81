import { UNKNOWN, type Values } from "./values";

/** What a property holds. */
export type Kind = "string" | "number" | "boolean" | { list: Kind } | { map: Kind } | { object: Properties };

/** How a value is written where a plugin keeps it, and read from there. */
export interface Codec {
  readonly to: (value: unknown) => unknown;
  readonly from: (value: unknown) => unknown;
}

/** One property that the program sets. */
export interface Property {
  readonly kind: Kind;
  /** @default false */
  readonly required?: boolean;
  /** Whether another value takes another resource. @default false */
  readonly replaces?: boolean;
  /** Secret even where the program gave it in the clear. @default false */
  readonly secret?: boolean;
  /** What the published plugin records where nothing is given. */
  readonly default?: unknown;
  /** Keeps the value it has where nothing is given. @default false */
  readonly computed?: boolean;
  /** Whether a list's order means nothing. @default false */
  readonly set?: boolean;
  readonly oneOf?: readonly string[];
  readonly pattern?: RegExp;
  /** Where Docker's API has it: its key, or those of an object and of what is in it with a dot between. */
  readonly api?: string;
  /** @default as it is */
  readonly codec?: Codec;
  readonly minimum?: number;
}

export type Properties = Readonly<Record<string, Property>>;

/** Something wrong with a property. */
export interface Mistake {
  readonly property: string;
  readonly reason: string;
}

/** Everything that is wrong with a resource's inputs, other properties than the known ones included. */
export function mistakesOf(properties: Properties, values: Values, at = ""): Mistake[] {
  const unknown = Object.keys(values)
    .filter((key) => !(key in properties))
    .map((key) => ({
      property: at + key,
      reason: "the lab's stand-in does not have this property, which Moorage does not use",
    }));
  const wrong = Object.entries(properties).flatMap(([key, property]) => {
    const value = values[key];
    if (value !== undefined && value !== null) return mistakesIn(property, value, at + key);
    return property.required
      ? [{ property: at + key, reason: `Missing required property '${at}${key}'` }]
      : [];
  });
  return [...unknown, ...wrong];
}

function mistakesIn(property: Property, value: unknown, at: string): Mistake[] {
  const { kind, oneOf, minimum, pattern } = property;
  const mistake = (reason: string): Mistake[] => [{ property: at, reason }];
  if (value === UNKNOWN) return [];
  if (typeof kind === "string") {
    if (typeof value !== kind) return mistake(`wanted: a ${kind}, found: a ${typeof value}`);
    if (oneOf && !oneOf.includes(String(value))) {
      return mistake(`value must be one of: ${oneOf.join(", ")}, got: ${JSON.stringify(value)}`);
    }
    if (pattern && !pattern.test(String(value))) {
      return mistake(`${JSON.stringify(value)} does not match ${String(pattern)}`);
    }
    if (minimum !== undefined && Number(value) < minimum) {
      return mistake(`value must be at least ${minimum}, got: ${String(value)}`);
    }
    return [];
  }
  if ("list" in kind) {
    if (!Array.isArray(value)) return mistake(`wanted: a list, found: a ${typeof value}`);
    return value.flatMap((one, i) => mistakesIn({ ...property, kind: kind.list }, one, `${at}[${i}]`));
  }
  if (typeof value !== "object" || value === null)
    return mistake(`wanted: an object, found: a ${typeof value}`);
  if ("object" in kind) return mistakesOf(kind.object, value as Values, `${at}.`);
  return Object.entries(value).flatMap(([key, one]) => mistakesIn({ kind: kind.map }, one, `${at}.${key}`));
}

/** The values with the published plugin's defaults for what is not given. */
export function withDefaults(properties: Properties, values: Values): Values {
  const defaults = Object.entries(properties)
    .filter(([, property]) => property.default !== undefined)
    .map(([key, property]) => [key, property.default] as const);
  return { ...Object.fromEntries(defaults), ...values };
}

/** Every path of properties, such as `taskSpec.containerSpec.image`, lists and maps by their own name. */
export function pathsOf(
  properties: Properties,
  wanted: (property: Property) => boolean = () => true,
  at = "",
): string[] {
  return Object.entries(properties).flatMap(([key, property]) => {
    const { kind } = property;
    const inner = typeof kind === "object" && "list" in kind ? kind.list : kind;
    if (typeof inner === "object" && "object" in inner) return pathsOf(inner.object, wanted, `${at}${key}.`);
    return wanted(property) ? [at + key] : [];
  });
}
