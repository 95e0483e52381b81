import { durations, environment, fromApi, labelCodec, ratios, toApi } from "./dockerFields";
import type { Codec, Properties, Property } from "./properties";
import { merged, type Values } from "./values";

const text = { kind: "string" } as const;
const texts = { kind: "string", many: "list" } as const;
const flag = { kind: "boolean" } as const;
const map = { kind: "map" } as const;
const neededText = { kind: "string", required: true } as const;
const neededNumber = { kind: "number", required: true } as const;
const duration = { ...neededText, pattern: /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/, codec: durations } as const;
const oneOf = (...values: string[]) => ({ ...neededText, oneOf: values }) as const;

export const labels = {
  kind: { label: neededText, value: neededText },
  many: "set",
  codec: labelCodec,
} as const;

const change = (...failureActions: string[]): Property => ({
  kind: {
    parallelism: neededNumber,
    delay: duration,
    failureAction: oneOf("pause", "continue", ...failureActions),
    monitor: duration,
    maxFailureRatio: { ...neededText, codec: ratios },
    order: oneOf("stop-first", "start-first"),
  },
  required: true,
});

const files = (what: "config" | "secret", api: "Config" | "Secret"): Property => ({
  kind: {
    [`${what}Id`]: { ...neededText, api: `${api}ID` },
    [`${what}Name`]: neededText,
    fileName: { ...neededText, api: "File.Name" },
    fileMode: { ...neededNumber, api: "File.Mode" },
    fileUid: { ...neededText, api: "File.UID" },
    fileGid: { ...neededText, api: "File.GID" },
  },
  many: "set",
});

const healthcheck: Properties = {
  tests: { ...texts, api: "Test", required: true },
  interval: duration,
  timeout: duration,
  retries: neededNumber,
  startPeriod: duration,
};

const containerSpec: Properties = {
  image: neededText,
  hostname: text,
  commands: { ...texts, api: "Command" },
  args: texts,
  env: { ...map, codec: environment },
  user: text,
  labels: { ...labels, replaces: true },
  sysctl: { ...map, api: "Sysctls", replaces: true },
  readOnly: flag,
  init: flag,
  capDrops: { ...texts, api: "CapabilityDrop" },
  stopGracePeriod: duration,
  healthcheck: { kind: healthcheck, computed: true },
  configs: files("config", "Config"),
  secrets: files("secret", "Secret"),
  mounts: { kind: { type: oneOf("bind", "tmpfs"), source: text, target: neededText }, many: "set" },
};

/** One task on each node that fits, or so many of them. */
const modes: Codec = {
  to: (mode) => {
    const { global, replicated } = mode as { global?: boolean; replicated?: Values };
    return global ? { Global: {} } : { Replicated: { Replicas: replicated?.replicas ?? 1 } };
  },
  from: (mode) => {
    const { Replicated: found } = mode as { Replicated?: Values };
    return found
      ? { global: false, replicated: { replicas: found.Replicas } }
      : { global: true, replicated: null };
  },
};

const taskSpec: Properties = {
  containerSpec: { kind: containerSpec, required: true },
  networksAdvanceds: {
    kind: { id: { ...neededText, api: "Target" } },
    many: "set",
    api: "Networks",
    replaces: true,
  },
  placement: { kind: { constraints: { kind: "string", many: "set" } }, computed: true },
  restartPolicy: {
    kind: { condition: oneOf("any"), delay: duration, window: duration },
    required: true,
  },
};

const port: Properties = {
  publishedPort: neededNumber,
  targetPort: neededNumber,
  protocol: oneOf("tcp"),
  publishMode: oneOf("host"),
};

/** What the program sets of a service. */
export const serviceProperties: Properties = {
  name: { ...neededText, replaces: true },
  labels: { ...labels, computed: true },
  mode: {
    kind: { global: flag, replicated: { kind: { replicas: neededNumber }, computed: true } },
    codec: modes,
    computed: true,
  },
  endpointSpec: { kind: { mode: oneOf("dnsrr"), ports: { kind: port, many: "list" } }, computed: true },
  updateConfig: change("rollback"),
  rollbackConfig: change(),
  taskSpec: { kind: taskSpec, api: "TaskTemplate", required: true },
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
