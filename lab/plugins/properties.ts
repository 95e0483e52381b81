import { unknownValue } from "@pulumi/pulumi/runtime/rpc";

/** Plain values of a resource, by property. */
export type Values = Record<string, unknown>;

/** Stands for a value that is not known before an update. Not by the whole SDK: that loads a TypeScript compiler. */
export const UNKNOWN = unknownValue;

export function isObject(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Properties without those named. */
export function without(values: Values, ...keys: string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)));
}

/** What `values` say, and what only `defaults` do, at any depth. */
export function merged(defaults: Values, values: Values): Values {
  const entries = Object.entries(values).map(([key, value]) => {
    const below = defaults[key];
    return [key, isObject(below) && isObject(value) ? merged(below, value) : value];
  });
  return { ...defaults, ...Object.fromEntries(entries) };
}

/** `value` under keys with dots between. */
export function placed(path: string, value: unknown): Values {
  const [first = "", ...rest] = path.split(".");
  return { [first]: rest.length === 0 ? value : placed(rest.join("."), value) };
}

/** How a value is written where a plugin keeps it, and read from there. */
export type Codec = Readonly<Record<"to" | "from", (value: unknown) => unknown>>;

/** One property that the program sets. What may be true is false where nothing is said. */
export interface Property {
  /** What it holds, or each of `many`; a map is one of texts. */
  readonly kind: "string" | "number" | "boolean" | "map" | Properties;
  /** Of a set, the order means nothing. */
  readonly many?: "list" | "set";
  readonly optional?: boolean;
  /** Whether another value takes another resource. */
  readonly replaces?: boolean;
  /** Keeps the value it has where nothing is given. */
  readonly computed?: boolean;
  readonly oneOf?: readonly string[];
  readonly pattern?: RegExp;
  readonly minimum?: number;
  /** Where Docker's API has it, keys with dots between. @default the property's name with a capital */
  readonly api?: string;
  readonly codec?: Codec;
  /** Whether what is empty is another value than none. */
  readonly exact?: boolean;
}

export type Properties = Readonly<Record<string, Property>>;

/** Something wrong with a property. */
export type Mistake = Readonly<Record<"property" | "reason", string>>;

/** Everything that is wrong with a resource's inputs, other properties than the known ones included. */
export function mistakesOf(properties: Properties, values: Values, at = ""): Mistake[] {
  const reason = "the lab's stand-in does not have this property, which Moorage does not use";
  const unknown = Object.keys(values).filter((key) => !(key in properties));
  return [
    ...unknown.map((key) => ({ property: at + key, reason })),
    ...Object.entries(properties).flatMap(([key, rule]) => mistakesIn(rule, values[key], at + key)),
  ];
}

function mistakesIn(rule: Property, value: unknown, at: string): Mistake[] {
  const { kind, many, optional, oneOf, pattern, minimum } = rule;
  const mistake = (reason: string): Mistake[] => [{ property: at, reason }];
  if (value === UNKNOWN) return [];
  if (value === undefined || value === null) {
    return optional ? [] : mistake(`Missing required property '${at}'`);
  }
  const wanted = many ? "list" : typeof kind === "string" && kind !== "map" ? kind : "object";
  const found = Array.isArray(value) ? "list" : typeof value;
  if (wanted !== found) return mistake(`wanted: a ${wanted}, found: a ${found}`);
  if (Array.isArray(value)) {
    return value.flatMap((one, i) => mistakesIn({ ...rule, many: undefined }, one, `${at}[${i}]`));
  }
  if (isObject(value)) return mistakesOf(partsOf(rule, value) ?? {}, value, `${at}.`);
  const got = JSON.stringify(value);
  if (oneOf && !oneOf.includes(String(value))) {
    return mistake(`value must be one of: ${oneOf.join(", ")}, got: ${got}`);
  }
  if (pattern && !pattern.test(String(value))) return mistake(`value must match ${String(pattern)}`);
  const isLess = minimum !== undefined && Number(value) < minimum;
  return isLess ? mistake(`value must be at least ${minimum}, got: ${got}`) : [];
}

/** The properties in an object or a map; in a map, what is empty is there too. */
export function partsOf({ kind, many, replaces }: Property, value: unknown): Properties | undefined {
  if (many || !isObject(value)) return undefined;
  if (typeof kind === "object") return kind;
  return Object.fromEntries(
    Object.keys(value).map((key) => [key, { kind: "string", exact: true, replaces }]),
  );
}
