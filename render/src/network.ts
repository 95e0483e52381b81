import type { InterfaceModel } from "./model";
import { lines, word } from "./text";
import { renderUnit } from "./unit";

const macAddress = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

export function isMacAddress(match: string): boolean {
  return macAddress.test(match);
}

/** systemd-networkd's file for a static address (Flatcar). The type keeps out VLANs, which have their parent's MAC. */
export function renderNetworkd(network: InterfaceModel): string {
  const match = word(network.match, "interface");
  return renderUnit({
    Match: isMacAddress(match) ? { MACAddress: match.toLowerCase(), Type: "ether" } : { Name: match },
    ...(network.mtu === undefined ? {} : { Link: { MTUBytes: network.mtu } }),
    Network: {
      Address: `${word(network.address, "address")}/${network.prefixLength}`,
      Gateway: network.gateway,
      DNS: network.dns,
      Domains: network.domains.length > 0 ? network.domains.join(" ") : undefined,
    },
  });
}

/** NetworkManager's keyfile for a static address (Fedora CoreOS); it is ignored unless its mode is 0600. */
export function renderNetworkManager(network: InterfaceModel): string {
  const match = word(network.match, "interface");
  const isMac = isMacAddress(match);
  const v6 = network.address.includes(":");
  const address = `${word(network.address, "address")}/${network.prefixLength}`;
  const own = lines(
    "method=manual",
    `address1=${network.gateway === undefined ? address : `${address},${network.gateway}`}`,
    dnsOfFamily(network, v6),
    network.domains.length > 0 && `dns-search=${network.domains.join(";")};`,
  );
  const other = lines(v6 ? "method=disabled" : "method=link-local", dnsOfFamily(network, !v6));
  return [
    lines(
      "[connection]",
      "id=moorage",
      "type=ethernet",
      !isMac && `interface-name=${match}`,
      "autoconnect-priority=10",
    ),
    lines(
      "[ethernet]",
      isMac && `mac-address=${match.toUpperCase()}`,
      network.mtu !== undefined && `mtu=${network.mtu}`,
    ),
    `[ipv4]\n${v6 ? other : own}`,
    `[ipv6]\n${v6 ? own : other}`,
  ].join("\n");
}

function dnsOfFamily(network: InterfaceModel, v6: boolean): string | undefined {
  const servers = network.dns.filter((server) => server.includes(":") === v6);
  return servers.length > 0 ? `dns=${servers.join(";")};` : undefined;
}
