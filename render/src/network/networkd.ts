/** systemd-networkd's files (Flatcar, Container Linux). */
import type { Distribution, NicModel, VlanModel } from "../model";
import { word } from "../text";
import { renderUnit, type UnitSections } from "../unit";
import type { NetworkModel } from ".";
import { fileName, isMacAddress } from "./match";

export const networkdFolder = "/etc/systemd/network";

/** File name to text. networkd takes the first file that matches, in the order of their names. */
export function networkdFiles(model: NetworkModel): Record<string, string> {
  const { vlans = [], nics = [] } = model;
  return {
    "10-moorage.network": firstInterface(model),
    ...Object.fromEntries(
      nics.map((nic) => [`10-${fileName(nic.match)}.network`, furtherInterface(nic, model)]),
    ),
    ...Object.fromEntries(
      vlans.flatMap((vlan) => [
        [`00-${word(vlan.name, "VLAN")}.netdev`, vlanDevice(vlan)],
        [`${vlanOrder(model)}-${vlan.name}.network`, vlanNetwork(vlan)],
      ]),
    ),
  };
}

/**
 * VLANs have their parent's MAC address, and are kept out by the type. Ethernet is one since systemd 245, which Container
 * Linux never saw: there a file with that type matches nothing, and the files of such an interface's VLANs come first.
 */
function matchSection(wanted: string, distribution: Distribution): UnitSections[string] {
  const match = word(wanted, "interface");
  if (!isMacAddress(match)) return { Name: match };
  return { MACAddress: match.toLowerCase(), Type: distribution === "coreos" ? undefined : "ether" };
}

function vlanOrder({ distribution, network }: NetworkModel): string {
  return distribution === "coreos" && isMacAddress(network.match) ? "00" : "11";
}

function linkSection(mtu: number | undefined): UnitSections {
  return mtu === undefined ? {} : { Link: { MTUBytes: mtu } };
}

/** A default route with a metric is a section of its own. */
function gatewayKey(gateway: string | undefined, metric: number | undefined): string | undefined {
  return metric === undefined ? gateway : undefined;
}

function routeSection(gateway: string | undefined, metric: number | undefined): UnitSections {
  return gateway === undefined || metric === undefined ? {} : { Route: { Gateway: gateway, Metric: metric } };
}

/** A node's first interface, and that of its live installer. */
export function firstInterface({ distribution, network, vlans = [] }: Omit<NetworkModel, "nics">): string {
  return renderUnit({
    Match: matchSection(network.match, distribution),
    ...linkSection(network.mtu),
    Network: {
      VLAN: vlans.map((vlan) => vlan.name),
      Address: `${word(network.address, "address")}/${network.prefixLength}`,
      Gateway: gatewayKey(network.gateway, network.metric),
      DNS: network.dns,
      Domains: network.domains.length > 0 ? network.domains.join(" ") : undefined,
    },
    ...routeSection(network.gateway, network.metric),
  });
}

function furtherInterface(nic: NicModel, { distribution }: NetworkModel): string {
  const head = { Match: matchSection(nic.match, distribution), ...linkSection(nic.mtu) };
  if (nic.address !== undefined) {
    return renderUnit({
      ...head,
      Network: { Address: word(nic.address, "address"), Gateway: gatewayKey(nic.gateway, nic.metric) },
      ...routeSection(nic.gateway, nic.metric),
    });
  }
  // The section has had its present name since systemd 243, which Container Linux never saw.
  const section = distribution === "coreos" ? "DHCP" : "DHCPv4";
  return renderUnit({
    ...head,
    Network: { DHCP: "ipv4" },
    ...(nic.metric === undefined ? {} : { [section]: { RouteMetric: nic.metric } }),
  });
}

function vlanDevice({ name, id, mtu }: VlanModel): string {
  return renderUnit({ NetDev: { Name: name, Kind: "vlan", MTUBytes: mtu }, VLAN: { Id: id } });
}

function vlanNetwork({ name, address, gateway, metric }: VlanModel): string {
  return renderUnit({
    Match: { Name: name },
    Network: { Address: word(address, "address"), Gateway: gatewayKey(gateway, metric) },
    ...routeSection(gateway, metric),
  });
}
