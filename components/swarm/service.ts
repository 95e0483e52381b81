import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { Converged } from "../../providers/converged";
import { freeName } from "../../providers/recorded";
import { labelText, stackLabel } from "./label";
import type { Swarm } from "./swarm";

/** Longest time a service may take until all its tasks run, pauses between restarts included. */
const convergeSeconds = 300;

const mebibyte = 1024 ** 2;

/** A Docker secret: a file in a container, in memory only. */
export interface SecretFile {
  /** Absolute path in the container. */
  readonly path: string;
  readonly content: pulumi.Input<string>;
  /** Owner of the file in the container, who alone can read it. @default "0" */
  readonly uid?: string;
}

export interface SwarmServiceArgs {
  readonly swarm: Swarm;
  /** What has to be there first, besides the Swarm itself. */
  readonly after?: pulumi.Resource[];
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
  /** By a short name, unique in the service. */
  readonly secrets?: Readonly<Record<string, SecretFile>>;
  /** Host folders by folder in the container. */
  readonly binds?: Readonly<Record<string, { readonly source: string; readonly readOnly?: boolean }>>;
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
  /** What a change of the service interrupts, for a preview to say. */
  readonly interrupts?: string;
}

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
 * A Swarm service with its secrets. It exists once all tasks of its newest spec run: Docker's
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
    const service = new docker.Service(
      name,
      { name: freeName("services", name, labelText(), args.swarm.joined), ...spec },
      // Services need every member and the network; Docker takes a service nowhere to run for a success.
      {
        parent: this,
        provider: args.swarm.provider,
        dependsOn: [...args.swarm.ready, ...(args.after ?? [])],
      },
    );
    this.converged = new Converged(
      `${name}-converged`,
      {
        managers: args.swarm.managers,
        service: name,
        fingerprint: this.fingerprint,
        timeoutSeconds: convergeSeconds,
        interrupts: args.interrupts,
      },
      // There is nothing to wait for before the service's new spec is in the Swarm.
      { parent: this, dependsOn: service },
    );
    this.registerOutputs({ serviceName: name });
  }

  private spec(args: SwarmServiceArgs): Omit<docker.ServiceArgs, "name"> {
    const secrets = Object.entries(args.secrets ?? {});
    return specOf(
      args,
      secrets.map(([key, file]) => this.secret(key, file, args.swarm)),
    );
  }

  private secret(key: string, file: SecretFile, swarm: Swarm) {
    const secret = new docker.Secret(
      `${this.serviceName}-${key}`,
      { data: pulumi.secret(file.content).apply(base64), labels: [stackLabel()] },
      { parent: this, provider: swarm.provider, dependsOn: swarm.ready },
    );
    return {
      secretId: pulumi.unsecret(secret.id),
      secretName: pulumi.unsecret(secret.name),
      fileName: file.path,
      fileMode: 0o400,
      fileUid: file.uid ?? "0",
      fileGid: file.uid ?? "0",
    };
  }
}

type ContainerSpec = docker.types.input.ServiceTaskSpecContainerSpec;
type Secrets = ContainerSpec["secrets"];

function specOf(args: SwarmServiceArgs, secrets: Secrets): Omit<docker.ServiceArgs, "name"> {
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
      containerSpec: containerSpecOf(args, secrets),
      networksAdvanceds: [{ id: args.swarm.networkId }],
      placement: { constraints: args.constraints },
      restartPolicy: { condition: "any", delay: "2s", window: "0s" },
      resources: { limits: { memoryBytes: args.memoryMebibytes * mebibyte } },
    },
  };
}

function containerSpecOf(args: SwarmServiceArgs, secrets: Secrets): ContainerSpec {
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
    secrets,
    mounts: [
      ...Object.entries(args.binds ?? {}).map(([target, { source, readOnly }]) => ({
        type: "bind",
        source,
        target,
        readOnly: readOnly ?? false,
      })),
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

/** SHA-256 of what JSON has of a value, hexadecimal. */
function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
