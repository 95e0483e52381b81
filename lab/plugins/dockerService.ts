import { isObject, merged, placed } from "./properties";
import type { Codec, Properties, Property, Values } from "./properties";

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
const environment: Codec = {
  to: (value) => Object.entries(value as Values).map(([name, text]) => `${name}=${String(text)}`),
  from: (value) =>
    Object.fromEntries(((value ?? []) as string[]).map((one) => one.split(/=(.*)/s).slice(0, 2))),
};

/** A text such as `0.0`, which Docker keeps as a number; of two that are as near, the even one. */
const ratios: Codec = {
  to: Number,
  from: (value) => (value === 0.25 ? "0.2" : Number(value ?? 0).toFixed(1)),
};

const units: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A text such as `1m30s`, as Go writes it, which Docker keeps in nanoseconds. */
const durations: Codec = {
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

const text = { kind: "string" } as const;
const number = { kind: "number", minimum: 0 } as const;
const optional = { ...text, optional: true } as const;
const texts = { ...optional, many: "list" } as const;
const flag = { kind: "boolean", optional: true } as const;
const map = { kind: "map", optional: true } as const;
const set = { many: "set", optional: true } as const;
const duration = { ...text, pattern: /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/, codec: durations } as const;
const oneOf = (...values: string[]) => ({ ...text, oneOf: values }) as const;

export const labels = { kind: { label: text, value: text }, ...set, codec: labelCodec } as const;

const change = (...failureActions: string[]): Properties => ({
  parallelism: number,
  delay: duration,
  failureAction: oneOf("pause", "continue", ...failureActions),
  monitor: duration,
  maxFailureRatio: { ...text, pattern: /^(0(\.\d+)?|1(\.0+)?)$/, codec: ratios },
  order: oneOf("stop-first", "start-first"),
});

const secretFiles: Properties = {
  secretId: { ...text, api: "SecretID" },
  secretName: text,
  fileName: { ...text, api: "File.Name" },
  fileMode: { ...number, api: "File.Mode" },
  fileUid: { ...text, api: "File.UID" },
  fileGid: { ...text, api: "File.GID" },
};

const healthcheck: Properties = {
  tests: { ...text, many: "list", api: "Test" },
  interval: duration,
  timeout: duration,
  retries: number,
  startPeriod: duration,
};

/** What a mount in memory has, and no other. */
const tmpfsOptions: Codec = {
  to: (options) => ({ SizeBytes: (options as Values).sizeBytes }),
  from: (options) => (options ? { sizeBytes: (options as Values).SizeBytes } : null),
};

const mount: Properties = {
  type: oneOf("bind", "tmpfs"),
  source: optional,
  target: text,
  readOnly: flag,
  tmpfsOptions: { kind: { sizeBytes: number }, codec: tmpfsOptions, optional: true },
};
const containerSpec: Properties = {
  image: text,
  hostname: optional,
  commands: { ...texts, api: "Command" },
  args: texts,
  env: { ...map, codec: environment },
  user: optional,
  labels: { ...labels, replaces: true },
  sysctl: { ...map, api: "Sysctls", replaces: true },
  readOnly: flag,
  init: flag,
  capDrops: { ...texts, api: "CapabilityDrop" },
  stopGracePeriod: duration,
  healthcheck: { kind: healthcheck, optional: true, computed: true },
  secrets: { kind: secretFiles, ...set },
  mounts: { kind: mount, ...set },
};

/** One task on each node that fits, or so many of them. */
const modes: Codec = {
  to: (mode) => {
    const { global, replicated } = mode as { global?: boolean; replicated?: Values };
    return global ? { Global: {} } : { Replicated: { Replicas: replicated?.replicas ?? 1 } };
  },
  from: (mode) => {
    const { Replicated: found } = mode as { Replicated?: Values };
    return { global: !found, replicated: found ? { replicas: found.Replicas } : null };
  },
};

const taskSpec: Properties = {
  containerSpec: { kind: containerSpec },
  networksAdvanceds: { kind: { id: { ...text, api: "Target" } }, ...set, api: "Networks", replaces: true },
  placement: { kind: { constraints: { ...texts, many: "set" } }, optional: true, computed: true },
  restartPolicy: { kind: { condition: oneOf("any"), delay: duration, window: duration } },
  resources: { kind: { limits: { kind: { memoryBytes: number } } } },
};

const replicated: Property = { kind: { replicas: number }, optional: true, computed: true };
const port: Properties = {
  publishedPort: number,
  targetPort: number,
  protocol: oneOf("tcp"),
  publishMode: oneOf("host"),
};
const ports: Property = { kind: port, many: "list", optional: true };

/** What the program sets of a service. */
export const serviceProperties: Properties = {
  name: { ...text, replaces: true },
  labels: { ...labels, computed: true },
  mode: { kind: { global: flag, replicated }, codec: modes, optional: true, computed: true },
  endpointSpec: { kind: { mode: oneOf("dnsrr"), ports }, optional: true, computed: true },
  updateConfig: { kind: change("rollback") },
  rollbackConfig: { kind: change() },
  taskSpec: { kind: taskSpec, api: "TaskTemplate" },
};

/** What the published plugin tells Docker's API besides. */
const besides = {
  TaskTemplate: {
    ContainerSpec: { Healthcheck: {}, DNSConfig: {}, Isolation: "default" },
    RestartPolicy: { MaxAttempts: 0 },
    ForceUpdate: 0,
    Runtime: "container",
  },
};

/** The service as Docker's API takes it. */
export function specOf(service: Values): Values {
  return merged(besides, toApi(serviceProperties, service));
}

/** Inputs that the published plugin adds. */
export const added = { taskSpec: { containerSpec: { isolation: "default" } } };

/** What the published plugin records of a service besides. */
const recorded = merged(added, {
  taskSpec: {
    containerSpec: { dir: "", stopSignal: "" },
    placement: { maxReplicas: 0 },
    restartPolicy: { maxAttempts: 0 },
    resources: { limits: { nanoCpus: 0 } },
    forceUpdate: 0,
    runtime: "container",
  },
  __meta: '{"schema_version":"2"}',
});

/** A service of Docker's API as the published plugin records it. */
export function outputsOf({ ID: id, Spec }: Values): Values {
  const found = fromApi(serviceProperties, (Spec ?? {}) as Values);
  const { ports, ...endpoint } = found.endpointSpec as { ports: Values[] };
  const endpointSpec = { ...endpoint, ports: ports.map((one) => ({ ...one, name: "" })) };
  return merged(recorded, { ...found, id, endpointSpec });
}
