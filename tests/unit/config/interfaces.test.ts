import { describe, expect, test } from "vitest";
import { baseFiles, downloadProxies } from "../../../config/models";
import { configWith, testMistakes } from "./mistakes";

test("a node's interface is eth0, on VirtualBox enp0s3, unless one is named", () => {
  const first = (stack: string) => configWith("nodes.coreos1.interface: ~", stack).nodes.coreos1?.interface;
  expect([first("metal"), first("virtualbox")]).toEqual(["eth0", "enp0s3"]);
});

describe("VLANs and NICs of a node", () => {
  const node = "nodes.coreos1";
  const route = (id: number) => `id: ${id}, address: 10.30.${id % 100}.11/24, gateway: 10.30.${id % 100}.1`;
  const noOtherName = "another name; that one is";

  testMistakes({
    [`${node}.vlans: { v3000: { ${route(3000)}, metric: 300 }, v3012: { ${route(3012)}, metric: 312 } }
${node}.nics: { eno2: { dhcp: true, mtu: 9000 }, '08:00:27:aa:bb:02': { address: 10.40.0.11/24 } }`]: [],
    [`${node}.vlans: { v0: { id: 0, address: 10.30.0.11/24 }, v4095: { id: 4095, address: 10.30.1.11/24 } }`]:
      [
        `${node}.vlans.v0.id: 0; a VLAN id from 1 to 4094`,
        `${node}.vlans.v4095.id: 4095; a VLAN id from 1 to 4094`,
      ],
    [`${node}.vlans: { va: { id: 7, address: 10.30.0.11/24 }, vb: { id: 7, address: 10.30.1.11/24 } }`]: `${node}.vlans.vb.id: 7; another id than that of va`,
    [`${node}.vlans: { va: { ${route(7)} } }`]: `${node}.vlans.va.metric: 0; another metric than that of the default route by eth0 (network.gateway)`,
    [`${node}.nics: { eno2: { dhcp: true } }\n${node}.vlans: { va: { ${route(7)}, metric: 1024 } }`]: `${node}.vlans.va.metric: 1024; another metric than that of the default route by eno2`,
    [`${node}.interface: eno1\n${node}.nics: { eno1: { dhcp: true } }`]: `${node}.nics.eno1: eno1; ${noOtherName} the node's interface already`,
    [`${node}.nics: { '08:00:27:aa:bb:02': { dhcp: true, metric: 1 }, '08:00:27:AA:BB:02': { dhcp: true } }`]: `${node}.nics.08:00:27:AA:BB:02: 08:00:27:AA:BB:02; ${noOtherName} a NIC already`,
    [`${node}.nics: { eno2: { dhcp: true, address: 10.40.0.11/24 } }`]: `${node}.nics.eno2.address: 10.40.0.11/24 beside dhcp: true; either dhcp: true, or an address with or without a gateway`,
    [`${node}.nics: { eno2: {} }`]: `${node}.nics.eno2.address: nothing; an address such as 10.40.0.11/24, or dhcp: true`,
    [`${node}.vlans: { va: { id: 7, address: 10.30.0.11 } }`]: `${node}.vlans.va.address: "10.30.0.11"; an IPv4 address with its prefix length, such as 10.30.0.11/24`,
    [`${node}.vlans: { va: { id: 7, address: 10.0.2.111/24 } }`]: `${node}.vlans.va.address: 10.0.2.111/24; an address outside 10.0.2.0/24, where the node has another interface`,
    [`${node}.vlans: { va: { id: 7, address: 10.30.0.11/24, gateway: 10.31.0.1, metric: 5 } }`]: `${node}.vlans.va.gateway: 10.31.0.1; an address in 10.30.0.0/24, where the interface is`,
    [`${node}.vlans: { va: { id: 7, address: 10.30.0.11/24, mtu: 9000 } }`]: `${node}.vlans.va.mtu: 9000; 1500 or less, the MTU of the interface below it (network.mtu)`,
    [`${node}.vlans: { vlan-of-the-storage: { id: 7, address: 10.30.0.11/24 } }`]: `${node}.vlans.vlan-of-the-storage: "vlan-of-the-storage"; a device's name of at most fifteen letters and digits, such as v3000`,
    [`${node}.interface: eth 0`]: `${node}.interface: "eth 0"; a network interface's name such as eth0, or its MAC address such as 08:00:27:aa:bb:01`,
    [`${node}.interface: 08:00:27:aa:bb:01`]: `${node}.interface: 08:00:27:aa:bb:01; the interface's name: on a node with role edge it holds the registry's address`,
  });
  testMistakes(
    {
      "nodes.node1.vlans: { va: { id: 7, address: 10.30.0.11/24 } }":
        "nodes.node1.vlans: va; none: the network of a host that ran before (platform existing) is its owner's",
    },
    "existing",
  );
});

describe("metrics of default routes on Fedora CoreOS are NetworkManager's by default", () => {
  const fedora = "os.distribution: fedora-coreos\n";
  const vlan = (name: string, id: number, more = "") =>
    `${name}: { id: ${id}, address: 10.30.${id}.11/24, gateway: 10.30.${id}.1${more} }`;
  const vlans = (...all: string[]) => `nodes.coreos1.vlans: { ${all.join(", ")} }`;
  const dhcp = "nodes.coreos1.nics: { eno2: { dhcp: true } }";
  const both = `network.metric: 10\nnodes.coreos1.nics: { eno2: { dhcp: true, metric: 400 } }\n${vlans(vlan("va", 7))}`;
  const taken = (path: string, metric: number, by = "eth0 (network.gateway)") =>
    `nodes.coreos1.${path}.metric: ${metric}; another metric than that of the default route by ${by}`;

  testMistakes({
    [`${fedora}${vlans(vlan("va", 7))}`]: [],
    [`${fedora}${vlans(vlan("va", 7, ", metric: 100"))}`]: taken("vlans.va", 100),
    [`${fedora}${dhcp}`]: taken("nics.eno2", 100),
    [`${fedora}${dhcp}\nnetwork.metric: 10`]: [],
    [`${fedora}nodes.coreos1.nics: { eno2: { address: 10.40.0.11/24, gateway: 10.40.0.1 } }`]: taken(
      "nics.eno2",
      100,
    ),
    [`${fedora}${both}`]: taken("vlans.va", 400, "eno2"),
    [`${fedora}${vlans(vlan("va", 7), vlan("vb", 8))}`]: taken("vlans.vb", 400, "va"),
    // networkd's default depends on where the route came from.
    [both]: [],
  });
});

test("the proxy is not asked for any address of a node", () => {
  const config = configWith(`
nodes.coreos1.advertiseAddr: 10.40.0.11
nodes.coreos2.dataPathAddr: 10.41.0.12
nodes.coreos1.nics: { eth1: { address: 10.40.0.11/24 }, eth2: { dhcp: true, metric: 900 } }
nodes.coreos2.nics: { eth1: { address: 10.41.0.12/24 } }
nodes.coreos2.advertiseAddr: 10.41.0.12
nodes.coreos3.nics: { eth1: { address: 10.42.0.13/24 } }
nodes.coreos4.vlans: { v3000: { id: 3000, address: 10.30.0.11/24 } }`);
  const { none } = downloadProxies(config).proxies ?? expect.unreachable();
  expect(none.filter((one) => /^10\.\d+\.\d+\.1[1-4]$/.test(one))).toEqual([
    ...["10.0.2.11", "10.40.0.11", "10.0.2.12", "10.41.0.12"],
    ...["10.0.2.13", "10.42.0.13", "10.0.2.14", "10.30.0.11"],
  ]);
  const values = { caCertificate: "", api: { ca: "", certificate: "", key: "" }, passwordHashes: {} };
  const { content = "" } = baseFiles(config, "coreos3", values).files["/etc/environment"] ?? {};
  for (const key of ["no_proxy", "NO_PROXY"])
    expect(content.split("\n")).toContain(`${key}=${none.join(",")}`);
});
