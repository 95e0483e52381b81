import type { Codec, Properties, Property } from "./properties";
import { isObject, merged, placed, type Values } from "./values";

function placeOf(key: string, { api }: Property): string {
  return api ?? key.charAt(0).toUpperCase() + key.slice(1);
}

/** Values as Docker's API takes them; what is not given stays away. */
export function toApi(fields: Properties, values: Values): Values {
  const given = Object.entries(fields).filter(([key]) => (values[key] ?? undefined) !== undefined);
  return given.reduce<Values>(
    (found, [key, field]) => merged(found, placed(placeOf(key, field), write(field, values[key]))),
    {},
  );
}

function write({ kind, many, codec }: Property, value: unknown): unknown {
  if (codec) return codec.to(value);
  if (many) return (value as unknown[]).map((one) => write({ kind }, one));
  return typeof kind === "object" ? toApi(kind, value as Values) : value;
}

/** Values of Docker's API as properties; what it leaves out is empty. */
export function fromApi(fields: Properties, values: Values): Values {
  const valueAt = (path: string): unknown =>
    path.split(".").reduce<unknown>((inner, key) => (isObject(inner) ? inner[key] : undefined), values);
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => [key, read(field, valueAt(placeOf(key, field)))]),
  );
}

function read({ kind, many, codec }: Property, value: unknown): unknown {
  if (codec) return codec.from(value);
  if (many) return ((value ?? []) as unknown[]).map((one) => read({ kind }, one));
  if (typeof kind === "object") return fromApi(kind, (value ?? {}) as Values);
  return value ?? { string: "", number: 0, boolean: false, map: {} }[kind];
}

/** A list of `{label, value}`, which Docker keeps as a map. */
export const labelCodec: Codec = {
  to: (value) => Object.fromEntries(((value ?? []) as Values[]).map((one) => [one.label, one.value])),
  from: (value) => Object.entries((value ?? {}) as Values).map(([label, text]) => ({ label, value: text })),
};

/** A map, which Docker keeps as `NAME=value`. */
export const environment: Codec = {
  to: (value) => Object.entries(value as Values).map(([name, text]) => `${name}=${String(text)}`),
  from: (value) =>
    Object.fromEntries(((value ?? []) as string[]).map((one) => one.split(/=(.*)/s).slice(0, 2))),
};

/** A text such as `0.0`, which Docker keeps as a number. */
export const ratios: Codec = {
  to: Number,
  from: (value) => (Number.isInteger(value ?? 0) ? Number(value ?? 0).toFixed(1) : String(value)),
};

const units: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A text such as `1m30s`, as Go writes it, which Docker keeps in nanoseconds. */
export const durations: Codec = {
  to: (value) => {
    const parts = [...String(value).matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)];
    return parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (units[unit] ?? NaN), 0);
  },
  from: (value) => {
    const whole = Number(value ?? 0);
    if (whole > 0 && whole < 1e9) return whole % 1e6 === 0 ? `${whole / 1e6}ms` : `${whole}ns`;
    const [hours, minutes] = [Math.floor(whole / 3600e9), Math.floor(whole / 60e9) % 60];
    return `${hours ? `${hours}h` : ""}${hours || minutes ? `${minutes}m` : ""}${(whole % 60e9) / 1e9}s`;
  },
};
