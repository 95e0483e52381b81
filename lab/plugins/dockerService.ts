import { durations, environment, fromApi, labelCodec, ratios, toApi } from "./dockerFields";
import type { Codec, Properties } from "./properties";
import { merged, type Values } from "./values";

const text = { kind: "string" } as const;
const number = { kind: "number" } as const;
const optional = { ...text, optional: true } as const;
const texts = { ...optional, many: "list" } as const;
const flag = { kind: "boolean", optional: true } as const;
const map = { kind: "map", optional: true } as const;
const duration = { ...text, pattern: /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/, codec: durations } as const;
const oneOf = (...values: string[]) => ({ ...text, oneOf: values }) as const;

export const labels = {
  kind: { label: text, value: text },
  many: "set",
  optional: true,
  codec: labelCodec,
} as const;

const change = (...failureActions: string[]): Properties => ({
  parallelism: number,
  delay: duration,
  failureAction: oneOf("pause", "continue", ...failureActions),
  monitor: duration,
  maxFailureRatio: { ...text, codec: ratios },
  order: oneOf("stop-first", "start-first"),
});

const files = (what: "config" | "secret", api: "Config" | "Secret"): Properties => ({
  [`${what}Id`]: { ...text, api: `${api}ID` },
  [`${what}Name`]: text,
  fileName: { ...text, api: "File.Name" },
  fileMode: { ...number, api: "File.Mode" },
  fileUid: { ...text, api: "File.UID" },
  fileGid: { ...text, api: "File.GID" },
});

const healthcheck: Properties = {
  tests: { ...text, many: "list", api: "Test" },
  interval: duration,
  timeout: duration,
  retries: number,
  startPeriod: duration,
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
  configs: { kind: files("config", "Config"), many: "set", optional: true },
  secrets: { kind: files("secret", "Secret"), many: "set", optional: true },
  mounts: {
    kind: { type: oneOf("bind", "tmpfs"), source: optional, target: text },
    many: "set",
    optional: true,
  },
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
  networksAdvanceds: {
    kind: { id: { ...text, api: "Target" } },
    many: "set",
    optional: true,
    api: "Networks",
    replaces: true,
  },
  placement: { kind: { constraints: { ...texts, many: "set" } }, optional: true, computed: true },
  restartPolicy: { kind: { condition: oneOf("any"), delay: duration, window: duration } },
};

const mode: Properties = {
  global: flag,
  replicated: { kind: { replicas: number }, optional: true, computed: true },
};

const port: Properties = {
  publishedPort: number,
  targetPort: number,
  protocol: oneOf("tcp"),
  publishMode: oneOf("host"),
};

const endpointSpec: Properties = {
  mode: oneOf("dnsrr"),
  ports: { kind: port, many: "list", optional: true },
};

/** What the program sets of a service. */
export const serviceProperties: Properties = {
  name: { ...text, replaces: true },
  labels: { ...labels, computed: true },
  mode: { kind: mode, codec: modes, optional: true, computed: true },
  endpointSpec: { kind: endpointSpec, optional: true, computed: true },
  updateConfig: { kind: change("rollback") },
  rollbackConfig: { kind: change() },
  taskSpec: { kind: taskSpec, api: "TaskTemplate" },
};

/** What a preview does not know of a service that is not made yet. */
export const unknownBefore = [
  ...["id", "mode.replicated", "taskSpec.resources", "taskSpec.forceUpdate", "taskSpec.runtime"],
  ...["taskSpec.containerSpec.healthcheck", "taskSpec.containerSpec.dnsConfig"],
];

/** What the published plugin tells Docker's API besides. */
const besides = {
  TaskTemplate: {
    ContainerSpec: { Healthcheck: {}, DNSConfig: {}, Isolation: "default" },
    RestartPolicy: { MaxAttempts: 0 },
    Resources: {},
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
const recorded = {
  taskSpec: {
    containerSpec: { dir: "", stopSignal: "", isolation: "default" },
    placement: { maxReplicas: 0 },
    restartPolicy: { maxAttempts: 0 },
    resources: { limits: null },
    forceUpdate: 0,
    runtime: "container",
  },
  __meta: '{"schema_version":"2"}',
};

/** A service of Docker's API as the published plugin records it. */
export function outputsOf({ ID: id, Spec }: Values): Values {
  const found = fromApi(serviceProperties, (Spec ?? {}) as Values);
  const { ports, ...endpoint } = found.endpointSpec as { ports: Values[] };
  const endpointSpec = { ...endpoint, ports: ports.map((one) => ({ ...one, name: "" })) };
  return merged(recorded, { ...found, id, endpointSpec });
}
