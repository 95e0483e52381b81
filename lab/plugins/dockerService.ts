import { durations, environment, fromApi, labelCodec, ratios, toApi } from "./dockerFields";
import type { Codec, Kind, Properties } from "./properties";
import type { Values } from "./values";

const text = (api: string) => ({ kind: "string", api }) as const;
const texts = (api: string) => ({ kind: { list: "string" }, api }) as const;
const number = (api: string) => ({ kind: "number", api, required: true }) as const;
const needed = (api: string, ...oneOf: string[]) =>
  ({ kind: "string", api, required: true, ...(oneOf.length > 0 && { oneOf }) }) as const;
const duration = (api: string) =>
  ({
    kind: "string",
    api,
    pattern: /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/,
    codec: durations,
    required: true,
  }) as const;
const fields = (api: string, object: Properties) => ({ kind: { object }, api }) as const;
const listOf = (api: string, object: Properties) => ({ kind: { list: { object } }, api }) as const;

/** Labels, in any order. @param replaces whether another label takes another resource */
export function labels(replaces: boolean) {
  const part = { kind: "string", required: true, replaces } as const;
  const kind = { list: { object: { label: part, value: part } } } satisfies Kind;
  return { kind, set: true, api: "Labels", codec: labelCodec } as const;
}

const change = (api: string, ...actions: string[]) =>
  ({
    ...fields(api, {
      parallelism: number("Parallelism"),
      delay: duration("Delay"),
      failureAction: needed("FailureAction", "pause", "continue", ...actions),
      monitor: duration("Monitor"),
      maxFailureRatio: { ...needed("MaxFailureRatio"), codec: ratios },
      order: needed("Order", "stop-first", "start-first"),
    }),
    required: true,
  }) as const;

const files = (what: "config" | "secret", api: "Config" | "Secret") =>
  ({
    ...listOf(`${api}s`, {
      [`${what}Id`]: needed(`${api}ID`),
      [`${what}Name`]: needed(`${api}Name`),
      fileName: needed("File.Name"),
      fileMode: number("File.Mode"),
      fileUid: needed("File.UID"),
      fileGid: needed("File.GID"),
    }),
    set: true,
  }) as const;

const containerSpec = fields("ContainerSpec", {
  image: needed("Image"),
  hostname: text("Hostname"),
  commands: texts("Command"),
  args: texts("Args"),
  env: { kind: { map: "string" }, api: "Env", codec: environment },
  user: text("User"),
  labels: labels(true),
  sysctl: { kind: { map: "string" }, api: "Sysctls", replaces: true },
  readOnly: { kind: "boolean", api: "ReadOnly" },
  init: { kind: "boolean", api: "Init" },
  capDrops: texts("CapabilityDrop"),
  stopGracePeriod: { ...duration("StopGracePeriod") },
  healthcheck: {
    ...fields("Healthcheck", {
      tests: { ...texts("Test"), required: true },
      interval: duration("Interval"),
      timeout: duration("Timeout"),
      retries: number("Retries"),
      startPeriod: duration("StartPeriod"),
    }),
    computed: true,
  },
  configs: files("config", "Config"),
  secrets: files("secret", "Secret"),
  mounts: {
    ...listOf("Mounts", {
      type: needed("Type", "bind", "tmpfs"),
      source: text("Source"),
      target: needed("Target"),
    }),
    set: true,
  },
});

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

/** What the program sets of a service, and what Docker's API calls it. */
export const serviceProperties: Properties = {
  name: { ...needed("Name"), replaces: true },
  labels: { ...labels(false), computed: true },
  mode: {
    ...fields("Mode", {
      global: { kind: "boolean", api: "" },
      replicated: { ...fields("", { replicas: number("") }), computed: true },
    }),
    codec: modes,
    computed: true,
  },
  endpointSpec: {
    ...fields("EndpointSpec", {
      mode: needed("Mode", "dnsrr"),
      ports: listOf("Ports", {
        publishedPort: number("PublishedPort"),
        targetPort: number("TargetPort"),
        protocol: needed("Protocol", "tcp"),
        publishMode: needed("PublishMode", "host"),
      }),
    }),
    computed: true,
  },
  updateConfig: change("UpdateConfig", "rollback"),
  rollbackConfig: change("RollbackConfig"),
  taskSpec: {
    ...fields("TaskTemplate", {
      containerSpec: { ...containerSpec, required: true },
      networksAdvanceds: {
        ...listOf("Networks", { id: { ...needed("Target"), replaces: true } }),
        set: true,
      },
      placement: {
        ...fields("Placement", { constraints: { ...texts("Constraints"), set: true } }),
        computed: true,
      },
      restartPolicy: {
        ...fields("RestartPolicy", {
          condition: needed("Condition", "any"),
          delay: duration("Delay"),
          window: duration("Window"),
        }),
        required: true,
      },
    }),
    required: true,
  },
};

/** The service as Docker's API takes it, with what the published plugin says of its own. */
export function specOf(service: Values): Values {
  const spec = toApi(serviceProperties, service);
  const task = spec.TaskTemplate as Record<string, Values>;
  const { ContainerSpec, RestartPolicy, ...others } = task;
  const own = { Healthcheck: {}, DNSConfig: {}, Isolation: "default" };
  const rest = { ForceUpdate: 0, Runtime: "container", Resources: {} };
  const container = { ...own, ...ContainerSpec };
  const restart = { MaxAttempts: 0, ...RestartPolicy };
  return { ...spec, TaskTemplate: { ...others, ...rest, ContainerSpec: container, RestartPolicy: restart } };
}

/** A service of Docker's API as the published plugin records it. */
export function outputsOf({ ID: id, Spec }: Values): Values {
  const found = fromApi(serviceProperties, (Spec ?? {}) as Values);
  const task = found.taskSpec as Record<string, Values>;
  const endpoint = found.endpointSpec as { ports: Values[] };
  return {
    ...found,
    id,
    endpointSpec: { ...endpoint, ports: endpoint.ports.map((port) => ({ ...port, name: "" })) },
    taskSpec: {
      ...task,
      containerSpec: { ...task.containerSpec, dir: "", stopSignal: "", isolation: "default" },
      placement: { ...task.placement, maxReplicas: 0 },
      restartPolicy: { ...task.restartPolicy, maxAttempts: 0 },
      resources: { limits: null },
      forceUpdate: 0,
      runtime: "container",
    },
    __meta: '{"schema_version":"2"}',
  };
}
