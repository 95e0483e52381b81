import * as pulumi from "@pulumi/pulumi";

/** Plain values of a resource, by property. */
export type Values = Record<string, unknown>;

/** What stands for a value that is not known before an update. */
export const UNKNOWN = pulumi.runtime.unknownValue;

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
