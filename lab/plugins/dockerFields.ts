import type { Codec, Kind, Properties } from "./properties";
import type { Values } from "./values";

/** Values as Docker's API takes them; what is not given stays away. */
export function toApi(fields: Properties, values: Values): Values {
  const found: Values = {};
  for (const [key, field] of Object.entries(fields)) {
    const value = values[key];
    if (value === undefined || value === null) continue;
    const [outer = "", inner] = (field.api ?? "").split(".");
    const written = field.codec ? field.codec.to(value) : write(field.kind, value);
    found[outer] =
      inner === undefined ? written : { ...(found[outer] as Values | undefined), [inner]: written };
  }
  return found;
}

function write(kind: Kind, value: unknown): unknown {
  if (typeof kind !== "object") return value;
  if ("object" in kind) return toApi(kind.object, value as Values);
  return "list" in kind ? (value as unknown[]).map((one) => write(kind.list, one)) : value;
}

/** Values of Docker's API as properties; what it leaves out is empty. */
export function fromApi(fields: Properties, values: Values): Values {
  const entries = Object.entries(fields).map(([key, { api = "", kind, codec }]) => {
    const value = api
      .split(".")
      .reduce<unknown>((inner, name) => (inner as Values | undefined)?.[name], values);
    return [key, codec ? codec.from(value) : read(kind, value)];
  });
  return Object.fromEntries(entries);
}

function read(kind: Kind, value: unknown): unknown {
  if (typeof kind !== "object") return value ?? { string: "", number: 0, boolean: false }[kind];
  if ("object" in kind) return fromApi(kind.object, (value ?? {}) as Values);
  return "list" in kind ? ((value ?? []) as unknown[]).map((one) => read(kind.list, one)) : (value ?? {});
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

const units = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 } as const;

/** A text such as `1m30s`, as Go writes it, which Docker keeps in nanoseconds. */
export const durations: Codec = {
  to: (value) => {
    const parts = [...String(value).matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)];
    return parts.reduce(
      (sum, [, amount, unit]) => sum + Number(amount) * units[unit as keyof typeof units],
      0,
    );
  },
  from: (value) => {
    const whole = Number(value ?? 0);
    if (whole > 0 && whole < 1e9) return whole % 1e6 === 0 ? `${whole / 1e6}ms` : `${whole}ns`;
    const [hours, minutes] = [Math.floor(whole / 3600e9), Math.floor(whole / 60e9) % 60];
    return `${hours ? `${hours}h` : ""}${hours || minutes ? `${minutes}m` : ""}${(whole % 60e9) / 1e9}s`;
  },
};
