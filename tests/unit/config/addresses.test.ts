import { describe, expect, test } from "vitest";
import { mistakesWith, type Settings } from "./mistakes";

const single = "an address that a single host can have: no loopback, multicast, broadcast or reserved one";
const noHost = "another address: this one is the first or the last of 10.0.2.0/24, which no host can have";
const own = (address: string, owner: string) => `an address of ${address}; this one is that of ${owner}`;

describe("addresses", () => {
  const cases: [string, Settings, string[]][] = [
    [
      "the network's own address for the registry",
      { "edge.vip": "10.0.2.0" },
      [`edge.vip: 10.0.2.0; ${noHost}`],
    ],
    ["the broadcast address for it", { "edge.vip": "10.0.2.255" }, [`edge.vip: 10.0.2.255; ${noHost}`]],
    [
      "the gateway's address for it",
      { "edge.vip": "10.0.2.1" },
      ["edge.vip: 10.0.2.1; a free address; this one is the gateway"],
    ],
    [
      "the broadcast address for a node",
      { "nodes.coreos2.address": "10.0.2.255" },
      [`nodes.coreos2.address: 10.0.2.255; ${noHost}`],
    ],
    [
      "the gateway's address for a node",
      { "nodes.coreos2.address": "10.0.2.1" },
      ["network.gateway: 10.0.2.1; the router's address; this one is the address of coreos2"],
    ],
    [
      "a node's address for the gateway",
      { "network.gateway": "10.0.2.12" },
      ["network.gateway: 10.0.2.12; the router's address; this one is the address of coreos2"],
    ],
    [
      "the network's own for the gateway",
      { "network.gateway": "10.0.2.0" },
      [`network.gateway: 10.0.2.0; ${noHost}`],
    ],
    [
      "one installer for two nodes",
      { "nodes.coreos2.installer": { host: "127.0.0.1", port: 2011 } },
      ["nodes.coreos2.installer: 127.0.0.1:2011; another than that of coreos1"],
    ],
    [
      "another node's address in the Swarm",
      { "nodes.coreos2.advertiseAddr": "10.0.2.11" },
      [`nodes.coreos2.advertiseAddr: 10.0.2.11; ${own("coreos2", "coreos1")}`],
    ],
    [
      "one address of the Swarm for two nodes",
      { "nodes.coreos1.dataPathAddr": "10.9.0.1", "nodes.coreos2.dataPathAddr": "10.9.0.1" },
      [`nodes.coreos2.dataPathAddr: 10.9.0.1; ${own("coreos2", "coreos1")}`],
    ],
    [
      "the registry's address in the Swarm",
      { "nodes.coreos2.dataPathAddr": "10.0.2.10" },
      [`nodes.coreos2.dataPathAddr: 10.0.2.10; ${own("coreos2", "the registry")}`],
    ],
    ...["0.0.0.0", "127.0.0.1", "224.0.0.18", "255.255.255.255"].map(
      (address): [string, Settings, string[]] => [
        `${address} in the Swarm`,
        { "nodes.coreos2.advertiseAddr": address },
        [`nodes.coreos2.advertiseAddr: ${address}; ${single}`],
      ],
    ),
    [
      "the broadcast address in the Swarm",
      { "nodes.coreos2.dataPathAddr": "10.0.2.255" },
      [`nodes.coreos2.dataPathAddr: 10.0.2.255; ${noHost}`],
    ],
  ];

  test.each(cases)("%s is answered with what is wanted", (_name, settings, expected) => {
    expect(mistakesWith(settings)).toEqual(expected);
  });

  test("of the Swarm may be a node's own, or outside the nodes' subnet", () => {
    expect(
      mistakesWith({
        "nodes.coreos1.advertiseAddr": "10.0.2.11",
        "nodes.coreos1.dataPathAddr": "10.30.0.11",
      }),
    ).toEqual([]);
  });

  test("for the overlay's traffic is the one that the node advertises where the overlay is encrypted", () => {
    const encrypted = { "network.overlay.encrypted": true, "nodes.coreos1.dataPathAddr": "10.30.0.11" };
    expect(mistakesWith(encrypted)).toEqual([
      "nodes.coreos1.dataPathAddr: 10.30.0.11; the node's advertiseAddr, as Docker carries an encrypted overlay between no others: set advertiseAddr to it too, or network.overlay.encrypted to false",
    ]);
    expect(mistakesWith({ ...encrypted, "nodes.coreos1.advertiseAddr": "10.30.0.11" })).toEqual([]);
    expect(mistakesWith({ ...encrypted, "nodes.coreos1.advertiseAddr": "10.30.0" })).toEqual([
      'nodes.coreos1.advertiseAddr: "10.30.0"; an IPv4 address such as 10.0.2.11',
    ]);
    expect(mistakesWith({ ...encrypted, "nodes.coreos1.address": "10.30.0" })).toEqual([
      'nodes.coreos1.address: "10.30.0"; an IPv4 address such as 10.0.2.11',
    ]);
  });
});

describe("the overlay's subnet", () => {
  const container = "a subnet that containers can have, such as 10.20.1.0/24";
  const cases: [string, string][] = [
    [
      "10.20.1.0/25",
      "/24 or larger: each task of a service has an address of its own, and each node one more",
    ],
    ["10.20.1.5/24", "a subnet's first address: 10.20.1.0/24"],
    ["127.0.0.0/8", container],
    ["224.0.0.0/8", container],
    ["172.17.0.0/16", "a subnet that does not overlap 172.17.0.0/16, Docker's bridge on every node"],
    ["172.16.0.0/12", "a subnet that does not overlap 172.17.0.0/16, Docker's bridge on every node"],
    [
      "172.18.4.0/24",
      "a subnet that does not overlap 172.18.0.0/16, Docker's bridge for Swarm services on every node",
    ],
    ["10.0.0.0/24", "a subnet that does not overlap 10.0.0.0/24, the Swarm's ingress network"],
    ["10.0.0.0/16", "a subnet that does not overlap network.subnet (10.0.2.0/24)"],
  ];

  test.each(cases)("%s is answered with what is wanted", (subnet, wanted) => {
    expect(mistakesWith({ "network.overlay.subnet": subnet })).toEqual([
      `network.overlay.subnet: ${subnet}; ${wanted}`,
    ]);
  });

  test.each(["10.20.1.0/24", "10.128.0.0/16", "192.168.99.0/24"])("%s will do", (subnet) => {
    expect(mistakesWith({ "network.overlay.subnet": subnet })).toEqual([]);
  });
});

describe("the registry's port", () => {
  const containerLinux = {
    etcd2: { discovery: "https://discovery.example.com/1" },
    insecureDockerApi: true,
  };
  const cases: [number, string, Settings][] = [
    [22, "SSH", {}],
    [2222, "SSH to coreos1", { "nodes.coreos1.ssh": { port: 2222 } }],
    [2222, "SSH to coreos1", { "nodes.coreos1.ssh": { host: "10.0.2.11", port: 2222 } }],
    [2376, "Docker's API", {}],
    [2377, "the Swarm's managers", {}],
    [7946, "the Swarm's nodes among each other", {}],
    [4789, "the overlay network", {}],
    [2375, "Docker's open API", { os: { distribution: "coreos", containerLinux } }],
    [4001, "etcd", { os: { distribution: "coreos", containerLinux } }],
  ];

  test.each(cases)("%d is taken by %s", (port, owner, settings) => {
    expect(mistakesWith({ ...settings, "edge.port": port })).toEqual([
      `edge.port: ${port}; a port that is free on every node; this one is for ${owner}`,
    ]);
  });

  test("may be that of a forward to a node", () => {
    expect(mistakesWith({ "edge.port": 2011 })).toEqual([]);
  });
});
