/** That addresses and subnets fit each other, and that no two things have the same. */
import type { Problem } from "./problem";
import type { Understood } from "./understood";
import { contains, isEdgeOf, isSpecial, networkOf, overlaps, prefixLength } from "./values";

/** An address of the configuration: where it is given, and whose it is. */
interface Claim {
  readonly path: string;
  readonly address: string;
  readonly owner: string;
}

export function addressChecks(config: Understood): Problem[] {
  return [
    ...duplicateAddresses(config),
    ...checkOverlay(config),
    ...checkPlaces(config),
    ...checkGateway(config),
    ...checkVip(config),
    ...checkSwarmAddresses(config),
    ...checkEncryption(config),
  ];
}

function nodeClaims({ nodes }: Understood): Claim[] {
  return Object.entries(nodes).flatMap(([name, { address }]) =>
    address ? [{ path: `nodes.${name}.address`, address, owner: name }] : [],
  );
}

function claims(config: Understood): Claim[] {
  const { network, edge } = config;
  return [
    ...(network.gateway ? [{ path: "network.gateway", address: network.gateway, owner: "the gateway" }] : []),
    ...nodeClaims(config),
    ...(edge.vip ? [{ path: "edge.vip", address: edge.vip, owner: "the registry" }] : []),
  ];
}

function duplicateAddresses({ nodes }: Understood): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  for (const [name, node] of Object.entries(nodes)) {
    const { address, ssh, installer } = node;
    // Where no host is named it is the address, which is compared already. One node's two may be the same.
    const keys = {
      address,
      ssh: ssh?.host && `${ssh.host}:${ssh.port}`,
      installer: installer?.host && `${installer.host}:${installer.port}`,
    };
    for (const [key, value] of Object.entries(keys)) {
      if (!value) continue;
      const other = seen.get(`${key} ${value}`);
      if (other) {
        problems.push({
          path: `nodes.${name}.${key}`,
          found: value,
          wanted: `another than that of ${other}`,
        });
      }
      seen.set(`${key} ${value}`, name);
    }
  }
  return problems;
}

/** Each in the nodes' subnet, and one that a host there can have. */
function checkPlaces(config: Understood): Problem[] {
  const { subnet } = config.network;
  return claims(config).flatMap(({ path, address }) => {
    const wanted = placeFor(address, subnet);
    return wanted ? [{ path, found: address, wanted }] : [];
  });
}

function placeFor(address: string, subnet: string | undefined): string | undefined {
  if (isSpecial(address)) {
    return "an address that a single host can have: no loopback, multicast, broadcast or reserved one";
  }
  if (subnet && !contains(subnet, address)) return `an address in network.subnet (${subnet})`;
  if (subnet && isEdgeOf(subnet, address)) {
    return `another address: this one is the first or the last of ${networkOf(subnet)}, which no host can have`;
  }
  return undefined;
}

function checkGateway(config: Understood): Problem[] {
  const { gateway } = config.network;
  const holder = nodeClaims(config).find(({ address }) => address === gateway);
  return gateway && holder
    ? [
        {
          path: "network.gateway",
          found: gateway,
          wanted: `the router's address; this one is the address of ${holder.owner}`,
        },
      ]
    : [];
}

function checkVip(config: Understood): Problem[] {
  const { vip } = config.edge;
  const holder = claims(config).find(({ path, address }) => path !== "edge.vip" && address === vip);
  return vip && holder
    ? [
        {
          path: "edge.vip",
          found: vip,
          wanted: `a free address; this one is ${holder.path === "network.gateway" ? "the gateway" : `the address of ${holder.owner}`}`,
        },
      ]
    : [];
}

function addressAt(node: Understood["nodes"][string], key: string): string | undefined {
  const { advertiseAddr, dataPathAddr, etcd = {} } = node;
  return new Map(
    Object.entries({
      advertiseAddr,
      dataPathAddr,
      "etcd.advertiseClientAddr": etcd.advertiseClientAddr,
      "etcd.advertisePeerAddr": etcd.advertisePeerAddr,
    }),
  ).get(key);
}

/** What other nodes reach a node by. */
function checkSwarmAddresses(config: Understood): Problem[] {
  const { nodes, network } = config;
  const keys = ["advertiseAddr", "dataPathAddr", "etcd.advertiseClientAddr", "etcd.advertisePeerAddr"];
  const given = keys.map((key) => [key, new Map<string, string>()] as const);
  return Object.entries(nodes).flatMap(([name, node]) =>
    given.flatMap(([key, seen]) => {
      const address = addressAt(node, key);
      if (!address) return [];
      const other = claims(config).find((one) => one.address === address && one.owner !== name);
      const owner = other?.owner ?? seen.get(address);
      seen.set(address, name);
      const reason =
        owner !== undefined
          ? `an address of ${name}; this one is that of ${owner}`
          : isSpecial(address) || (network.subnet && contains(network.subnet, address))
            ? placeFor(address, network.subnet)
            : undefined;
      return reason ? [{ path: `nodes.${name}.${key}`, found: address, wanted: reason }] : [];
    }),
  );
}

/**
 * Docker encrypts between the addresses that nodes advertise, and drops what comes by others: nothing gets through
 * (https://github.com/moby/libnetwork/issues/2324, open; seen with Docker 26.1 in the emulated machines).
 */
function checkEncryption({ nodes, given, network: { overlay } }: Understood): Problem[] {
  if (!overlay?.encrypted) return [];
  return Object.entries(nodes).flatMap(([name, { address, dataPathAddr, ...node }]) => {
    // One that is given and not understood has a mistake of its own.
    const advertiseAddr = given[name]?.includes("advertiseAddr") ? node.advertiseAddr : address;
    return dataPathAddr === undefined || advertiseAddr === undefined || dataPathAddr === advertiseAddr
      ? []
      : [
          {
            path: `nodes.${name}.dataPathAddr`,
            found: dataPathAddr,
            wanted: `the node's advertiseAddr, as Docker carries an encrypted overlay between no others: set advertiseAddr to it too, or network.overlay.encrypted to false`,
          },
        ];
  });
}

/** Docker's, unless a host's Docker is told otherwise: what it gives networks without being asked for a subnet. */
const dockerOwn: Readonly<Record<string, string>> = {
  "172.17.0.0/16": "Docker's bridge on every node",
  "172.18.0.0/16": "Docker's bridge for Swarm services on every node",
  "10.0.0.0/24": "the Swarm's ingress network",
};

/**
 * A /24 has 253 addresses: with a load balancer's address and up to four tasks on each node, and their successors
 * while services change, that is enough for a few dozen nodes.
 */
const largestPrefix = 24;

function checkOverlay({ network: { subnet, overlay } }: Understood): Problem[] {
  if (!overlay) return [];
  const wanted = overlayWanted(overlay.subnet, subnet);
  return wanted ? [{ path: "network.overlay.subnet", found: overlay.subnet, wanted }] : [];
}

function overlayWanted(overlay: string, subnet: string | undefined): string | undefined {
  if (subnet && overlaps(subnet, overlay)) {
    return `a subnet that does not overlap network.subnet (${subnet})`;
  }
  if (prefixLength(overlay) > largestPrefix) {
    return `/${largestPrefix} or larger: each task of a service has an address of its own, and each node one more`;
  }
  if (networkOf(overlay) !== overlay) return `a subnet's first address: ${networkOf(overlay)}`;
  const unusable = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];
  if (unusable.some((one) => overlaps(one, overlay))) {
    return "a subnet that containers can have, such as 10.20.1.0/24";
  }
  const docker = Object.keys(dockerOwn).find((one) => overlaps(one, overlay));
  return docker && `a subnet that does not overlap ${docker}, ${dockerOwn[docker]}`;
}
