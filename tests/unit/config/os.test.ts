import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../config/problem";
import { parseStackConfig } from "../../../config/stack";
import { warningsOf } from "../../../config/warnings";
import { machinesStack, rawStack, type RawConfig } from "../../support/stacks";

type Change = (raw: Record<string, Record<string, unknown>>) => void;

function changed(change: Change, stack?: string): RawConfig {
  const raw = structuredClone(stack === undefined ? machinesStack() : rawStack(stack));
  raw.os ??= {};
  change(raw);
  return raw;
}

/** The mistakes of the lab's stack for machines, or of a stack file, after a change, as `path: found; wanted`. */
function mistakes(change: Change, stack?: string): string[] {
  try {
    parseStackConfig(changed(change, stack));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((one) => `${one.path}: ${one.found}; ${one.wanted}`);
  }
  return [];
}

const os =
  (settings: Record<string, unknown>): Change =>
  (raw) =>
    void Object.assign(raw.os ?? {}, settings);
const node =
  (settings: Record<string, unknown>): Change =>
  (raw) =>
    void Object.assign(raw.nodes?.coreos1 as object, settings);

describe("the operating system", () => {
  test("is any of three, each with its formats, channels and update strategies", () => {
    for (const distribution of ["flatcar", "fedora-coreos", "coreos"]) {
      expect(mistakes(os({ distribution })), distribution).toEqual([]);
    }
    expect(mistakes(os({ format: "cloud-config" }))).toEqual([]);
    expect(mistakes(os({ distribution: "fedora-coreos", channel: "next" }))).toEqual([]);
  });

  const cases: [string, Record<string, unknown>, string[]][] = [
    [
      "a distribution that there is not",
      { distribution: "ubuntu" },
      ['os.distribution: "ubuntu"; one of flatcar, fedora-coreos, coreos'],
    ],
    [
      "a cloud-config for Fedora CoreOS",
      { distribution: "fedora-coreos", format: "cloud-config" },
      ["os.format: cloud-config; ignition for fedora-coreos"],
    ],
    [
      "Ignition for Container Linux",
      { distribution: "coreos", format: "ignition" },
      ["os.format: ignition; cloud-config for coreos"],
    ],
    [
      "another's channel",
      { channel: "next" },
      ["os.channel: next; one of stable, beta, alpha, lts for flatcar"],
    ],
    [
      "a version that coreos-installer cannot choose",
      { distribution: "fedora-coreos", version: "41.1" },
      [
        "os.version: 41.1; no version: coreos-installer takes the newest of its stream. To pin a release, give its image (os.image)",
      ],
    ],
    [
      "an update strategy that Fedora CoreOS has not",
      { distribution: "fedora-coreos", updateStrategy: "etcd-lock" },
      ["os.updateStrategy: etcd-lock; off or reboot for fedora-coreos"],
    ],
    [
      "a time zone that would be a command",
      { timeZone: "UTC; reboot" },
      ['os.timeZone: "UTC; reboot"; a time zone such as Europe/Berlin'],
    ],
    [
      "what Container Linux alone has, elsewhere",
      { containerLinux: { insecureDockerApi: true, insecureRegistries: ["a:5000"] } },
      ["os.containerLinux: fleet, insecureDockerApi, insecureRegistries; nothing: flatcar has none of it"],
    ],
    [
      "fleet and flannel without etcd",
      { distribution: "coreos", containerLinux: { fleet: true, flannel: { network: "10.1.0.0/16" } } },
      [
        "os.containerLinux.etcd2: nothing; etcd2 with its discovery URL, where fleet keeps its data",
        "os.containerLinux.etcd2: nothing; etcd2 with its discovery URL, where flannel keeps its data",
      ],
    ],
    [
      "etcd 2 without the URL of a discovery service",
      { distribution: "coreos", containerLinux: { etcd2: {} } },
      ["os.containerLinux.etcd2.discovery: nothing; a URL that starts with http:// or https://"],
    ],
    [
      "an MD5 hash elsewhere",
      { users: { usera: { password: true, insecureMd5Password: true } } },
      ["os.users.usera.insecureMd5Password: true; false: only distribution coreos may have it"],
    ],
    [
      "an MD5 hash of no password",
      { distribution: "coreos", users: { usera: { insecureMd5Password: true } } },
      ["os.users.usera.insecureMd5Password: true; password: true beside it"],
    ],
    [
      "core once more",
      { users: { core: {} } },
      ["os.users.core: core; a user of your own; core has its key by os.sshAuthorizedKey"],
    ],
    [
      "a clock that ntpdate has nobody to ask for",
      { distribution: "coreos", clockTimer: true },
      ["os.ntp: []; a time server, which ntpdate has to be told (os.clockTimer)"],
    ],
    [
      "a password written into the configuration",
      { users: { usera: { password: "hunter2" } } },
      ['os.users.usera.password: "hunter2"; true or false'],
    ],
  ];

  test.each(cases)("%s is answered with what is wanted", (_name, settings, expected) => {
    expect(mistakes(os(settings))).toEqual(expected);
  });

  test("warns of nothing where nothing is insecure", () => {
    expect(warningsOf(parseStackConfig(changed(() => undefined)))).toEqual([]);
  });

  const warnings = (settings: Record<string, unknown>) => warningsOf(parseStackConfig(changed(os(settings))));

  test("warns of a lock in an etcd that nothing says is there", () => {
    const updateStrategy = "etcd-lock";
    const own = {
      "locksmithd.service": { dropIns: { "own.conf": "[Service]\nEnvironment=LOCKSMITHD_ENDPOINT=x\n" } },
    };
    const etcd2 = { discovery: "https://discovery.domain.com/5d3c1a" };
    expect(warnings({ updateStrategy })).toEqual([
      expect.stringMatching(
        /^os\.updateStrategy: found etcd-lock; wanted an etcd .* no update is ever booted\. /,
      ),
    ]);
    expect(warnings({ updateStrategy, units: own })).toEqual([]);
    expect(warnings({ updateStrategy: "reboot" })).toEqual([]);
    const settings = { updateStrategy, distribution: "coreos", containerLinux: { etcd2 } };
    expect(warnings(settings).join()).not.toContain("etcd-lock");
  });

  test("warns of groups that Container Linux does not give", () => {
    const users = { usera: { groups: ["sudo", "kvm", "docker", "nowhere"] }, userb: {} };
    expect(warnings({ users })).toEqual([]);
    expect(warnings({ users, distribution: "coreos" }).slice(1)).toEqual([
      "os.users.usera.groups: found kvm, nowhere; wanted of docker, sudo, wheel: Container Linux puts users into no group " +
        "of its /usr, and ends its user data at one that it does not know",
    ]);
  });
});

describe("files and units of one's own", () => {
  const cases: [string, Record<string, unknown>, string][] = [
    [
      "a .conf given as a unit",
      { units: { "60-wait.conf": { content: "[Unit]\n" } } },
      "os.units.60-wait.conf: a .conf is no unit, and systemd would never read it; give it as a drop-in of the unit that it is meant for",
    ],
    [
      "a unit without a suffix",
      { units: { backup: { content: "[Service]\n" } } },
      "os.units.backup: this is no unit's name; end it in .service, .timer, .socket or another unit's suffix",
    ],
    [
      "a timer without [Install]",
      { units: { "backup.timer": { content: "[Timer]\nOnCalendar=daily\n" } } },
      "os.units.backup.timer: a timer without [Install] does not come back after a reboot; add [Install] with WantedBy=timers.target",
    ],
    [
      "a relative path",
      { files: { "etc/own": { content: "" } } },
      'os.files.etc/own: "etc/own"; an absolute path',
    ],
    [
      "a path on the read-only /usr",
      { files: { "/usr/bin/own": { content: "" } } },
      "os.files./usr/bin/own: /usr is read-only there; put it below /etc, /opt or /var",
    ],
    [
      "permissions that YAML took for a number",
      { files: { "/etc/own": { content: "", permissions: 420 } } },
      'os.files./etc/own.permissions: 420; permissions as quoted octal digits, such as "0644"',
    ],
    [
      "permissions that shut everybody out",
      { files: { "/etc/own": { content: "", permissions: "0044" } } },
      'os.files./etc/own: its mode is 0o44, with which not even its owner may read it; if 36 was meant as octal digits, write 0o36 or "036"',
    ],
    [
      "a file of the program's",
      { files: { "/etc/docker/daemon.json": { content: "{}" } } },
      "os.files./etc/docker/daemon.json: a file that the program writes itself; another path, or the key of the configuration that the file is made from",
    ],
    [
      "a file of the installation's",
      { files: { "/etc/ssh/ssh_host_ed25519_key": { content: "" } } },
      "os.files./etc/ssh/ssh_host_ed25519_key: a file that the program writes itself; another path, or the key of the configuration that the file is made from",
    ],
    [
      "a unit of the program's",
      { units: { "docker.service": { enabled: false } } },
      "os.units.docker.service: a unit that the program writes itself; another name, or drop-ins alone",
    ],
    [
      "a drop-in of the program's",
      { units: { "docker.service": { dropIns: { "30-moorage-slice.conf": "[Unit]\n" } } } },
      "os.units.docker.service.dropIns.30-moorage-slice.conf: a drop-in that the program writes itself; another name",
    ],
    [
      "a drop-in that systemd passes over",
      { units: { "docker.service": { dropIns: { "50-own": "[Service]\n" } } } },
      "os.units.docker.service: systemd reads drop-ins whose name ends in .conf only; call it 50-own.conf",
    ],
  ];

  test.each(cases)("%s is answered with what is wanted", (_name, settings, expected) => {
    expect(mistakes(os(settings))).toEqual([expected]);
  });

  test("may be beside the program's", () => {
    const files = { "/opt/bin/own": { content: "#!/bin/sh\n", permissions: "0755" } };
    const units = { "docker.service": { dropIns: { "50-own.conf": "[Service]\nNice=5\n" } } };
    expect(mistakes(os({ files, units }))).toEqual([]);
  });
});

describe("a node's interfaces", () => {
  const vlan = (id: number, third: number, rest = {}) => ({ id, address: `10.30.${third}.11/24`, ...rest });

  test("are eth0, on VirtualBox enp0s3, unless one is named", () => {
    const first = (stack: string) =>
      parseStackConfig(
        changed((raw) => delete (raw.nodes?.coreos1 as Record<string, unknown>).interface, stack),
      ).nodes.coreos1?.interface;
    expect([first("metal"), first("virtualbox")]).toEqual(["eth0", "enp0s3"]);
  });

  test("may be any number of VLANs and NICs, with a metric for each further default route", () => {
    const vlans = {
      v3000: vlan(3000, 0, { gateway: "10.30.0.1", metric: 300 }),
      v3012: vlan(3012, 12, { gateway: "10.30.12.1", metric: 312 }),
      v3100: vlan(3100, 100),
    };
    const nics = { eno2: { dhcp: true, mtu: 9000 }, "08:00:27:aa:bb:02": { address: "10.40.0.11/24" } };
    expect(mistakes(node({ vlans, nics }))).toEqual([]);
  });

  const cases: [string, Record<string, unknown>, string[]][] = [
    [
      "an id that is none",
      { vlans: { v0: vlan(0, 0), v4095: vlan(4095, 1) } },
      [
        "nodes.coreos1.vlans.v0.id: 0; a VLAN id from 1 to 4094",
        "nodes.coreos1.vlans.v4095.id: 4095; a VLAN id from 1 to 4094",
      ],
    ],
    [
      "an id twice",
      { vlans: { va: vlan(7, 0), vb: vlan(7, 1) } },
      ["nodes.coreos1.vlans.vb.id: 7; another id than that of va"],
    ],
    [
      "two default routes of one metric",
      { vlans: { va: vlan(7, 0, { gateway: "10.30.0.1" }) } },
      [
        "nodes.coreos1.vlans.va.metric: 0; another metric than that of the default route by eth0 (network.gateway)",
      ],
    ],
    [
      "a default route from DHCP of one metric with another's",
      {
        nics: { eno2: { dhcp: true } },
        vlans: { va: vlan(7, 0, { gateway: "10.30.0.1", metric: 1024 }) },
      },
      ["nodes.coreos1.vlans.va.metric: 1024; another metric than that of the default route by eno2"],
    ],
    [
      "the node's interface once more",
      { interface: "eno1", nics: { eno1: { dhcp: true } } },
      ["nodes.coreos1.nics.eno1: eno1; another name; that one is the node's interface already"],
    ],
    [
      "one MAC address in two spellings",
      { nics: { "08:00:27:aa:bb:02": { dhcp: true, metric: 1 }, "08:00:27:AA:BB:02": { dhcp: true } } },
      ["nodes.coreos1.nics.08:00:27:AA:BB:02: 08:00:27:AA:BB:02; another name; that one is a NIC already"],
    ],
    [
      "DHCP with an address",
      { nics: { eno2: { dhcp: true, address: "10.40.0.11/24" } } },
      [
        "nodes.coreos1.nics.eno2.address: 10.40.0.11/24 beside dhcp: true; either dhcp: true, or an address with or without a gateway",
      ],
    ],
    [
      "neither DHCP nor an address",
      { nics: { eno2: {} } },
      ["nodes.coreos1.nics.eno2.address: nothing; an address such as 10.40.0.11/24, or dhcp: true"],
    ],
    [
      "an address without its prefix length",
      { vlans: { va: { id: 7, address: "10.30.0.11" } } },
      [
        'nodes.coreos1.vlans.va.address: "10.30.0.11"; an IPv4 address with its prefix length, such as 10.30.0.11/24',
      ],
    ],
    [
      "a VLAN in the nodes' own subnet",
      { vlans: { va: { id: 7, address: "10.0.2.111/24" } } },
      [
        "nodes.coreos1.vlans.va.address: 10.0.2.111/24; an address outside 10.0.2.0/24, where the node has another interface",
      ],
    ],
    [
      "a gateway elsewhere",
      { vlans: { va: vlan(7, 0, { gateway: "10.31.0.1", metric: 5 }) } },
      ["nodes.coreos1.vlans.va.gateway: 10.31.0.1; an address in 10.30.0.0/24, where the interface is"],
    ],
    [
      "a VLAN with a larger MTU than its parent's",
      { vlans: { va: vlan(7, 0, { mtu: 9000 }) } },
      ["nodes.coreos1.vlans.va.mtu: 9000; 1500 or less, the MTU of the interface below it (network.mtu)"],
    ],
    [
      "a device's name that Linux would not take",
      { vlans: { "vlan-of-the-storage": vlan(7, 0) } },
      [
        'nodes.coreos1.vlans.vlan-of-the-storage: "vlan-of-the-storage"; a device\'s name of at most fifteen letters and digits, such as v3000',
      ],
    ],
    [
      "an interface that is none",
      { interface: "eth 0" },
      [
        'nodes.coreos1.interface: "eth 0"; a network interface\'s name such as eth0, or its MAC address such as 08:00:27:aa:bb:01',
      ],
    ],
    [
      "an edge node's interface by its MAC address",
      { interface: "08:00:27:aa:bb:01" },
      [
        "nodes.coreos1.interface: 08:00:27:aa:bb:01; the interface's name: on a node with role edge it holds the registry's address",
      ],
    ],
  ];

  test.each(cases)("%s is answered with what is wanted", (_name, settings, expected) => {
    expect(mistakes(node(settings))).toEqual(expected);
  });

  test("belong to the owner of a host that ran before", () => {
    const change: Change = (raw) =>
      void Object.assign(raw.nodes?.node1 as object, { vlans: { va: vlan(7, 0) } });
    expect(mistakes(change, "existing")).toEqual([
      "nodes.node1.vlans: va; none: the network of a host that ran before (platform existing) is its owner's",
    ]);
  });
});
