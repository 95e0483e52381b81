import { describe, expect, test } from "vitest";
import { addressesOf, etcdAddressesOf } from "../../../config/etcdAddresses";
import { baseFiles, userDataModel } from "../../../config/models";
import { parseStackConfig } from "../../../config/stack";
import { articleConfig } from "../../golden/everything";
import { rawStack } from "../../support/stacks";
import { mistakesWith, set } from "./mistakes";

const key = "nodes.coreos1.etcd";

/** The lab's stack, with some values set. */
function labWith(settings: Readonly<Record<string, unknown>>) {
  const raw = structuredClone(rawStack("dev"));
  for (const [path, value] of Object.entries(settings)) set(raw, path.split("."), value);
  return parseStackConfig(raw);
}

describe("a member's addresses", () => {
  test("are the node's in the Swarm where nothing else is said, and each listens where it is reached", () => {
    const { nodes } = labWith({ "nodes.coreos1.advertiseAddr": "10.9.0.11" });
    const of = (name: string) => etcdAddressesOf(nodes[name] as NonNullable<(typeof nodes)[string]>);
    expect(of("coreos1")).toEqual({
      client: "10.9.0.11",
      peer: "10.9.0.11",
      listenClient: ["10.9.0.11"],
      listenPeer: ["10.9.0.11"],
    });
    expect(of("coreos2")).toMatchObject({ client: "10.0.2.12", listenPeer: ["10.0.2.12"] });
  });

  test("may be others of the node, known by its VLANs and NICs too", () => {
    const settings = {
      "nodes.coreos1.vlans": { v3000: { id: 3000, address: "10.30.0.11/24" } },
      "nodes.coreos1.nics": { eth1: { address: "10.40.0.11/24" } },
      [`${key}.advertisePeerAddr`]: "10.30.0.11",
      [`${key}.listenPeerAddrs`]: ["10.30.0.11", "10.40.0.11"],
      [`${key}.listenClientAddrs`]: ["10.0.2.11", "127.0.0.1"],
    };
    const node = labWith(settings).nodes.coreos1;
    expect(node && etcdAddressesOf(node)).toEqual({
      client: "10.0.2.11",
      peer: "10.30.0.11",
      listenClient: ["10.0.2.11", "127.0.0.1"],
      listenPeer: ["10.30.0.11", "10.40.0.11"],
    });
    expect(node && addressesOf(node)).toEqual(["10.30.0.11", "10.0.2.11", "10.40.0.11"]);
  });

  const own = "addresses of the node (10.0.2.11), 127.0.0.1, or 0.0.0.0 alone";
  test.each<[string, Record<string, unknown>, string[]]>([
    ["every address", { listenClientAddrs: ["0.0.0.0"], listenPeerAddrs: ["0.0.0.0"] }, []],
    [
      "every address and one more",
      { listenClientAddrs: ["0.0.0.0", "10.0.2.11"] },
      [`${key}.listenClientAddrs: 0.0.0.0, 10.0.2.11; 0.0.0.0 alone, as it is every address`],
    ],
    [
      "another node's to listen on",
      { listenPeerAddrs: ["10.0.2.11", "10.0.2.12"] },
      [`${key}.listenPeerAddrs: 10.0.2.11, 10.0.2.12; ${own}`],
    ],
    [
      "loopback alone",
      { listenClientAddrs: ["127.0.0.1"] },
      [`${key}.listenClientAddrs: 127.0.0.1; 10.0.2.11 as well, which others reach it at, or 0.0.0.0 alone`],
    ],
    [
      "one address twice",
      { listenClientAddrs: ["10.0.2.11", "10.0.2.11"] },
      [`${key}.listenClientAddrs: 10.0.2.11, 10.0.2.11; each address once`],
    ],
    ["no address", { listenClientAddrs: [] }, [`${key}.listenClientAddrs: []; at least one address`]],
    [
      "another node's to be reached at",
      { advertiseClientAddr: "10.0.2.12" },
      [`${key}.advertiseClientAddr: 10.0.2.12; an address of coreos1; this one is that of coreos2`],
    ],
    [
      "every address to be reached at",
      { advertisePeerAddr: "0.0.0.0" },
      [
        `${key}.advertisePeerAddr: 0.0.0.0; an address that a single host can have: no loopback, multicast, broadcast or reserved one`,
      ],
    ],
  ])("%s", (_what, etcd, expected) => {
    expect(mistakesWith({ [key]: etcd })).toEqual(expected);
  });

  test("are reached without a proxy", () => {
    const values = {
      caCertificate: "",
      api: { certificate: "", key: "" },
      passwordHashes: {},
    };
    const direct = (enabled: boolean) => {
      const config = labWith({
        "os.proxies": { http: "http://10.0.2.1:3128" },
        "etcd.enabled": enabled,
        [`${key}.advertiseClientAddr`]: "10.9.0.11",
      });
      const { files } = baseFiles(config, "coreos2", values);
      const line = files["/etc/environment"]?.content.split("\n").find((one) => one.startsWith("no_proxy="));
      return line?.slice("no_proxy=".length).split(",");
    };
    expect(direct(true)).toContain("10.9.0.11");
    expect(direct(false)).not.toContain("10.9.0.11");
  });

  test("are etcd 2's on Container Linux, which listens for clients everywhere where nothing else is said", () => {
    const keys = {
      hostKey: { privateKey: "", publicKey: "" },
      authorizedKey: "ssh-ed25519 AAAA",
      passwordHashes: {},
    };
    const urls = (etcd: Record<string, unknown> | undefined) => {
      const raw = structuredClone(articleConfig());
      if (etcd) set(raw, key.split("."), etcd);
      return userDataModel(parseStackConfig(raw), "coreos1", keys).containerLinux?.etcd2;
    };
    expect(urls(undefined)).toMatchObject({
      advertiseClientUrls: ["http://10.0.2.11:2379"],
      listenClientUrls: ["http://0.0.0.0:2379", "http://0.0.0.0:4001"],
      listenPeerUrls: ["http://10.0.2.11:2380", "http://10.0.2.11:7001"],
    });
    const given = {
      advertiseClientAddr: "10.9.0.11",
      advertisePeerAddr: "10.9.0.12",
      listenClientAddrs: ["10.9.0.11", "127.0.0.1"],
    };
    expect(urls(given)).toMatchObject({
      advertiseClientUrls: ["http://10.9.0.11:2379"],
      initialAdvertisePeerUrls: ["http://10.9.0.12:2380"],
      listenClientUrls: [
        "http://10.9.0.11:2379",
        "http://10.9.0.11:4001",
        "http://127.0.0.1:2379",
        "http://127.0.0.1:4001",
      ],
      listenPeerUrls: ["http://10.9.0.12:2380", "http://10.9.0.12:7001"],
    });
  });
});
