import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../config/problem";
import { parseStackConfig } from "../../../config/stack";
import { rawStack, type RawConfig } from "../../support/stacks";

/** The mistakes of a stack's configuration after a change, as `path: found; wanted`. */
function mistakes(change: (raw: RawConfig) => void, stack = "virtualbox"): string[] {
  const raw = structuredClone(rawStack(stack));
  change(raw);
  try {
    parseStackConfig(raw);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map((one) => `${one.path}: ${one.found}; ${one.wanted}`);
    throw error;
  }
  return [];
}

const node = (raw: RawConfig, name: string) => raw.nodes?.[name] as Record<string, unknown>;
const hypervisor = (raw: RawConfig) => (raw.hypervisor ??= {});

test("the article's stack has defaults for all that it leaves out", () => {
  const { hypervisor: found } = parseStackConfig(rawStack("virtualbox"));
  expect(found).toMatchObject({
    network: { name: "moorage", dhcp: false },
    registryPort: 8443,
    memory: 2048,
    nicType: "virtio",
    keepDataDisks: true,
    iso: {},
  });
  expect(parseStackConfig({ ...rawStack("virtualbox"), hypervisor: undefined }).hypervisor).toMatchObject({
    memory: 4096,
    cpus: 2,
    systemDisk: 16,
    dataDisk: 64,
  });
});

describe("each mistake is answered with path, value and what is wanted", () => {
  const cases: [string, (raw: RawConfig) => void, string][] = [
    [
      "too little memory",
      (raw) => (hypervisor(raw).memory = 1024),
      "hypervisor.memory: 1024; 2048 or more, which Flatcar needs to boot its live system",
    ],
    [
      "too little memory of one node",
      (raw) => (node(raw, "coreos1").guest = { memory: 512 }),
      "nodes.coreos1.guest.memory: 512; 2048 or more, which Flatcar needs to boot its live system",
    ],
    [
      "a MAC address of a group",
      (raw) => (node(raw, "coreos1").guest = { mac: "09:00:27:00:00:11" }),
      'nodes.coreos1.guest.mac: "09:00:27:00:00:11"; a MAC address such as 08:00:27:00:00:11, its second digit even',
    ],
    ...[
      ["fedora-coreos", "does not read"],
      ["coreos", "was never tried with"],
    ].map(([distribution, reads]): [string, (raw: RawConfig) => void, string] => [
      `guests of ${distribution}`,
      (raw) => (raw.os = { ...raw.os, distribution, channel: "stable", format: undefined }),
      `os.distribution: ${distribution}; flatcar on platform virtualbox: the live system of ${distribution} ${reads} the config drive that a new guest is told its keys by. On platform metal it can be installed`,
    ]),
    [
      "two nodes behind one port",
      (raw) => (node(raw, "coreos2").ssh = { port: 2011 }),
      "nodes.coreos2.ssh.port: 2011, which is coreos1's; a port of the hypervisor that leads to this node alone, such as 2011",
    ],
    [
      "a node behind the hypervisor's own port",
      (raw) => delete node(raw, "coreos2").ssh,
      "nodes.coreos2.ssh.port: 22, which is the hypervisor's own; a port of the hypervisor that leads to this node alone, such as 2011",
    ],
    [
      "a node behind the registry's port",
      (raw) => (hypervisor(raw).registryPort = 2014),
      "nodes.coreos4.ssh.port: 2014, which is the registry's; a port of the hypervisor that leads to this node alone, such as 2011",
    ],
    [
      "an installer of one's own",
      (raw) => (node(raw, "coreos1").installer = { port: 2011 }),
      "nodes.coreos1.installer: an endpoint; nothing: on platform virtualbox the live installer is reached as the installed system is",
    ],
    [
      "another gateway than VirtualBox's",
      (raw) => ((raw.network ?? {}).gateway = "10.0.2.254"),
      "network.gateway: 10.0.2.254; 10.0.2.1, which VirtualBox gives the gateway of a NAT network",
    ],
    [
      "two images",
      (raw) => (hypervisor(raw).iso = { url: "https://example.com/{version}/a.iso", path: "/srv/a.iso" }),
      "hypervisor.iso.path: /srv/a.iso; either url or path, not both",
    ],
    [
      "a hypervisor without a user",
      (raw) => (hypervisor(raw).ssh = { host: "workstation" }),
      "hypervisor.ssh.user: nothing; the user whose guests they are",
    ],
    [
      "a card that there is not",
      (raw) => (hypervisor(raw).nicType = "e1000"),
      'hypervisor.nicType: "e1000"; one of virtio, 82540EM, 82545EM',
    ],
  ];
  test.each(cases)("%s", (_name, change, expected) => {
    expect(mistakes(change)).toEqual([expected]);
  });

  test("settings of a hypervisor where there is none", () => {
    const found = mistakes((raw) => {
      raw.hypervisor = { memory: 4096 };
      node(raw, "node1").guest = { cpus: 4 };
    }, "existing");
    expect(found).toEqual([
      "hypervisor: a hypervisor; platform virtualbox; this stack's is existing",
      "nodes.node1.guest: a guest; platform virtualbox; this stack's is existing",
    ]);
  });
});
