/** The network below the containers' overlay. */
import { defaultMtu } from "@moorage/render";
import type { NetworkConfig } from "./machine";
import type { NodeConfig } from "./nodes";
import { contains } from "./values";

/** The smallest MTU of the interfaces that the overlay's traffic goes by, one of each node. */
export function underlayMtu(network: NetworkConfig, nodes: readonly NodeConfig[]): number {
  return Math.min(...nodes.map((node) => dataPathMtu(network, node)));
}

/** A VLAN's device has the MTU of the interface below it unless it is told otherwise: its tag is not counted. */
function dataPathMtu(network: NetworkConfig, { vlans, nics, ...node }: NodeConfig): number {
  const dataPathAddr = node.dataPathAddr ?? node.advertiseAddr ?? node.address;
  const within = ({ address }: { readonly address?: string }) =>
    address !== undefined && contains(address, dataPathAddr);
  const first = network.mtu ?? defaultMtu;
  const vlan = Object.values(vlans).find(within);
  if (vlan) return vlan.mtu ?? first;
  const nic = Object.values(nics).find(within);
  return nic ? (nic.mtu ?? defaultMtu) : first;
}
