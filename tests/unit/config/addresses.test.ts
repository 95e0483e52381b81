import { describe, expect, test } from "vitest";
import { addressesOf, etcdAddressesOf } from "../../../config/etcdAddresses";
import { baseFiles, userDataModel } from "../../../config/models";
import { parseStackConfig } from "../../../config/stack";
import { articleConfig } from "../../golden/everything";
import { configWith, mistakesWith, set, testMistakes } from "./mistakes";

const single = "an address that a single host can have: no loopback, multicast, broadcast or reserved one";
const noHost = "another address: this one is the first or the last of 10.0.2.0/24, which no host can have";
const router = "network.gateway: 10.0.2.1; the router's address; this one is the address of coreos2";

describe("addresses", () => {
  testMistakes({
    "edge.vip: 10.0.2.0": `edge.vip: 10.0.2.0; ${noHost}`,
    "edge.vip: 10.0.2.255": `edge.vip: 10.0.2.255; ${noHost}`,
    "edge.vip: 10.0.2.1": "edge.vip: 10.0.2.1; a free address; this one is the gateway",
    "nodes.coreos2.address: 10.0.2.255": `nodes.coreos2.address: 10.0.2.255; ${noHost}`,
    "nodes.coreos2.address: 10.0.2.1": router,
    "network.gateway: 10.0.2.12": router.replace("10.0.2.1", "10.0.2.12"),
    "network.gateway: 10.0.2.0": `network.gateway: 10.0.2.0; ${noHost}`,
    "nodes.coreos2.installer: { host: 127.0.0.1, port: 2011 }":
      "nodes.coreos2.installer: 127.0.0.1:2011; another than that of coreos1",
    "nodes.coreos2.advertiseAddr: 10.0.2.11":
      "nodes.coreos2.advertiseAddr: 10.0.2.11; an address of coreos2; this one is that of coreos1",
    "{ nodes.coreos1.dataPathAddr: 10.9.0.1, nodes.coreos2.dataPathAddr: 10.9.0.1 }":
      "nodes.coreos2.dataPathAddr: 10.9.0.1; an address of coreos2; this one is that of coreos1",
    "nodes.coreos2.dataPathAddr: 10.0.2.10":
      "nodes.coreos2.dataPathAddr: 10.0.2.10; an address of coreos2; this one is that of the registry",
    "nodes.coreos2.dataPathAddr: 10.0.2.255": `nodes.coreos2.dataPathAddr: 10.0.2.255; ${noHost}`,
    "nodes.coreos2.advertiseAddr: 0.0.0.0": `nodes.coreos2.advertiseAddr: 0.0.0.0; ${single}`,
    "nodes.coreos2.advertiseAddr: 127.0.0.1": `nodes.coreos2.advertiseAddr: 127.0.0.1; ${single}`,
    "nodes.coreos2.advertiseAddr: 224.0.0.18": `nodes.coreos2.advertiseAddr: 224.0.0.18; ${single}`,
    "nodes.coreos2.advertiseAddr: 255.255.255.255": `nodes.coreos2.advertiseAddr: 255.255.255.255; ${single}`,
    "{ nodes.coreos1.advertiseAddr: 10.0.2.11, nodes.coreos1.dataPathAddr: 10.30.0.11 }": [],
  });
});

describe("an encrypted overlay goes by the address that the node advertises", () => {
  const overlay = "network.overlay.encrypted: true, nodes.coreos1.dataPathAddr: 10.30.0.11";
  const notAnAddress = '"10.30.0"; an IPv4 address such as 10.0.2.11';
  testMistakes({
    [`{ ${overlay} }`]:
      "nodes.coreos1.dataPathAddr: 10.30.0.11; the node's advertiseAddr, as Docker carries an encrypted overlay between no others: set advertiseAddr to it too, or network.overlay.encrypted to false",
    [`{ ${overlay}, nodes.coreos1.advertiseAddr: 10.30.0.11 }`]: [],
    [`{ ${overlay}, nodes.coreos1.advertiseAddr: 10.30.0 }`]: `nodes.coreos1.advertiseAddr: ${notAnAddress}`,
    [`{ ${overlay}, nodes.coreos1.address: 10.30.0 }`]: `nodes.coreos1.address: ${notAnAddress}`,
  });
});

describe("the overlay's subnet", () => {
  const apart = (other: string) => `a subnet that does not overlap ${other}`;
  const bridge = apart("172.17.0.0/16, Docker's bridge on every node");
  const container = "a subnet that containers can have, such as 10.20.1.0/24";

  test.each([
    [
      "10.20.1.0/25",
      "/24 or larger: each task of a service has an address of its own, and each node one more",
    ],
    ["10.20.1.5/24", "a subnet's first address: 10.20.1.0/24"],
    ["127.0.0.0/8", container],
    ["224.0.0.0/8", container],
    ["172.17.0.0/16", bridge],
    ["172.16.0.0/12", bridge],
    ["172.18.4.0/24", apart("172.18.0.0/16, Docker's bridge for Swarm services on every node")],
    ["10.0.0.0/24", apart("10.0.0.0/24, the Swarm's ingress network")],
    ["10.0.0.0/16", apart("network.subnet (10.0.2.0/24)")],
    ["10.20.1.0/24", undefined],
    ["10.128.0.0/16", undefined],
    ["192.168.99.0/24", undefined],
  ])("%s", (subnet, wanted) => {
    const mistakes = wanted === undefined ? [] : [`network.overlay.subnet: ${subnet}; ${wanted}`];
    expect(mistakesWith({ "network.overlay.subnet": subnet })).toEqual(mistakes);
  });
});

describe("the registry's port", () => {
  const retired =
    "os: { distribution: coreos, containerLinux: { etcd2: { discovery: 'https://discovery.example.com/1' }, insecureDockerApi: true } }";

  test.each([
    [22, "SSH", ""],
    [2222, "SSH to coreos1", "nodes.coreos1.ssh: { port: 2222 }"],
    [2222, "SSH to coreos1", "nodes.coreos1.ssh: { host: 10.0.2.11, port: 2222 }"],
    [2376, "Docker's API", ""],
    [2377, "the Swarm's managers", ""],
    [7946, "the Swarm's nodes among each other", ""],
    [4789, "the overlay network", ""],
    [2375, "Docker's open API", retired],
    [4001, "etcd", retired],
  ])("%d is taken by %s", (port, owner, settings) => {
    expect(mistakesWith(`edge.port: ${port}\n${settings}`)).toEqual([
      `edge.port: ${port}; a port that is free on every node; this one is for ${owner}`,
    ]);
  });

  test("may be that of a forward to a node", () => {
    expect(mistakesWith("edge.port: 2011")).toEqual([]);
  });
});

describe("an etcd member's addresses", () => {
  const key = "nodes.coreos1.etcd";

  test("are the node's in the Swarm, or others of its own", () => {
    const { coreos1, coreos2 } = configWith("nodes.coreos1.advertiseAddr: 10.9.0.11", "dev").nodes;
    expect(coreos1 && etcdAddressesOf(coreos1)).toEqual({
      client: "10.9.0.11",
      peer: "10.9.0.11",
      listenClient: ["10.9.0.11"],
      listenPeer: ["10.9.0.11"],
    });
    expect(coreos2 && etcdAddressesOf(coreos2)).toMatchObject({ client: "10.0.2.12" });
    const { coreos1: own } = configWith(
      `
nodes.coreos1.vlans: { v3000: { id: 3000, address: 10.30.0.11/24 } }
nodes.coreos1.nics: { eth1: { address: 10.40.0.11/24 } }
${key}.advertisePeerAddr: 10.30.0.11
${key}.listenPeerAddrs: [10.30.0.11, 10.40.0.11]
${key}.listenClientAddrs: [10.0.2.11, 127.0.0.1]`,
      "dev",
    ).nodes;
    expect(own && etcdAddressesOf(own)).toEqual({
      client: "10.0.2.11",
      peer: "10.30.0.11",
      listenClient: ["10.0.2.11", "127.0.0.1"],
      listenPeer: ["10.30.0.11", "10.40.0.11"],
    });
    expect(own && addressesOf(own)).toEqual(["10.30.0.11", "10.0.2.11", "10.40.0.11"]);
  });

  testMistakes({
    [`${key}: { listenClientAddrs: [0.0.0.0], listenPeerAddrs: [0.0.0.0] }`]: [],
    [`${key}.listenClientAddrs: [0.0.0.0, 10.0.2.11]`]: `${key}.listenClientAddrs: 0.0.0.0, 10.0.2.11; 0.0.0.0 alone, as it is every address`,
    [`${key}.listenPeerAddrs: [10.0.2.11, 10.0.2.12]`]: `${key}.listenPeerAddrs: 10.0.2.11, 10.0.2.12; addresses of the node (10.0.2.11), 127.0.0.1, or 0.0.0.0 alone`,
    [`${key}.listenClientAddrs: [127.0.0.1]`]: `${key}.listenClientAddrs: 127.0.0.1; 10.0.2.11 as well, which others reach it at, or 0.0.0.0 alone`,
    [`${key}.listenClientAddrs: [10.0.2.11, 10.0.2.11]`]: `${key}.listenClientAddrs: 10.0.2.11, 10.0.2.11; each address once`,
    [`${key}.listenClientAddrs: []`]: `${key}.listenClientAddrs: []; at least one address`,
    [`${key}.advertiseClientAddr: 10.0.2.12`]: `${key}.advertiseClientAddr: 10.0.2.12; an address of coreos1; this one is that of coreos2`,
    [`${key}.advertisePeerAddr: 0.0.0.0`]: `${key}.advertisePeerAddr: 0.0.0.0; ${single}`,
  });

  test.each([true, false])("are reached without a proxy if etcd runs (%s)", (enabled) => {
    const config = configWith(
      `{ os.proxies: { http: 'http://10.0.2.1:3128' }, etcd.enabled: ${enabled}, ${key}.advertiseClientAddr: 10.9.0.11 }`,
      "dev",
    );
    const values = { caCertificate: "", api: { ca: "", certificate: "", key: "" }, passwordHashes: {} };
    const { content = "" } = baseFiles(config, "coreos2", values).files["/etc/environment"] ?? {};
    const direct = /^no_proxy=(.*)$/m.exec(content)?.[1]?.split(",") ?? [];
    expect(direct.includes("10.9.0.11")).toBe(enabled);
  });

  test("are URLs of etcd 2 on Container Linux, which listens for clients everywhere by default", () => {
    const keys = {
      hostKey: { privateKey: "", publicKey: "" },
      authorizedKey: "ssh-ed25519 AAAA",
      passwordHashes: {},
    };
    const urls = (etcd?: Record<string, unknown>) => {
      const raw = structuredClone(articleConfig());
      if (etcd) set(raw, key.split("."), etcd);
      return userDataModel(parseStackConfig(raw), "coreos1", keys).containerLinux?.etcd2;
    };
    expect(urls()).toMatchObject({
      advertiseClientUrls: ["http://10.0.2.11:2379"],
      listenClientUrls: ["http://0.0.0.0:2379", "http://0.0.0.0:4001"],
      listenPeerUrls: ["http://10.0.2.11:2380", "http://10.0.2.11:7001"],
    });
    const peer = { advertisePeerAddr: "10.9.0.12" };
    const client = { advertiseClientAddr: "10.9.0.11", listenClientAddrs: ["10.9.0.11", "127.0.0.1"] };
    expect(urls({ ...client, ...peer })).toMatchObject({
      advertiseClientUrls: ["http://10.9.0.11:2379"],
      initialAdvertisePeerUrls: ["http://10.9.0.12:2380"],
      listenClientUrls: ["10.9.0.11:2379", "10.9.0.11:4001", "127.0.0.1:2379", "127.0.0.1:4001"].map(
        (address) => `http://${address}`,
      ),
      listenPeerUrls: ["http://10.9.0.12:2380", "http://10.9.0.12:7001"],
    });
  });
});
