import * as pulumi from "@pulumi/pulumi";

/** Plain values of a resource, by property. */
export type Values = Record<string, unknown>;

/** What stands for a value that is not known before an update. */
export const UNKNOWN = pulumi.runtime.unknownValue;

/** A value as the engine marks a secret. */
export function secret(value: unknown): Values {
  return { [pulumi.runtime.specialSigKey]: pulumi.runtime.specialSecretSig, value };
}

/** A value without the marks of secrets, and a secret that is not known as any other such value. */
export function plain(value: unknown): unknown {
  if (pulumi.runtime.isRpcSecret(value)) return plain(pulumi.runtime.unwrapRpcSecret(value));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** The properties that are secret, or hold something that is. */
export function secretKeys(values: Values): string[] {
  return Object.keys(values).filter((key) => holdsSecret(values[key]));
}

function holdsSecret(value: unknown): boolean {
  if (pulumi.runtime.isRpcSecret(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsSecret);
}

/** The same properties, those named marked as secrets; what is not known yet is no secret. */
export function marked(values: Values, keys: readonly string[]): Values {
  const mark = ([key, value]: [string, unknown]): [string, unknown] => {
    const known = value !== UNKNOWN && !pulumi.runtime.isRpcSecret(value);
    return [key, known && keys.includes(key) ? secret(value) : value];
  };
  return Object.fromEntries(Object.entries(values).map(mark));
}

/** Properties without those named. */
export function without(values: Values, ...keys: string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)));
}

/** A value without what in it has none. */
export function defined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(defined);
  if (typeof value !== "object" || value === null) return value;
  const there = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(there.map(([key, inner]) => [key, defined(inner)]));
}
