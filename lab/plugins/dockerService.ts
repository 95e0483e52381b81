import type { Properties } from "./properties";
import type { Values } from "./values";

const text = { kind: "string" } as const;
const texts = { kind: { list: "string" } } as const;
const number = { kind: "number" } as const;
const duration = { kind: "string", pattern: /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/ } as const;

/** Labels, in any order. @param replaces whether another label takes another resource */
export function labels(replaces: boolean) {
  const part = { kind: "string", required: true, replaces } as const;
  return { kind: { list: { object: { label: part, value: part } } }, set: true } as const;
}

const change = (actions: readonly string[]) =>
  ({
    kind: {
      object: {
        parallelism: { kind: "number", required: true },
        delay: { ...duration, required: true },
        failureAction: { kind: "string", required: true, oneOf: actions },
        monitor: { ...duration, required: true },
        maxFailureRatio: { kind: "string", required: true },
        order: { kind: "string", required: true, oneOf: ["stop-first", "start-first"] },
      },
    },
    required: true,
  }) as const;

const file = (what: string) =>
  ({
    kind: {
      list: {
        object: {
          [`${what}Id`]: { kind: "string", required: true },
          [`${what}Name`]: { kind: "string", required: true },
          fileName: { kind: "string", required: true },
          fileMode: { kind: "number", required: true },
          fileUid: { kind: "string", required: true },
          fileGid: { kind: "string", required: true },
        },
      },
    },
    set: true,
  }) as const;

const containerSpec: Properties = {
  image: { kind: "string", required: true },
  hostname: text,
  commands: texts,
  args: texts,
  env: { kind: { map: "string" } },
  user: text,
  labels: labels(true),
  sysctl: { kind: { map: "string" }, replaces: true },
  readOnly: { kind: "boolean" },
  init: { kind: "boolean" },
  capDrops: texts,
  stopGracePeriod: { ...duration, computed: true },
  healthcheck: {
    kind: {
      object: {
        tests: { kind: { list: "string" }, required: true },
        interval: duration,
        timeout: duration,
        retries: number,
        startPeriod: duration,
      },
    },
    computed: true,
  },
  configs: file("config"),
  secrets: file("secret"),
  mounts: {
    kind: {
      list: {
        object: {
          type: { kind: "string", required: true, oneOf: ["bind", "tmpfs"] },
          source: text,
          target: { kind: "string", required: true },
        },
      },
    },
    set: true,
  },
};

/** What the program sets of a service. */
export const serviceProperties: Properties = {
  name: { kind: "string", required: true, replaces: true },
  labels: { ...labels(false), computed: true },
  mode: {
    kind: {
      object: {
        global: { kind: "boolean" },
        replicated: { kind: { object: { replicas: number } }, computed: true },
      },
    },
    computed: true,
  },
  endpointSpec: {
    kind: {
      object: {
        mode: { kind: "string", required: true, oneOf: ["dnsrr"] },
        ports: {
          kind: {
            list: {
              object: {
                publishedPort: { kind: "number", required: true },
                targetPort: { kind: "number", required: true },
                protocol: { kind: "string", required: true, oneOf: ["tcp"] },
                publishMode: { kind: "string", required: true, oneOf: ["host"] },
              },
            },
          },
        },
      },
    },
    computed: true,
  },
  updateConfig: change(["pause", "continue", "rollback"]),
  rollbackConfig: change(["pause", "continue"]),
  taskSpec: {
    kind: {
      object: {
        containerSpec: { kind: { object: containerSpec }, required: true },
        networksAdvanceds: {
          kind: { list: { object: { id: { kind: "string", required: true, replaces: true } } } },
          set: true,
        },
        placement: {
          kind: { object: { constraints: { kind: { list: "string" }, set: true } } },
          computed: true,
        },
        restartPolicy: {
          kind: {
            object: {
              condition: { kind: "string", required: true, oneOf: ["any"] },
              delay: { ...duration, required: true },
              window: { ...duration, required: true },
            },
          },
          required: true,
        },
      },
    },
    required: true,
  },
};

/** The service as Docker's API takes it. */
export function specOf(service: Values): Values {
  const task = object(service.taskSpec);
  const container = object(task.containerSpec);
  const mode = object(service.mode);
  return {
    Name: service.name,
    Labels: labelMap(service.labels),
    Mode: mode.global ? { Global: {} } : { Replicated: { Replicas: object(mode.replicated).replicas ?? 1 } },
    TaskTemplate: {
      ContainerSpec: containerOf(container),
      Resources: {},
      RestartPolicy: restartOf(object(task.restartPolicy)),
      Placement: { Constraints: object(task.placement).constraints },
      Networks: list(task.networksAdvanceds).map(({ id }) => ({ Target: id })),
      ForceUpdate: 0,
      Runtime: "container",
    },
    UpdateConfig: changeOf(object(service.updateConfig)),
    RollbackConfig: changeOf(object(service.rollbackConfig)),
    EndpointSpec: {
      Mode: object(service.endpointSpec).mode,
      Ports: list(object(service.endpointSpec).ports).map((port) => ({
        Protocol: port.protocol,
        TargetPort: port.targetPort,
        PublishedPort: port.publishedPort,
        PublishMode: port.publishMode,
      })),
    },
  };
}

function containerOf(container: Values): Values {
  const check = object(container.healthcheck);
  return {
    Image: container.image,
    Labels: labelMap(container.labels),
    Command: container.commands,
    Args: container.args,
    Hostname: container.hostname,
    Env: Object.entries(object(container.env)).map(([name, value]) => `${name}=${String(value)}`),
    User: container.user,
    ReadOnly: container.readOnly,
    Init: container.init,
    Mounts: list(container.mounts).map(({ type, source, target }) => ({
      Type: type,
      Source: source,
      Target: target,
    })),
    StopGracePeriod: nanoseconds(container.stopGracePeriod),
    Healthcheck: {
      Test: check.tests,
      Interval: nanoseconds(check.interval),
      Timeout: nanoseconds(check.timeout),
      StartPeriod: nanoseconds(check.startPeriod),
      Retries: check.retries,
    },
    DNSConfig: {},
    Secrets: list(container.secrets).map((one) => ({
      ...fileOf(one),
      SecretID: one.secretId,
      SecretName: one.secretName,
    })),
    Configs: list(container.configs).map((one) => ({
      ...fileOf(one),
      ConfigID: one.configId,
      ConfigName: one.configName,
    })),
    Isolation: "default",
    Sysctls: container.sysctl,
    CapabilityDrop: container.capDrops,
  };
}

function fileOf({ fileName, fileUid, fileGid, fileMode }: Values): Values {
  return { File: { Name: fileName, UID: fileUid, GID: fileGid, Mode: fileMode } };
}

function restartOf({ condition, delay, window }: Values): Values {
  return { Condition: condition, Delay: nanoseconds(delay), MaxAttempts: 0, Window: nanoseconds(window) };
}

function changeOf(change: Values): Values {
  return {
    Parallelism: change.parallelism,
    Delay: nanoseconds(change.delay),
    FailureAction: change.failureAction,
    Monitor: nanoseconds(change.monitor),
    MaxFailureRatio: Number(change.maxFailureRatio),
    Order: change.order,
  };
}

/** A service of Docker's API as the published plugin records it. */
export function outputsOf({ ID: id, Spec }: Values): Values {
  const spec = object(Spec);
  const task = object(spec.TaskTemplate);
  const { Replicated } = object(spec.Mode);
  const endpoint = object(spec.EndpointSpec);
  const restart = object(task.RestartPolicy);
  return {
    id,
    name: spec.Name,
    labels: labelList(spec.Labels),
    mode: Replicated
      ? { global: false, replicated: { replicas: object(Replicated).Replicas } }
      : { global: true, replicated: null },
    endpointSpec: {
      mode: endpoint.Mode,
      ports: list(endpoint.Ports).map((port) => ({
        protocol: port.Protocol,
        targetPort: port.TargetPort,
        publishedPort: port.PublishedPort,
        publishMode: port.PublishMode,
        name: "",
      })),
    },
    updateConfig: recordedChange(spec.UpdateConfig),
    rollbackConfig: recordedChange(spec.RollbackConfig),
    taskSpec: {
      containerSpec: recordedContainer(object(task.ContainerSpec)),
      networksAdvanceds: list(task.Networks).map(({ Target }) => ({ id: Target })),
      placement: { constraints: object(task.Placement).Constraints, maxReplicas: 0 },
      resources: { limits: null },
      restartPolicy: {
        condition: restart.Condition,
        delay: durationOf(restart.Delay),
        window: durationOf(restart.Window),
        maxAttempts: restart.MaxAttempts ?? 0,
      },
      forceUpdate: task.ForceUpdate ?? 0,
      runtime: task.Runtime,
    },
    __meta: '{"schema_version":"2"}',
  };
}

function recordedContainer(container: Values): Values {
  const check = object(container.Healthcheck);
  const file = ({ File }: Values): Values => {
    const { Name, UID, GID, Mode } = object(File);
    return { fileName: Name, fileUid: UID, fileGid: GID, fileMode: Mode };
  };
  return {
    image: container.Image,
    labels: labelList(container.Labels),
    commands: container.Command,
    args: container.Args,
    hostname: container.Hostname ?? "",
    env: Object.fromEntries(
      ((container.Env ?? []) as string[]).map((one) => one.split(/=(.*)/s).slice(0, 2)),
    ),
    user: container.User ?? "",
    readOnly: container.ReadOnly ?? false,
    init: container.Init,
    mounts: list(container.Mounts).map(({ Type, Source, Target }) => ({
      type: Type,
      source: Source,
      target: Target,
    })),
    stopGracePeriod: durationOf(container.StopGracePeriod),
    healthcheck: {
      tests: check.Test,
      interval: durationOf(check.Interval),
      timeout: durationOf(check.Timeout),
      startPeriod: durationOf(check.StartPeriod),
      retries: check.Retries ?? 0,
    },
    secrets: list(container.Secrets).map((one) => ({
      ...file(one),
      secretId: one.SecretID,
      secretName: one.SecretName,
    })),
    configs: list(container.Configs).map((one) => ({
      ...file(one),
      configId: one.ConfigID,
      configName: one.ConfigName,
    })),
    dir: "",
    stopSignal: "",
    isolation: container.Isolation,
    sysctl: container.Sysctls,
    capDrops: container.CapabilityDrop,
  };
}

function recordedChange(value: unknown): Values | undefined {
  if (!value) return undefined;
  const change = object(value);
  const ratio = Number(change.MaxFailureRatio ?? 0);
  return {
    parallelism: change.Parallelism ?? 0,
    delay: durationOf(change.Delay),
    failureAction: change.FailureAction,
    monitor: durationOf(change.Monitor),
    maxFailureRatio: Number.isInteger(ratio) ? ratio.toFixed(1) : String(ratio),
    order: change.Order,
  };
}

export function labelMap(value: unknown): Values {
  return Object.fromEntries(list(value).map((one) => [one.label, one.value]));
}

export function labelList(value: unknown): Values[] {
  return Object.entries(object(value)).map(([label, text]) => ({ label, value: text }));
}

const units = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 } as const;

function nanoseconds(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const parts = [...String(value).matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit as keyof typeof units], 0);
}

/** As Go writes a duration. */
function durationOf(value: unknown): string {
  const whole = Number(value ?? 0);
  if (whole > 0 && whole < 1e9) return whole % 1e6 === 0 ? `${whole / 1e6}ms` : `${whole}ns`;
  const [hours, minutes, seconds] = [
    Math.floor(whole / 3600e9),
    Math.floor(whole / 60e9) % 60,
    (whole % 60e9) / 1e9,
  ];
  return `${hours ? `${hours}h` : ""}${hours || minutes ? `${minutes}m` : ""}${seconds}s`;
}

function object(value: unknown): Values {
  return (value ?? {}) as Values;
}

function list(value: unknown): Values[] {
  return (value ?? []) as Values[];
}
