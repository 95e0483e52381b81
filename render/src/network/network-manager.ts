/** NetworkManager's keyfiles (Fedora CoreOS); one is ignored unless its mode is 0600. */
import type { InterfaceModel, NicModel, VlanModel } from "../model";
import { lines, word } from "../text";
import type { NetworkModel } from ".";
import { fileName, isMacAddress } from "./match";

export const networkManagerFolder = "/etc/NetworkManager/system-connections";

/** File name to text. */
export function networkManagerFiles(model: NetworkModel): Record<string, string> {
  const { network, vlans = [], nics = [] } = model;
  return {
    "moorage.nmconnection": firstInterface(network),
    ...Object.fromEntries(
      nics.map((nic) => [`moorage-${fileName(nic.match)}.nmconnection`, furtherInterface(nic)]),
    ),
    ...Object.fromEntries(
      vlans.map((vlan) => [`moorage-${word(vlan.name, "VLAN")}.nmconnection`, vlanConnection(vlan, network)]),
    ),
  };
}

function firstInterface(network: InterfaceModel): string {
  const address = `${word(network.address, "address")}/${network.prefixLength}`;
  return ethernet("moorage", network.match, network.mtu, families({ ...network, address }));
}

function furtherInterface(nic: NicModel): string {
  return ethernet(`moorage-${fileName(nic.match)}`, nic.match, nic.mtu, families(nic));
}

function ethernet(id: string, wanted: string, mtu: number | undefined, addresses: readonly string[]): string {
  const match = word(wanted, "interface");
  const isMac = isMacAddress(match);
  return [
    lines(
      "[connection]",
      `id=${id}`,
      "type=ethernet",
      !isMac && `interface-name=${match}`,
      "autoconnect-priority=10",
    ),
    lines("[ethernet]", isMac && `mac-address=${match.toUpperCase()}`, mtu !== undefined && `mtu=${mtu}`),
    ...addresses,
  ].join("\n");
}

/** The parent is told by its name; one known by its MAC address only, by that. */
function vlanConnection(vlan: VlanModel, { match }: InterfaceModel): string {
  const isMac = isMacAddress(match);
  return [
    lines(
      "[connection]",
      `id=moorage-${vlan.name}`,
      "type=vlan",
      `interface-name=${vlan.name}`,
      "autoconnect-priority=10",
    ),
    ...(isMac || vlan.mtu !== undefined
      ? [
          lines(
            "[ethernet]",
            isMac && `mac-address=${match.toUpperCase()}`,
            vlan.mtu !== undefined && `mtu=${vlan.mtu}`,
          ),
        ]
      : []),
    lines("[vlan]", "flags=1", `id=${vlan.id}`, !isMac && `parent=${word(match, "interface")}`),
    ...families(vlan),
  ].join("\n");
}

interface Addresses {
  /** With its prefix length; absent: by DHCP. */
  readonly address?: string;
  readonly gateway?: string;
  readonly metric?: number;
  readonly dns?: readonly string[];
  readonly domains?: readonly string[];
}

/** The sections of both address families. A node's addresses are IPv4's; of IPv6 it has link-local ones. */
function families({ address, gateway, metric, dns = [], domains = [] }: Addresses): readonly string[] {
  const own = address === undefined ? undefined : word(address, "address");
  return [
    lines(
      "[ipv4]",
      own === undefined ? "method=auto" : "method=manual",
      own !== undefined && `address1=${gateway === undefined ? own : `${own},${gateway}`}`,
      metric !== undefined && `route-metric=${metric}`,
      dns.length > 0 && `dns=${dns.join(";")};`,
      domains.length > 0 && `dns-search=${domains.join(";")};`,
    ),
    lines("[ipv6]", "method=link-local"),
  ];
}
