/** The part of a node's files and units that every node has. */
import {
  dockerDropIns,
  dockerFiles,
  registryCaFiles,
  type ContainerLimits,
  type DockerArgs,
} from "./docker-daemon";
import type { Apply, Distribution, ManagedFile, NodeFiles, ProxyModel } from "./model";
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
  /** Further variables for /etc/environment, such as COREOS_PRIVATE_IPV4. */
  readonly environment?: Readonly<Record<string, string>>;
}

const nothing: Apply = { action: "none" };

export function nodeBaseFiles(args: NodeBaseArgs): NodeFiles {
  const docker = dockerFiles(args.docker, args.limits, args.distribution === undefined);
  const proxies = proxyVariables(args);
  const dropIns = {
    ...(Object.keys(proxies).length > 0 ? { "10-moorage-proxy.conf": proxyDropIn(proxies) } : {}),
    ...dockerDropIns(args.docker, args.limits),
  };
  return {
    files: {
      ...docker.files,
      ...registryCaFiles(args.registryNames, args.caCertificate),
      ...environmentFile(args, proxies),
      ...(args.hosts === undefined ? {} : { "/etc/hosts": plain(renderHosts(args.hosts)) }),
      ...(args.motd === undefined ? {} : { "/etc/motd": plain(`${args.motd.trimEnd()}\n`) }),
      ...(args.ntp === undefined || args.ntp.length === 0 ? {} : ntpFile(args.distribution, args.ntp)),
    },
    units: {
      ...docker.units,
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

function proxyDropIn(variables: Record<string, string>): string {
  return renderUnit({
    Service: { Environment: Object.entries(variables).map(([name, value]) => unitEnvironment(name, value)) },
  });
}

function environmentFile(args: NodeBaseArgs, proxies: Record<string, string>): Record<string, ManagedFile> {
  const variables = { ...proxies, ...args.environment };
  if (args.distribution === undefined || Object.keys(variables).length === 0) {
    return {};
  }
  const text = Object.entries(variables).map(([name, value]) => `${name}=${environmentValue(name, value)}`);
  return { "/etc/environment": plain(lines(...text)) };
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

function ntpFile(
  distribution: Distribution | undefined,
  servers: readonly string[],
): Record<string, ManagedFile> {
  const names = servers.map((server) => word(server, "NTP server"));
  if (distribution === "fedora-coreos") {
    const content = lines(
      ...names.map((name) => `server ${name} iburst`),
      "driftfile /var/lib/chrony/drift",
      "makestep 1.0 3",
      "rtcsync",
      "leapsectz right/UTC",
    );
    return { "/etc/chrony.conf": plain(content, { action: "restart", unit: "chronyd.service" }) };
  }
  return {
    "/etc/systemd/timesyncd.conf.d/10-moorage.conf": plain(renderUnit({ Time: { NTP: names.join(" ") } }), {
      action: "restart",
      unit: "systemd-timesyncd.service",
    }),
  };
}
