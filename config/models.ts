/** A stack's configuration as the plain models that renderers take. What only the stack's state knows comes in as values. */
import {
  type InterfaceModel,
  computeNoProxy,
  nodeBaseFiles,
  type ContainerLinuxModel,
  type ManagedUnit,
  type NetworkModel,
  type NicModel,
  type NodeBaseArgs,
  type NodeFiles,
  type UserDataModel,
  type UserModel,
  type VlanModel,
} from "@moorage/render";
import { etcdAddressesOf, everyAddress } from "./etcdAddresses";
import type { NodeConfig } from "./nodes";
import type { OsConfig } from "./os";
import type { EdgeConfig } from "./services";
import type { StackConfig } from "./stack";
import { prefixLength } from "./values";

/** What a node's user data holds that the configuration does not: made once, and kept in the stack's state. */
export interface NodeKeys {
  /** `privateKey` is secret. */
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
  /** Public key that the program logs in with. */
  readonly authorizedKey: string;
  /** By user; secret. Users that are not named have no password. */
  readonly passwordHashes: Readonly<Record<string, string>>;
}

/** What a node's base files hold that the configuration does not. */
export interface BaseValues {
  /** Of the front's CA. */
  readonly caCertificate: string;
  /** For Docker's API, with a CA of its own; `key` is secret. */
  readonly api: { readonly ca: string; readonly certificate: string; readonly key: string };
  /** By user; secret. */
  readonly passwordHashes: Readonly<Record<string, string>>;
}

/** @throws Error where the configuration has no node of this name. */
export function nodeOf(config: StackConfig, name: string): NodeConfig {
  const node = config.nodes[name];
  if (!node) {
    throw new Error(
      `${name} is no node of this stack; wanted: one of ${Object.keys(config.nodes).join(", ")}`,
    );
  }
  return node;
}

/** Users whom the configuration gives a password, in the order of their names. */
export function usersWithPassword({ os, platform }: StackConfig): string[] {
  if (platform === "existing") return [];
  return Object.keys(os.users)
    .filter((name) => os.users[name]?.password)
    .sort();
}

/** `host` or `host:port` of the registry, as clients name it. */
export function registryHost(edge: EdgeConfig): string {
  const host = edge.hostname ?? edge.vip;
  return edge.port === 443 ? host : `${host}:${edge.port}`;
}

/** What a node is installed with. */
export function userDataModel(config: StackConfig, name: string, keys: NodeKeys): UserDataModel {
  const { os } = config;
  const node = nodeOf(config, name);
  const containerLinux = containerLinuxModel(node, os);
  return {
    hostname: name,
    ...networkModel(config, name),
    users: [
      { name: "core", groups: ["sudo", "docker"], sshAuthorizedKeys: [keys.authorizedKey] },
      ...Object.keys(os.users).map((user) => userModel(user, os, keys)),
    ],
    hostKey: keys.hostKey,
    timeZone: os.timeZone,
    updateStrategy: os.updateStrategy,
    ...(containerLinux && { containerLinux }),
  };
}

/** A node's interfaces. */
export function networkModel(config: StackConfig, name: string): NetworkModel {
  const node = nodeOf(config, name);
  return {
    distribution: config.os.distribution,
    network: interfaceModel(config, node),
    ...interfaces(node),
  };
}

/** A node's first network interface; its live installer has the same address where the program says which. */
export function interfaceModel(config: StackConfig, node: NodeConfig): InterfaceModel {
  const { network } = config;
  return {
    match: node.interface,
    address: node.address,
    prefixLength: prefixLength(network.subnet),
    gateway: network.gateway,
    metric: network.metric,
    dns: network.dns,
    domains: domainsOf(config),
    mtu: network.mtu,
  };
}

function userModel(name: string, os: OsConfig, { authorizedKey, passwordHashes }: NodeKeys): UserModel {
  const { groups = [], sshAuthorizedKeys = [] } = os.users[name] ?? {};
  const passwordHash = passwordHashes[name];
  return {
    name,
    groups,
    sshAuthorizedKeys: [authorizedKey, ...sshAuthorizedKeys],
    ...(passwordHash !== undefined && { passwordHash }),
  };
}

function domainsOf({ network }: StackConfig): string[] {
  return [...(network.domain ? [network.domain] : []), ...network.searchDomains];
}

function interfaces(node: NodeConfig): Pick<NetworkModel, "vlans" | "nics"> {
  const vlans: VlanModel[] = Object.entries(node.vlans).map(([name, vlan]) => ({ name, ...vlan }));
  const nics: NicModel[] = Object.entries(node.nics).map(([match, { address, gateway, metric, mtu }]) => ({
    match,
    address,
    gateway,
    metric,
    mtu,
  }));
  return { ...(vlans.length > 0 && { vlans }), ...(nics.length > 0 && { nics }) };
}

function containerLinuxModel(node: NodeConfig, os: OsConfig): ContainerLinuxModel | undefined {
  const given = os.containerLinux;
  if (!given) return undefined;
  const { etcd2, fleet, flannel, insecureDockerApi, insecureRegistries } = given;
  const { address, labels, etcd = {} } = node;
  const { advertiseClientAddr = address, advertisePeerAddr = address } = etcd;
  const { listenClientAddrs = [everyAddress], listenPeerAddrs = [advertisePeerAddr] } = etcd;
  const urls = (hosts: readonly string[], ports: readonly number[]) =>
    hosts.flatMap((host) => ports.map((port) => `http://${host}:${port}`));
  return {
    ...(etcd2 && {
      etcd2: {
        discovery: etcd2.discovery,
        discoveryProxy: etcd2.discoveryProxy,
        advertiseClientUrls: urls([advertiseClientAddr], etcd2.clientPorts.slice(0, 1)),
        initialAdvertisePeerUrls: urls([advertisePeerAddr], etcd2.peerPorts.slice(0, 1)),
        listenClientUrls: urls(listenClientAddrs, etcd2.clientPorts),
        listenPeerUrls: urls(listenPeerAddrs, etcd2.peerPorts),
      },
    }),
    ...(fleet && {
      fleet: {
        publicIp: address,
        metadata: Object.keys(labels)
          .sort()
          .map((key) => `${key}=${labels[key]}`)
          .join(","),
      },
    }),
    ...(flannel && {
      flannel: { interface: flannel.interface ?? address, network: flannel.network },
    }),
    ...(insecureDockerApi && { insecureDockerApi: true }),
    ...(insecureRegistries.length > 0 && { insecureRegistries }),
  };
}

/** What a node's installation does besides its user data; keys that are not used are absent. */
export function installerSettings(config: StackConfig, node: NodeConfig) {
  const { image } = config.os;
  return {
    ...(image && { image }),
    ...(node.erasableDisk !== undefined && { erasableDisk: node.erasableDisk }),
    ...downloadProxies(config),
  };
}

/** What fetches images from outside is told; nothing where there is no proxy. */
export function downloadProxies(config: StackConfig) {
  const { http, https } = config.os.proxies ?? {};
  return (http ?? https) === undefined ? {} : { proxies: { http, https, none: noProxyOf(config) } };
}

/** What a node's host is looked at for before anything is touched; keys that are not used are absent. */
export function hardwareOf({ storage }: StackConfig, node: NodeConfig) {
  const { erasableDisk } = node;
  const names = Object.keys(node.nics);
  const { dataDirectory, dataDisk } = node;
  // The program itself makes what lies on a data disk.
  const isMade = dataDisk !== undefined && dataDirectory?.startsWith(`${storage.mountPoint}/`);
  const isLookedAt = dataDirectory !== undefined && node.roles.includes("storage") && !isMade;
  return {
    interface: node.interface,
    ...(names.length > 0 && { nics: names }),
    disk: node.disk,
    ...(erasableDisk !== undefined && { erasableDisk }),
    dataDisk,
    ...dataDiskSerials(node),
    ...(isLookedAt && { dataDirectory }),
  };
}

/** What else than its own a node's data disk may hold; keys that are not used are absent. */
export function dataDiskSerials({ wipeDataDiskSerial, adoptDiskSerial }: NodeConfig) {
  return {
    ...(wipeDataDiskSerial !== undefined && { wipeDataDiskSerial }),
    ...(adoptDiskSerial !== undefined && { adoptDiskSerial }),
  };
}

/** What every node has besides its installation, put there over SSH; the configuration's own files and units too. */
export function baseFiles(config: StackConfig, name: string, values: BaseValues): NodeFiles {
  const program = nodeBaseFiles(baseArgs(config, name, values));
  const own = ownFiles(config);
  return {
    files: { ...program.files, ...own.files },
    units: { ...program.units, ...withDropIns(own.units, program.units) },
  };
}

/** What the program alone has there. */
export function programFiles(config: StackConfig, name: string): NodeFiles {
  const hashes = Object.fromEntries(usersWithPassword(config).map((user) => [user, ""]));
  return nodeBaseFiles(
    baseArgs(config, name, {
      caCertificate: "",
      api: { ca: "", certificate: "", key: "" },
      passwordHashes: hashes,
    }),
  );
}

function baseArgs(config: StackConfig, name: string, values: BaseValues): NodeBaseArgs {
  const { edge, os, platform, swarm } = config;
  const { caCertificate, api, passwordHashes } = values;
  const installed = platform !== "existing";
  return {
    distribution: installed ? os.distribution : undefined,
    docker: {
      apiTls: swarm.dockerApi ? { ca: api.ca, cert: api.certificate, key: api.key } : undefined,
      logMaxSize: swarm.logMaxSize,
      logMaxFile: swarm.logMaxFile,
      noNewPrivileges: true,
    },
    limits: { tasksMax: swarm.tasksMax, memoryMax: swarm.memoryMax },
    registryNames: [...new Set([registryHost(edge), edge.vip])],
    caCertificate,
    proxies: os.proxies,
    noProxy: noProxyOf(config),
    motd: os.motd,
    ntp: os.ntp,
    clockTimer: os.clockTimer,
    aliases: os.aliases,
    passwords: usersWithPassword(config).map((user) => ({
      name: user,
      passwordHash: passwordHashes[user] ?? "",
    })),
    environment: installed ? { COREOS_PRIVATE_IPV4: nodeOf(config, name).address } : undefined,
  };
}

function noProxyOf(config: StackConfig): string[] {
  const { edge, etcd, network, nodes, os } = config;
  const etcdOf = (node: NodeConfig) => {
    const { client, peer } = etcdAddressesOf(node);
    return [client, peer];
  };
  const withRole = (role: NodeConfig["roles"][number]) =>
    Object.keys(nodes).filter((name) => nodes[name]?.roles.includes(role));
  return computeNoProxy({
    nodes: Object.entries(nodes).map(([name, node]) => ({ name, addresses: addressesOf(node) })),
    etcdAddresses: etcd.enabled ? withRole("manager").flatMap((name) => etcdOf(nodeOf(config, name))) : [],
    domains: domainsOf(config),
    vip: edge.vip,
    serviceNames: [
      ...(edge.hostname ? [edge.hostname] : []),
      ...edge.alternativeNames,
      ...withRole("registry").map((name) => `registry-${name}`),
      ...Object.keys(nodes)
        .filter((name) => withRole("edge").includes(name) || withRole("registry").includes(name))
        .map((name) => `haproxy-${name}`),
      ...withRole("storage").map((name) => `minio-${name}`),
    ],
    subnets: [network.subnet, network.overlay.subnet],
    exclude: os.proxies?.exclude ?? [],
  });
}

/** What other nodes reach it at: by its VLANs and further cards as well, where these are static. */
function addressesOf({ address, advertiseAddr, vlans, nics }: NodeConfig): string[] {
  const others = [...Object.values(vlans), ...Object.values(nics)].map((each) => each.address?.split("/")[0]);
  return [address, advertiseAddr, ...others].filter((each) => each !== undefined);
}

function ownFiles({ os }: StackConfig): NodeFiles {
  const files = Object.entries(os.files).map(([path, { content, permissions, owner }]) => [
    path,
    { content, mode: Number.parseInt(permissions, 8), owner, apply: { action: "none" } as const },
  ]);
  return { files: Object.fromEntries(files) as NodeFiles["files"], units: os.units };
}

/** A unit of the program's may get drop-ins of the configuration's beside its own. */
function withDropIns(own: NodeFiles["units"], program: NodeFiles["units"]): Record<string, ManagedUnit> {
  return Object.fromEntries(
    Object.entries(own).map(([name, unit]) => {
      const { dropIns = {}, ...rest } = program[name] ?? {};
      return [name, program[name] ? { ...rest, dropIns: { ...dropIns, ...unit.dropIns } } : unit];
    }),
  );
}
