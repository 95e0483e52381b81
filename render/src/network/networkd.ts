/** systemd-networkd's files (Flatcar, Container Linux). */
import type { NicModel, VlanModel } from "../model";
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
        [`11-${vlan.name}.network`, vlanNetwork(vlan)],
      ]),
    ),
  };
}

/** The type keeps out VLANs, which have their parent's MAC. */
function matchSection(wanted: string): UnitSections[string] {
  const match = word(wanted, "interface");
  return isMacAddress(match) ? { MACAddress: match.toLowerCase(), Type: "ether" } : { Name: match };
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
export function firstInterface({ network, vlans = [] }: Pick<NetworkModel, "network" | "vlans">): string {
  return renderUnit({
    Match: matchSection(network.match),
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
  const head = { Match: matchSection(nic.match), ...linkSection(nic.mtu) };
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
