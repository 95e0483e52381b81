/** What a host's kernel has of the network that its user data says, whoever set it up. */
import type { UserDataModel } from "@moorage/render";
import type { AsRoot } from "./appliedHost";

interface Link {
  readonly ifname: string;
  readonly link?: string;
  readonly mtu: number;
  readonly address?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly id?: number } };
  readonly addr_info?: readonly {
    readonly family: string;
    readonly local: string;
    readonly prefixlen: number;
  }[];
}

interface Route {
  readonly dev: string;
  readonly gateway?: string;
  readonly metric?: number;
}

/** An interface as the model has it; what is absent is not looked at. */
interface Wanted {
  readonly match: string;
  /** With its prefix length. */
  readonly address?: string;
  readonly mtu?: number;
  readonly gateway?: string;
  readonly metric?: number;
  /** Of a VLAN. */
  readonly id?: number;
}

type Network = Pick<UserDataModel, "network" | "vlans" | "nics">;

/** Where the two listings of `ip` meet. */
const border = "=====";

/**
 * Whatever of the model's network the kernel does not have, one line each, and default routes that the model has not.
 * Further addresses are others' affair, such as the registry's.
 */
export async function networkDifferences(model: Network, asRoot: AsRoot): Promise<string[]> {
  const output = await asRoot(
    `ip -json -details address show; echo; echo ${border}; ip -json -4 route show default`,
  );
  const [links = [], routes = []] = output
    .split(border)
    .map((text) => JSON.parse(text.trim() || "[]") as unknown[]);
  const wanted = interfacesOf(model);
  const found = wanted.map((one) => [one, linkOf(one, links as Link[])] as const);
  return [
    ...found.flatMap(([one, link]) => faultsOf(one, link, found[0]?.[1]?.ifname)),
    ...routeFaults(
      found.map(([one, link]) => ({ ...one, match: link?.ifname ?? one.match })),
      routes as Route[],
    ),
  ].sort();
}

function interfacesOf({ network, vlans = [], nics = [] }: Network): Wanted[] {
  return [
    { ...network, address: `${network.address}/${network.prefixLength}` },
    ...nics,
    ...vlans.map(({ name, ...vlan }) => ({ ...vlan, match: name })),
  ];
}

/** A VLAN has the MAC address of its parent. */
function linkOf({ match }: Wanted, links: readonly Link[]): Link | undefined {
  const mac = match.toLowerCase();
  return links.find(
    ({ ifname, address, link }) => ifname === match || (address === mac && link === undefined),
  );
}

function faultsOf(wanted: Wanted, link: Link | undefined, parent: string | undefined): string[] {
  const { match, address, mtu, id } = wanted;
  if (link === undefined) return [`${match}: there is no such interface`];
  const addresses = (link.addr_info ?? [])
    .filter(({ family }) => family === "inet")
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  const { info_kind: kind, info_data: data } = link.linkinfo ?? {};
  const vlan = kind === "vlan" ? `VLAN ${data?.id} on ${link.link}` : "no VLAN";
  return [
    ...(address === undefined || addresses.includes(address)
      ? []
      : [`${match}: has ${addresses.join(", ") || "no address"}, wanted ${address}`]),
    ...(mtu === undefined || link.mtu === mtu ? [] : [`${match}: MTU ${link.mtu}, wanted ${mtu}`]),
    ...(id === undefined || vlan === `VLAN ${id} on ${parent}`
      ? []
      : [`${match}: ${vlan}, wanted VLAN ${id} on ${parent}`]),
  ];
}

function routeFaults(wanted: readonly Wanted[], routes: readonly Route[]): string[] {
  const said = (dev: string, gateway: string, metric = 0) =>
    `default route by ${gateway} on ${dev}, metric ${metric}`;
  const all = wanted.flatMap(({ match, gateway, metric }) => (gateway ? [said(match, gateway, metric)] : []));
  const found = routes.map(({ dev, gateway = "nobody", metric }) => said(dev, gateway, metric));
  return [
    ...all.filter((route) => !found.includes(route)).map((route) => `no ${route}`),
    ...found.filter((route) => !all.includes(route)).map((route) => `${route}, not wanted`),
  ];
}
