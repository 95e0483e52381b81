/** The part of a node's files and units that every node has. */
import { aliasFiles } from "./aliases";
import { clockFiles, clockUnits } from "./clock";
import {
  dockerDropIns,
  dockerFiles,
  dockerRestart,
  registryCaFiles,
  type ContainerLimits,
  type DockerArgs,
} from "./docker-daemon";
import type { Apply, Distribution, ManagedFile, NodeFiles, ProxyModel } from "./model";
import { passwordFiles } from "./passwords";
import { lines, word } from "./text";
import { renderUnit, unitEnvironment } from "./unit";

export interface NodeBaseArgs {
  /** Absent on hosts that ran before: then what belongs to the host's owner is left alone (/etc/environment), or shared. */
  readonly distribution?: Distribution;
  readonly docker: DockerArgs;
  /** `host[:port]` of the registry, as clients write it. */
  readonly registryNames: readonly string[];
  /** The registry's CA in PEM form. */
  readonly caCertificate: string;
  readonly proxies?: ProxyModel;
  /** `computeNoProxy()` */
  readonly noProxy: readonly string[];
  readonly limits?: ContainerLimits;
  /** Names that nodes know without DNS; absent leaves /etc/hosts alone. */
  readonly hosts?: readonly { readonly address: string; readonly names: readonly string[] }[];
  readonly motd?: string;
  readonly ntp?: readonly string[];
  /** A timer that sets the clock; only where there is a `distribution`. */
  readonly clockTimer?: boolean;
  /** Short names for Docker's commands; only where there is a `distribution`. */
  readonly aliases?: boolean;
  /** Users with a password; `passwordHash` is secret. */
  readonly passwords?: readonly { readonly name: string; readonly passwordHash: string }[];
  /** Further variables for /etc/environment, such as COREOS_PRIVATE_IPV4. */
  readonly environment?: Readonly<Record<string, string>>;
}

const nothing: Apply = { action: "none" };

export function nodeBaseFiles(args: NodeBaseArgs): NodeFiles {
  const docker = dockerFiles(args.docker, args.limits, args.distribution);
  const proxies = proxyVariables(args);
  const dropIns = {
    ...proxyDropIns(args.distribution, proxies),
    ...dockerDropIns(args.docker, args.limits, args.distribution),
  };
  const passwords = passwordFiles(args.passwords ?? []);
  const installed = args.distribution !== undefined;
  return {
    files: {
      ...docker.files,
      ...registryCaFiles(args.registryNames, args.caCertificate),
      ...environmentFile(args, proxies),
      ...(args.hosts === undefined ? {} : { "/etc/hosts": plain(renderHosts(args.hosts)) }),
      ...(args.motd === undefined ? {} : { "/etc/motd": plain(`${args.motd.trimEnd()}\n`) }),
      ...clockFiles(args.distribution, args.ntp ?? []),
      ...(args.aliases && installed ? aliasFiles : {}),
      ...passwords.files,
    },
    units: {
      ...docker.units,
      ...(args.clockTimer && args.distribution ? clockUnits(args.distribution, args.ntp ?? []) : {}),
      ...passwords.units,
      "docker.service": {
        ...(Object.keys(dropIns).length > 0 ? { dropIns } : {}),
        enabled: true,
      },
    },
  };
}

function plain(content: string, apply: Apply = nothing): ManagedFile {
  return { content, mode: 0o644, apply };
}

/** Both letter cases: programs differ in which one they read. */
function proxyVariables(args: NodeBaseArgs): Record<string, string> {
  const { http, https } = args.proxies ?? { exclude: [] };
  if (http === undefined && https === undefined) {
    return {};
  }
  const direct = args.noProxy.join(",");
  return {
    ...(http === undefined ? {} : { HTTP_PROXY: http, http_proxy: http }),
    ...(https === undefined ? {} : { HTTPS_PROXY: https, https_proxy: https }),
    NO_PROXY: direct,
    no_proxy: direct,
  };
}

function proxyDropIns(
  distribution: Distribution | undefined,
  variables: Record<string, string>,
): Record<string, string> {
  if (Object.keys(variables).length === 0) {
    return {};
  }
  if (distribution === "coreos") {
    return { "environment.conf": renderUnit({ Service: { EnvironmentFile: "/etc/environment" } }) };
  }
  const assignments = Object.entries(variables).map(([name, value]) => unitEnvironment(name, value));
  return { "10-moorage-proxy.conf": renderUnit({ Service: { Environment: assignments } }) };
}

function environmentFile(args: NodeBaseArgs, proxies: Record<string, string>): Record<string, ManagedFile> {
  const variables = { ...proxies, ...args.environment };
  if (args.distribution === undefined || Object.keys(variables).length === 0) {
    return {};
  }
  const text = Object.entries(variables).map(([name, value]) => `${name}=${environmentValue(name, value)}`);
  // Where Docker's unit reads the file itself, it has to read it anew.
  const readByDocker = args.distribution === "coreos" && Object.keys(proxies).length > 0;
  return { "/etc/environment": plain(lines(...text), readByDocker ? dockerRestart : nothing) };
}

/** Read by PAM and by systemd: both take double quotes, PAM ends an unquoted value at `#`. */
function environmentValue(name: string, value: string): string {
  if (/["\\\n]/.test(value)) {
    throw new Error(`${name}: a value in /etc/environment cannot hold quotes, backslashes or line breaks`);
  }
  return /^[\w.,:/@%+=[\]-]*$/.test(value) ? value : `"${value}"`;
}

function renderHosts(hosts: NonNullable<NodeBaseArgs["hosts"]>): string {
  return lines(
    "127.0.0.1 localhost",
    "::1 localhost ip6-localhost ip6-loopback",
    ...hosts.map(
      ({ address, names }) =>
        `${word(address, "address")} ${names.map((name) => word(name, "name")).join(" ")}`,
    ),
  );
}
