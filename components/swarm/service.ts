import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { StorageTurnInputs } from "@moorage/hosts";
import { createHash } from "node:crypto";
import { Converged } from "../../providers/converged";
import type { ArgsOf } from "../../providers/inputs";
import { freeName, recordedFingerprint, thisRun } from "../../providers/recorded";
import { ServiceTurn } from "../../providers/serviceTurn";
import { StorageTurn } from "../../providers/storageTurn";
import { labelText, stackLabel } from "./label";
import type { Swarm } from "./swarm";

/** Longest time a service may take until all its tasks run, pauses between restarts included. */
const convergeSeconds = 300;

const mebibyte = 1024 ** 2;

/** A file in a container. */
export interface ServiceFile {
  /** Absolute path in the container. */
  readonly path: string;
  readonly content: pulumi.Input<string>;
  /** Kept as a Docker secret, in memory only, in place of a config. @default false */
  readonly secret?: boolean;
  /** @default 0o444 for configs, 0o400 for secrets */
  readonly mode?: number;
  /** Owner of the file in the container. @default "0" */
  readonly uid?: string;
}

export interface SwarmServiceArgs {
  readonly swarm: Swarm;
  /** What has to be there first, besides the Swarm itself. */
  readonly after?: pulumi.Resource[];
  /** What comes before a change of it besides, where that is known only then. */
  readonly turn?: pulumi.Output<pulumi.Resource[]>;
  /** MinIO, where the service is its member on a node: it is not changed before the others can do without it. */
  readonly memberOf?: MemberOf;
  readonly image: string;
  /** Placement constraints. */
  readonly constraints: string[];
  /** One task on every node that fits, in place of a single one. @default false */
  readonly global?: boolean;
  readonly hostname?: string;
  readonly command?: string[];
  readonly args?: string[];
  readonly environment?: Record<string, string>;
  readonly user?: string;
  /** Files by a short name, unique in the service. */
  readonly files?: Readonly<Record<string, ServiceFile>>;
  /** Host folder by folder in the container. */
  readonly binds?: Readonly<Record<string, string>>;
  /** MiB of each folder in memory, the only ones that can be written to besides binds. They count as the service's memory. */
  readonly tmpfs?: Readonly<Record<string, number>>;
  /** Memory of one task in MiB: a process of one that wants more is killed, in the place of another service's. */
  readonly memoryMebibytes: number;
  /** Kernel settings of the container's own network. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Host port by port in the container. */
  readonly ports?: { readonly published: number; readonly target: number }[];
  readonly healthcheck?: HealthcheckArgs;
  readonly stopGraceSeconds?: number;
  /** What Swarm does with an update whose task fails. @default "rollback" */
  readonly failureAction?: "rollback" | "pause";
  /** It serves by other tasks of its node: where that is drained, it ends before those. */
  readonly endsFirst?: boolean;
}

export type MemberOf = ArgsOf<Pick<StorageTurnInputs, "node" | "store" | "oneByOne">>;

/** Each look starts a process in the container, by Docker: that costs more than most tests do. */
export interface HealthcheckArgs {
  /** As in a Dockerfile: `CMD` and the command. */
  readonly test: string[];
  /** From the container's start to the first look, and from the end of one to the next. */
  readonly intervalSeconds: number;
  /** How long a look may take, less than 60: Docker's provider reads `1m0s` back for `60s`, and takes it for a change. */
  readonly timeoutSeconds: number;
  /** How long a new container may fail its checks, less than 60 for the same reason. @default 10 */
  readonly startPeriodSeconds?: number;
}

/**
 * A Swarm service with its configs and secrets. It exists once all tasks of its newest spec run: Docker's
 * provider waits for replicated services at most, and takes a rollback for a success.
 */
export class SwarmService extends pulumi.ComponentResource {
  readonly serviceName: string;
  /** Changes whenever the service's spec does. */
  readonly fingerprint: pulumi.Output<string>;
  /** Everything that must have come true before the service counts as there. */
  readonly converged: pulumi.Resource;

  constructor(name: string, args: SwarmServiceArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:swarm:SwarmService", name, {}, options);
    this.serviceName = name;
    const spec = this.spec(args);
    this.fingerprint = pulumi.output(spec).apply(digestOf);
    const before = this.before(args);
    const service = new docker.Service(
      name,
      { name: freeName("services", name, labelText(), args.swarm.joined), ...spec },
      // Services need every member and the network; Docker takes a service nowhere to run for a success.
      {
        parent: this,
        provider: args.swarm.provider,
        dependsOn: before,
      },
    );
    this.converged = new Converged(
      `${name}-converged`,
      {
        managers: args.swarm.managers,
        service: name,
        fingerprint: this.fingerprint,
        timeoutSeconds: convergeSeconds,
      },
      // There is nothing to wait for before the service's new spec is in the Swarm.
      { parent: this, dependsOn: service },
    );
    this.registerOutputs({ serviceName: name });
  }

  private before({ swarm, after = [], turn, memberOf, global }: SwarmServiceArgs) {
    const known = [...swarm.ready, ...after];
    const before = turn?.apply((turn) => [...known, ...turn]) ?? known;
    const { fingerprint, serviceName: service } = this;
    const name = `${service}-turn`;
    const due = () => ({
      fingerprint,
      recorded: recordedFingerprint(service, swarm.joined),
      run: thisRun(),
    });
    const options = { parent: this, dependsOn: before };
    if (memberOf !== undefined) return [new StorageTurn(name, { ...memberOf, ...due() }, options)];
    if (!global) return before;
    return [new ServiceTurn(name, { managers: swarm.managers, service, ...due() }, options)];
  }

  private spec(args: SwarmServiceArgs): Omit<docker.ServiceArgs, "name"> {
    const files = Object.entries(args.files ?? {});
    const isSecret = ([, file]: [string, ServiceFile]) => file.secret === true;
    return specOf(args, {
      configs: files.filter((one) => !isSecret(one)).map(([key, file]) => this.config(key, file, args.swarm)),
      secrets: files.filter(isSecret).map(([key, file]) => this.secret(key, file, args.swarm)),
    });
  }

  private config(key: string, file: ServiceFile, swarm: Swarm) {
    const config = new docker.ServiceConfig(
      `${this.serviceName}-${key}`,
      { data: pulumi.output(file.content).apply(base64), labels: [stackLabel()] },
      { parent: this, provider: swarm.provider, dependsOn: swarm.ready },
    );
    return {
      configId: config.id,
      configName: config.name,
      fileName: file.path,
      fileMode: file.mode ?? 0o444,
      fileUid: file.uid ?? "0",
      fileGid: file.uid ?? "0",
    };
  }

  private secret(key: string, file: ServiceFile, swarm: Swarm) {
    const secret = new docker.Secret(
      `${this.serviceName}-${key}`,
      { data: pulumi.secret(file.content).apply(base64), labels: [stackLabel()] },
      { parent: this, provider: swarm.provider, dependsOn: swarm.ready },
    );
    return {
      secretId: pulumi.unsecret(secret.id),
      secretName: pulumi.unsecret(secret.name),
      fileName: file.path,
      fileMode: file.mode ?? 0o400,
      fileUid: file.uid ?? "0",
      fileGid: file.uid ?? "0",
    };
  }
}

type ContainerSpec = docker.types.input.ServiceTaskSpecContainerSpec;
type Mounted = Pick<ContainerSpec, "configs" | "secrets">;

/** Changes whenever a service of these arguments does, but for the contents of its files. */
export function shapeOf(args: Omit<SwarmServiceArgs, "swarm">): string {
  return digestOf(specOf({ ...args, swarm: { networkId: "" } }, {}));
}

type SpecArgs = Omit<SwarmServiceArgs, "swarm"> & {
  readonly swarm: { readonly networkId: pulumi.Input<string> };
};

function specOf(args: SpecArgs, mounted: Mounted): Omit<docker.ServiceArgs, "name"> {
  return {
    labels: [stackLabel(), ...(args.endsFirst ? [{ label: "moorage.ends-first", value: "true" }] : [])],
    mode: args.global ? { global: true } : { replicated: { replicas: 1 } },
    endpointSpec: {
      mode: "dnsrr",
      ports: (args.ports ?? []).map(({ published, target }) => ({
        publishedPort: published,
        targetPort: target,
        protocol: "tcp",
        publishMode: "host",
      })),
    },
    updateConfig: changeConfig(args.failureAction ?? "rollback", args),
    rollbackConfig: changeConfig("pause", args),
    taskSpec: {
      containerSpec: containerSpecOf(args, mounted),
      networksAdvanceds: [{ id: args.swarm.networkId }],
      placement: { constraints: args.constraints },
      restartPolicy: { condition: "any", delay: "2s", window: "0s" },
      resources: { limits: { memoryBytes: args.memoryMebibytes * mebibyte } },
    },
  };
}

function containerSpecOf(args: SpecArgs, mounted: Mounted): ContainerSpec {
  return {
    image: args.image,
    hostname: args.hostname,
    commands: args.command,
    args: args.args,
    env: args.environment,
    user: args.user,
    labels: [stackLabel()],
    sysctl: args.sysctls,
    readOnly: true,
    init: true,
    capDrops: ["ALL"],
    stopGracePeriod: `${args.stopGraceSeconds ?? 30}s`,
    healthcheck: args.healthcheck && {
      tests: args.healthcheck.test,
      interval: `${args.healthcheck.intervalSeconds}s`,
      timeout: `${args.healthcheck.timeoutSeconds}s`,
      retries: 3,
      startPeriod: `${args.healthcheck.startPeriodSeconds ?? 10}s`,
    },
    ...mounted,
    mounts: [
      ...Object.entries(args.binds ?? {}).map(([target, source]) => ({ type: "bind", source, target })),
      ...Object.entries(args.tmpfs ?? {}).map(([target, size]) => ({
        type: "tmpfs",
        target,
        tmpfsOptions: { sizeBytes: size * mebibyte },
      })),
    ],
  };
}

/**
 * A host port or a folder of the host leaves no room for two tasks on a node: there the old one stops first. All
 * else starts the new one first, so that replicas that change at the same time are never all away.
 */
function changeConfig(
  failureAction: string,
  { ports = [], binds = {} }: Pick<SwarmServiceArgs, "ports" | "binds">,
) {
  const alone = ports.length > 0 || Object.keys(binds).length > 0;
  return {
    parallelism: 1,
    delay: "2s",
    failureAction,
    monitor: "5s",
    maxFailureRatio: "0.0",
    order: alone ? "stop-first" : "start-first",
  };
}

/** Go's own limit, below the service's: memory that is no longer used is given back before it is missed. */
export function goMemory(mebibytes: number): Record<string, string> {
  return { GOMEMLIMIT: `${Math.floor(mebibytes * 0.85)}MiB` };
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** The `turn` of one of several services: when the one before it has converged, where they are changed one by one. */
export function turnAfter(
  previous: SwarmService | undefined,
  oneByOne: pulumi.Output<boolean>,
): pulumi.Output<pulumi.Resource[]> {
  return oneByOne.apply((isRow) => (isRow && previous ? [previous.converged] : []));
}

/** SHA-256 of what JSON has of a value, hexadecimal. */
export function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
