/** Where a node's member of etcd listens, and where others are told to reach it. */
import { z } from "zod";
import type { NodeConfig } from "./nodes";
import { ipv4 } from "./values";

export const everyAddress = "0.0.0.0";
export const loopback = "127.0.0.1";

const listen = z.array(ipv4).min(1, "wanted: at least one address").optional();

export const etcdAddresses = z.strictObject({
  advertiseClientAddr: ipv4
    .optional()
    .describe(
      "Address that clients are told to reach the node's member of etcd at; its `advertiseAddr` by default, or its `address`.",
    ),
  advertisePeerAddr: ipv4
    .optional()
    .describe("Address that the other members are told to reach it at; the same by default."),
  listenClientAddrs: listen.describe(
    `Addresses of the node that it listens for clients on, \`advertiseClientAddr\` among them, which is all by default; or \`${everyAddress}\` alone. \`${loopback}\` may be one.`,
  ),
  listenPeerAddrs: listen.describe("The same for the other members, and `advertisePeerAddr`."),
});

export interface EtcdAddresses {
  readonly client: string;
  readonly peer: string;
  readonly listenClient: readonly string[];
  readonly listenPeer: readonly string[];
}

export function etcdAddressesOf({ address, advertiseAddr, etcd = {} }: NodeConfig): EtcdAddresses {
  const own = advertiseAddr ?? address;
  const client = etcd.advertiseClientAddr ?? own;
  const peer = etcd.advertisePeerAddr ?? own;
  return {
    client,
    peer,
    listenClient: etcd.listenClientAddrs ?? [client],
    listenPeer: etcd.listenPeerAddrs ?? [peer],
  };
}

/** All addresses of a node that the configuration knows, each once; those of etcd first. */
export function addressesOf(node: Partial<NodeConfig>): string[] {
  const { address, advertiseAddr, dataPathAddr, etcd = {}, vlans = {}, nics = {} } = node;
  const interfaces = [...Object.values(vlans), ...Object.values(nics)];
  const all = [
    etcd.advertiseClientAddr,
    etcd.advertisePeerAddr,
    advertiseAddr,
    address,
    dataPathAddr,
    ...interfaces.map((each) => each.address?.split("/")[0]),
  ];
  return [...new Set(all.filter((each) => each !== undefined))];
}
