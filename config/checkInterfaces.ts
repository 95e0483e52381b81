/** That the interfaces of each node fit each other. */
import { isMacAddress } from "@moorage/render";
import { defaultInterface, type GivenNode } from "./nodes";
import type { Problem } from "./problem";
import type { Understood } from "./understood";
import { contains, networkOf, overlaps } from "./values";

export function interfaceChecks(config: Understood): Problem[] {
  return Object.entries(config.nodes).flatMap(([name, node]) => [
    ...checkOwner(name, node, config),
    ...duplicateInterfaces(name, node, config),
    ...duplicateIds(name, node),
    ...checkNics(name, node),
    ...checkRoutes(name, node, config),
    ...checkAddresses(name, node, config),
    ...checkMtus(name, node, config),
    ...checkEdge(name, node),
  ]);
}

function checkOwner(name: string, node: Partial<GivenNode>, { platform }: Understood): Problem[] {
  if (platform !== "existing") return [];
  return (["vlans", "nics"] as const)
    .filter((key) => Object.keys(node[key] ?? {}).length > 0)
    .map((key) => ({
      path: `nodes.${name}.${key}`,
      found: Object.keys(node[key] ?? {}).join(", "),
      wanted: "none: the network of a host that ran before (platform existing) is its owner's",
    }));
}

/** Names mean the same in either case only where they are MAC addresses. */
function sameInterface(match: string): string {
  return isMacAddress(match) ? match.toLowerCase() : match;
}

function duplicateInterfaces(name: string, node: Partial<GivenNode>, { platform }: Understood): Problem[] {
  const first = node.interface ?? defaultInterface(platform);
  const claims: (readonly [string, string, string])[] = [
    ["the node's interface", `nodes.${name}.interface`, first],
    ...Object.keys(node.nics ?? {}).map((nic) => [`a NIC`, `nodes.${name}.nics.${nic}`, nic] as const),
    ...Object.keys(node.vlans ?? {}).map((vlan) => [`a VLAN`, `nodes.${name}.vlans.${vlan}`, vlan] as const),
  ];
  return claims.flatMap(([, path, match], at) => {
    const earlier = claims.slice(0, at).find(([, , other]) => sameInterface(other) === sameInterface(match));
    return earlier ? [{ path, found: match, wanted: `another name; that one is ${earlier[0]} already` }] : [];
  });
}

function duplicateIds(name: string, { vlans = {} }: Partial<GivenNode>): Problem[] {
  const entries = Object.entries(vlans);
  return entries.flatMap(([vlan, { id }], at) => {
    const earlier = entries.slice(0, at).find(([, other]) => other.id === id);
    return earlier
      ? [
          {
            path: `nodes.${name}.vlans.${vlan}.id`,
            found: String(id),
            wanted: `another id than that of ${earlier[0]}`,
          },
        ]
      : [];
  });
}

function checkNics(name: string, { nics = {} }: Partial<GivenNode>): Problem[] {
  return Object.entries(nics).flatMap(([nic, { dhcp, address, gateway }]) => {
    const path = `nodes.${name}.nics.${nic}`;
    if (dhcp && (address ?? gateway) !== undefined) {
      const key = address === undefined ? "gateway" : "address";
      const found = `${address ?? gateway} beside dhcp: true`;
      return [
        {
          path: `${path}.${key}`,
          found,
          wanted: "either dhcp: true, or an address with or without a gateway",
        },
      ];
    }
    return !dhcp && address === undefined
      ? [
          {
            path: `${path}.address`,
            found: "nothing",
            wanted: "an address such as 10.40.0.11/24, or dhcp: true",
          },
        ]
      : [];
  });
}

interface Route {
  readonly path: string;
  readonly by: string;
  readonly metric: number;
}

/**
 * Metrics where nothing is said: networkd goes by how a route came to be, NetworkManager by the kind of its device
 * (`nm_device_get_route_metric_default` in its sources).
 */
const networkdMetrics = { card: 0, cardByDhcp: 1024, vlan: 0 };
const networkManagerMetrics = { card: 100, cardByDhcp: 100, vlan: 400 };

function defaultRoutes(
  name: string,
  node: Partial<GivenNode>,
  { network, os, platform }: Understood,
): Route[] {
  const unsaid = os.distribution === "fedora-coreos" ? networkManagerMetrics : networkdMetrics;
  const base = `nodes.${name}`;
  const first = node.interface ?? defaultInterface(platform);
  return [
    ...(network.gateway === undefined
      ? []
      : [
          { path: "network.metric", by: `${first} (network.gateway)`, metric: network.metric ?? unsaid.card },
        ]),
    ...Object.entries(node.nics ?? {}).flatMap(([nic, { dhcp, gateway, metric }]) =>
      dhcp || gateway !== undefined
        ? [
            {
              path: `${base}.nics.${nic}.metric`,
              by: nic,
              metric: metric ?? (dhcp ? unsaid.cardByDhcp : unsaid.card),
            },
          ]
        : [],
    ),
    ...Object.entries(node.vlans ?? {}).flatMap(([vlan, { gateway, metric }]) =>
      gateway === undefined
        ? []
        : [{ path: `${base}.vlans.${vlan}.metric`, by: vlan, metric: metric ?? unsaid.vlan }],
    ),
  ];
}

function checkRoutes(name: string, node: Partial<GivenNode>, config: Understood): Problem[] {
  const routes = defaultRoutes(name, node, config);
  return routes.flatMap(({ path, metric }, at) => {
    const earlier = routes.slice(0, at).find((other) => other.metric === metric);
    return earlier
      ? [
          {
            path,
            found: String(metric),
            wanted: `another metric than that of the default route by ${earlier.by}`,
          },
        ]
      : [];
  });
}

/** Two interfaces in one subnet would each answer for the other; a gateway elsewhere is not reached. */
function checkAddresses(name: string, node: Partial<GivenNode>, { network }: Understood): Problem[] {
  const all = [
    ...Object.entries(node.nics ?? {}).map(([nic, of]) => [`nodes.${name}.nics.${nic}`, of] as const),
    ...Object.entries(node.vlans ?? {}).map(([vlan, of]) => [`nodes.${name}.vlans.${vlan}`, of] as const),
  ];
  const taken: string[] = network.subnet ? [networkOf(network.subnet)] : [];
  return all.flatMap(([path, { address, gateway }]) => {
    if (address === undefined) return [];
    const problems: Problem[] = [];
    const other = taken.find((subnet) => overlaps(subnet, address));
    if (other) {
      problems.push({
        path: `${path}.address`,
        found: address,
        wanted: `an address outside ${other}, where the node has another interface`,
      });
    }
    taken.push(networkOf(address));
    if (gateway !== undefined && !contains(address, gateway)) {
      problems.push({
        path: `${path}.gateway`,
        found: gateway,
        wanted: `an address in ${networkOf(address)}, where the interface is`,
      });
    }
    return problems;
  });
}

/** Linux makes no VLAN with a larger MTU than its parent's. */
function checkMtus(name: string, { vlans = {} }: Partial<GivenNode>, { network }: Understood): Problem[] {
  const parent = network.mtu ?? 1500;
  return Object.entries(vlans).flatMap(([vlan, { mtu }]) =>
    mtu !== undefined && mtu > parent
      ? [
          {
            path: `nodes.${name}.vlans.${vlan}.mtu`,
            found: String(mtu),
            wanted: `${parent} or less, the MTU of the interface below it (network.mtu)`,
          },
        ]
      : [],
  );
}

/** The registry's address is held by keepalived, which takes an interface's name only. */
function checkEdge(name: string, { interface: first, roles }: Partial<GivenNode>): Problem[] {
  return first !== undefined && isMacAddress(first) && roles?.includes("edge")
    ? [
        {
          path: `nodes.${name}.interface`,
          found: first,
          wanted: "the interface's name: on a node with role edge it holds the registry's address",
        },
      ]
    : [];
}
