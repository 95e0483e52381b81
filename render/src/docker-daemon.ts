/** Docker's own settings on a node. */
import { dockerOptionsDropIn, dockerOptionsFiles } from "./docker-options";
import type { Distribution, ManagedFile, ManagedUnit, NodeFiles } from "./model";
import { word } from "./text";
import { renderUnit } from "./unit";

export interface DockerApiTls {
  /** Certificates in PEM form; clients need one of this CA, too. */
  readonly ca: string;
  readonly cert: string;
  /** Secret. */
  readonly key: string;
}

export interface DockerArgs {
  /** The API on port 2376 with mutual TLS; absent: on the local socket only. */
  readonly apiTls?: DockerApiTls;
  /** Size at which a container's log is rotated. @default "10m" */
  readonly logMaxSize?: string;
  /** Files kept of each container's log. @default 3 */
  readonly logMaxFile?: number;
  /** @default true */
  readonly noNewPrivileges?: boolean;
  /** Docker's cgroup driver, which decides how a slice is named. @default "systemd" */
  readonly cgroupDriver?: "systemd" | "cgroupfs";
}

/** What all containers of a node may use together. */
export interface ContainerLimits {
  readonly tasksMax: number;
  /** In systemd's notation, such as `3G` or `80%`. */
  readonly memoryMax?: string;
}

export const dockerRestart = { action: "restart", unit: "docker.service" } as const;
export const containerSlice = "moorage.slice";
const tlsFolder = "/etc/docker/tls";
const apiSocket = "docker-tls-tcp.socket";

/** Without a `distribution` the host has an owner besides us, whose own settings of Docker stay. */
export function dockerFiles(
  args: DockerArgs,
  limits: ContainerLimits | undefined,
  distribution: Distribution | undefined,
): NodeFiles {
  const settings = daemonSettings(args, limits !== undefined, distribution);
  return {
    files: {
      "/etc/docker/daemon.json": {
        content: `${JSON.stringify(settings, null, 2)}\n`,
        mode: 0o644,
        apply: dockerRestart,
        ...(distribution === undefined ? { shared: true as const } : {}),
      },
      ...(distribution === "fedora-coreos" ? dockerOptionsFiles(settings) : {}),
      ...(args.apiTls === undefined ? {} : tlsFiles(args.apiTls)),
    },
    units: {
      ...(args.apiTls === undefined ? {} : { [apiSocket]: socketUnit() }),
      ...(limits === undefined ? {} : { [containerSlice]: sliceUnit(limits) }),
    },
  };
}

/** Drop-ins for docker.service that the distribution's options, the API and the limits need. */
export function dockerDropIns(
  args: DockerArgs,
  limits: ContainerLimits | undefined,
  distribution: Distribution | undefined,
): Record<string, string> {
  const dropIns: Record<string, string> = distribution === "fedora-coreos" ? { ...dockerOptionsDropIn } : {};
  if (args.apiTls !== undefined) {
    // systemd hands a socket over only when the service starts. So the socket comes up with the service, and a
    // restart of Docker is all it takes; starting the socket beside a running Docker is refused.
    dropIns["20-moorage-api.conf"] = renderUnit({ Unit: { Wants: apiSocket, After: apiSocket } });
  }
  if (limits !== undefined) {
    dropIns["30-moorage-slice.conf"] = renderUnit({ Unit: { Wants: containerSlice, After: containerSlice } });
  }
  return dropIns;
}

/**
 * `hosts` stays out: it quarrels with the unit's `-H fd://`. So does `live-restore`, which excludes Swarm; an owner
 * may have set it.
 */
function daemonSettings(
  args: DockerArgs,
  limited: boolean,
  distribution: Distribution | undefined,
): Record<string, unknown> {
  const slice = args.cgroupDriver === "cgroupfs" ? `/${containerSlice}` : containerSlice;
  return {
    ...(limited ? { "cgroup-parent": slice } : {}),
    ...(distribution === "fedora-coreos" ? { "default-ulimits": openFiles } : {}),
    ...(distribution === undefined ? { "live-restore": false } : {}),
    "log-driver": "json-file",
    "log-opts": {
      "max-file": String(args.logMaxFile ?? 3),
      "max-size": args.logMaxSize ?? "10m",
    },
    "no-new-privileges": args.noNewPrivileges ?? true,
    ...(args.apiTls === undefined
      ? {}
      : {
          tlscacert: `${tlsFolder}/ca.pem`,
          tlscert: `${tlsFolder}/cert.pem`,
          tlskey: `${tlsFolder}/key.pem`,
          tlsverify: true,
        }),
  };
}

/** What systemd gives a service. Releases of Fedora CoreOS have let no container open more than 1024 files. */
const openFiles = { nofile: { Hard: 524_288, Name: "nofile", Soft: 1024 } };

function tlsFiles(tls: DockerApiTls): Record<string, ManagedFile> {
  return {
    [`${tlsFolder}/ca.pem`]: { content: tls.ca, mode: 0o644, apply: dockerRestart },
    [`${tlsFolder}/cert.pem`]: { content: tls.cert, mode: 0o644, apply: dockerRestart },
    [`${tlsFolder}/key.pem`]: { content: tls.key, mode: 0o600, apply: dockerRestart },
  };
}

function socketUnit(): ManagedUnit {
  return {
    content: renderUnit({
      Unit: { Description: "Docker's API, with mutual TLS" },
      Socket: { ListenStream: 2376, BindIPv6Only: "both", Service: "docker.service" },
    }),
    apply: dockerRestart,
  };
}

function sliceUnit(limits: ContainerLimits): ManagedUnit {
  return {
    content: renderUnit({
      Unit: { Description: "All containers of this node", Before: "docker.service" },
      Slice: { TasksMax: limits.tasksMax, MemoryMax: limits.memoryMax },
    }),
    // Read anew, a limit reaches a running slice when its next container starts; restarting the slice itself would
    // stop every container in it.
    apply: dockerRestart,
  };
}

/** Docker reads these at each connection to a registry. */
export function registryCaFiles(names: readonly string[], certificate: string): Record<string, ManagedFile> {
  return Object.fromEntries(
    names.map((name) => [
      `/etc/docker/certs.d/${word(name, "registry's name")}/ca.crt`,
      { content: certificate, mode: 0o644, apply: { action: "none" } },
    ]),
  );
}
