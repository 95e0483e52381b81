import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../config/problem";
import { parseStackConfig } from "../../../config/stack";
import { machinesStack, rawStack, type RawConfig } from "../../support/stacks";

/** The mistakes of the lab's configuration for machines after a change, as `path: found; wanted`. */
function mistakes(change: (raw: RawConfig) => void): string[] {
  const raw = structuredClone(machinesStack());
  change(raw);
  try {
    parseStackConfig(raw);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems.map((one) => `${one.path}: ${one.found}; ${one.wanted}`);
    }
    throw error;
  }
  return [];
}

const node = (raw: RawConfig, name: string) => raw.nodes?.[name] as Record<string, unknown>;

describe("the stacks of this repository", () => {
  test.each(["dev", "metal", "virtualbox", "existing"])("%s is valid", (name) => {
    expect(Object.keys(parseStackConfig(rawStack(name)).nodes)).toHaveLength(4);
  });

  test("without etcd neither its image nor its ports matter", () => {
    expect(
      mistakes((raw) => {
        raw.etcd = { clientPort: 443 };
        delete (raw.images ?? {}).etcd;
      }),
    ).toEqual([]);
  });

  test("defaults are filled in", () => {
    const config = parseStackConfig(rawStack("dev"));
    expect(config.os.updateStrategy).toBe("off");
    expect(config.storage).toMatchObject({ bucket: "registry", retain: true });
    expect(config.nodes.coreos1?.ssh.port).toBe(2011);
  });
});

describe("each mistake is answered with path, value and what is wanted", () => {
  const cases: [string, (raw: RawConfig) => void, string][] = [
    [
      "nobody who may write everything",
      (raw) => (raw.registry = { users: { ci: { rights: [{ repositories: "team/*", access: "write" }] } } }),
      'registry.users: {"ci":{"rights":[{"repositories":"team/*","access":"write"}]}}; at least one user with write access to *, who proves the registry after every update',
    ],
    [
      "duplicate addresses",
      (raw) => (node(raw, "coreos2").address = "10.0.2.11"),
      "nodes.coreos2.address: 10.0.2.11; another than that of coreos1",
    ],
    [
      "two nodes behind one SSH port",
      (raw) => (node(raw, "coreos2").ssh = { host: "127.0.0.1", port: 2011 }),
      "nodes.coreos2.ssh: 127.0.0.1:2011; another than that of coreos1",
    ],
    [
      "two managers",
      (raw) => (node(raw, "coreos3").roles = ["worker", "storage"]),
      "nodes: 2 managers (coreos1, coreos2); an odd number of managers, three or more to survive the loss of one",
    ],
    [
      "three storage nodes",
      (raw) => (node(raw, "coreos4").roles = ["worker"]),
      "nodes: 3 storage nodes (coreos1, coreos2, coreos3); exactly four nodes with role storage, one drive of the erasure set each",
    ],
    [
      "five storage nodes",
      (raw) => {
        (raw.nodes ?? {}).coreos5 = {
          ...node(raw, "coreos4"),
          address: "10.0.2.15",
          ssh: { host: "127.0.0.1", port: 2015 },
        };
      },
      "nodes: 5 storage nodes (coreos1, coreos2, coreos3, coreos4, coreos5); exactly four nodes with role storage, one drive of the erasure set each",
    ],
    [
      "a VIP outside the subnet",
      (raw) => ((raw.edge ?? {}).vip = "10.0.3.10"),
      "edge.vip: 10.0.3.10; an address in network.subnet (10.0.2.0/24)",
    ],
    [
      "a VIP that is a node's",
      (raw) => ((raw.edge ?? {}).vip = "10.0.2.11"),
      "edge.vip: 10.0.2.11; a free address; this one is the address of coreos1",
    ],
    [
      "an unknown key",
      (raw) => (node(raw, "coreos1").rols = []),
      "nodes.coreos1.rols: an unknown key; no such key",
    ],
    [
      "an unknown subject",
      (raw) => (raw.netwrk = {}),
      "netwrk: an unknown key; one of platform, hypervisor, nodes, os, network, swarm, etcd, storage, registry, edge, images",
    ],
    [
      "overlapping subnets",
      (raw) => ((raw.network ?? {}).overlay = { subnet: "10.0.0.0/16" }),
      "network.overlay.subnet: 10.0.0.0/16; a subnet that does not overlap network.subnet (10.0.2.0/24)",
    ],
    [
      "an unknown role",
      (raw) => (node(raw, "coreos1").roles = ["manager", "storrage"]),
      'nodes.coreos1.roles.1: "storrage"; one of manager, worker, storage, registry, edge',
    ],
    [
      "a bad digest",
      (raw) => ((raw.images ?? {}).nginx = { name: "nginx", digest: "sha256:12" }),
      'images.nginx.digest: "sha256:12"; sha256: and 64 hexadecimal digits',
    ],
    [
      "a node's name that is no host name",
      (raw) => ((raw.nodes ?? {}).Node_5 = node(raw, "coreos4")),
      'nodes.Node_5: "Node_5"; a host name of lower-case letters, digits and hyphens, at most 63 characters',
    ],
    [
      "etcd without an image",
      (raw) => delete (raw.images ?? {}).etcd,
      "images.etcd: nothing; an image of etcd, as etcd.enabled is true",
    ],
    [
      "an election that is shorter than etcd takes",
      (raw) => (raw.etcd = { enabled: true, heartbeatMs: 500, electionMs: 2000 }),
      "etcd.electionMs: 2000; 2500 or more, 5 times etcd.heartbeatMs",
    ],
    [
      "a port of etcd that is Docker's",
      (raw) => (raw.etcd = { enabled: true, clientPort: 2376 }),
      "etcd.clientPort: 2376; another port than that of Docker's API",
    ],
    [
      "one port of etcd for clients and members",
      (raw) => (raw.etcd = { enabled: true, peerPort: 2379 }),
      "etcd.peerPort: 2379; another port than that of etcd.clientPort",
    ],
    [
      "a port of etcd that is the front's",
      (raw) => (raw.etcd = { enabled: true, clientPort: 443 }),
      "etcd.clientPort: 443; another port than that of edge.port",
    ],
    [
      "a time where revisions are counted",
      (raw) => (raw.etcd = { enabled: true, autoCompaction: { mode: "revision", retention: "1h" } }),
      'etcd.autoCompaction: {"mode":"revision","retention":"1h"}; a number of revisions such as 1000, as the mode is revision',
    ],
    [
      "a number out of bounds",
      (raw) => ((raw.edge ?? {}).virtualRouterId = 300),
      "edge.virtualRouterId: 300; a whole number from 1 to 255",
    ],
    [
      "a log level that there is not",
      (raw) => (raw.registry = { logLevel: "loud" }),
      'registry.logLevel: "loud"; one of error, warn, info, debug',
    ],
    [
      "a storage node without a disk",
      (raw) => delete node(raw, "coreos1").dataDisk,
      "nodes.coreos1.dataDisk: nothing; a device, as the node has role storage",
    ],
    [
      "manager and worker at once",
      (raw) => (node(raw, "coreos4").roles = ["manager", "worker", "storage"]),
      "nodes.coreos4.roles: manager, worker, storage; either manager or worker, not both and not neither",
    ],
    [
      "what is not built yet",
      (raw) => ((raw.registry ?? {}).proxy = { url: "https://mirror.example.com" }),
      'registry.proxy: {"url":"https://mirror.example.com"}; a pull-through mirror is not supported yet; leave it out',
    ],
    [
      "external storage",
      (raw) => (raw.storage = { kind: "external" }),
      'storage.kind: "external"; only `minio` is supported yet; `external` will follow',
    ],
  ];

  test.each(cases)("%s", (_name, change, expected) => {
    expect(mistakes(change)).toContain(expected);
  });

  test("all at once, in one message", () => {
    const found = mistakes((raw) => cases.slice(0, 2).forEach(([, change]) => change(raw)));
    expect(found).toEqual(expect.arrayContaining([cases[0]?.[2], cases[1]?.[2]]));
    expect(() => parseStackConfig({})).toThrow(/nothing was touched/);
  });

  test("a mistake that only the schema sees hides none that shows across keys", () => {
    const found = mistakes((raw) => {
      node(raw, "coreos1").rols = [];
      node(raw, "coreos2").address = "10.0.2.11";
      node(raw, "coreos3").roles = ["worker", "storage"];
      (raw.nodes ?? {}).coreos9 = { roles: ["worker", "storage"] };
      raw.edge = { vip: "10.0.3.10", port: "https" };
      raw.network = { subnet: "10.0.2.0/24", mtu: 1, overlay: { subnet: "10.0.2.0/25" } };
    });
    expect(found.sort()).toEqual([
      'edge.port: "https"; a TCP port from 1 to 65535',
      "edge.vip: 10.0.3.10; an address in network.subnet (10.0.2.0/24)",
      "network.mtu: 1; a whole number from 1280 to 9216",
      "network.overlay.subnet: 10.0.2.0/25; a subnet that does not overlap network.subnet (10.0.2.0/24)",
      "nodes.coreos1.rols: an unknown key; no such key",
      "nodes.coreos2.address: 10.0.2.11; another than that of coreos1",
      "nodes.coreos9.address: nothing; an IPv4 address such as 10.0.2.11",
      "nodes.coreos9.dataDisk: nothing; a device, as the node has role storage",
      "nodes.coreos9.disk: nothing; the device to install on",
      "nodes.coreos9.installer: nothing; where the live installer is reached",
      "nodes: 2 managers (coreos1, coreos2); an odd number of managers, three or more to survive the loss of one",
      "nodes: 5 storage nodes (coreos1, coreos2, coreos3, coreos4, coreos9); exactly four nodes with role storage, one drive of the erasure set each",
    ]);
  });

  describe("nor a file or unit of one's own that is the program's", () => {
    const own = (raw: RawConfig, more: object = {}) => {
      raw.os = {
        files: { "/etc/motd": { content: "x" }, "/etc/own": { content: "x" } },
        units: { "docker.service": { enabled: true }, "own.service": { content: "[Unit]\n" } },
        motd: "x",
        ...more,
      };
    };
    const collisions = [
      expect.stringMatching(/^os\.files\.\/etc\/motd: a file that the program writes itself;/),
      expect.stringMatching(/^os\.units\.docker\.service: a unit that the program writes itself;/),
    ];

    test.each<[string, (raw: RawConfig) => void, string[]]>([
      ["no other", () => undefined, []],
      [
        "one across keys",
        (raw) => (node(raw, "coreos2").address = "10.0.2.11"),
        ["nodes.coreos2.address: 10.0.2.11; another than that of coreos1"],
      ],
      [
        "a network that is none",
        (raw) => ((raw as Record<string, unknown>).network = "none"),
        ['network: "none"; a map'],
      ],
      [
        "no VIP",
        (raw) => delete (raw.edge ?? {}).vip,
        ["edge.vip: nothing; an IPv4 address such as 10.0.2.11"],
      ],
      [
        "a node of which nothing is right",
        (raw) => ((raw.nodes ?? {}).coreos4 = { address: 4, roles: [], disk: 1, dataDisk: 1, installer: 1 }),
        ["nodes.coreos4.address: 4; an IPv4 address such as 10.0.2.11"],
      ],
      [
        "etcd and Swarm of which nothing is right",
        (raw) => (raw.etcd = { x: 1 }),
        ["etcd.x: an unknown key; no such key"],
      ],
      [
        "keys of os that nobody knows",
        (raw) => own(raw, { channel: 7, timezone: "x" }),
        ["os.timezone: an unknown key; no such key"],
      ],
    ])("beside %s", (_name, change, others) => {
      const found = mistakes((raw) => {
        own(raw);
        change(raw);
      });
      expect(found).toEqual(expect.arrayContaining([...others, ...collisions]));
      if (others.length === 0) expect(found).toHaveLength(collisions.length);
    });

    test("unless nobody knows on which platform", () => {
      const found = mistakes((raw) => {
        own(raw);
        (raw as Record<string, unknown>).platform = "cloud";
      });
      expect(found).toEqual(['platform: "cloud"; one of virtualbox, metal, existing']);
    });
  });

  test("nor one of an image's, which is looked at with the others where that matters", () => {
    const raw = structuredClone(machinesStack());
    node(raw, "coreos2").address = "10.0.2.11";
    (raw.images ?? {}).nginx = { name: "nginx", digest: "sha256:12" };
    raw.os = { files: { "/etc/hosts": { content: "x" } } };
    const looked: string[] = [];
    const parse = () =>
      parseStackConfig(raw, [], (images) => {
        looked.push(...Object.keys(images));
        return [{ path: "images.minio.archive", found: "minio.tar", wanted: "an archive" }];
      });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(
      /4 mistakes; .*\n.*images\.nginx\.digest: .*\n.*images\.minio\.archive: .*\n.*coreos2\.address: .*\n.*os\.files\.\/etc\/hosts: /,
    );
    expect(new Set(looked)).toEqual(new Set(["minio", "registry", "haproxy", "keepalived", "etcd"]));
    // And alone it does not go without what is the program's.
    const only = structuredClone(machinesStack());
    only.os = { files: { "/etc/hosts": { content: "x" } } };
    expect(() =>
      parseStackConfig(only, [], () => [{ path: "images.minio.archive", found: "x", wanted: "y" }]),
    ).toThrow(/2 mistakes; .*images\.minio.*os\.files\.\/etc\/hosts/s);
  });

  test("and one mistake is told once", () => {
    expect(mistakes((raw) => (node(raw, "coreos4").disk = "sda"))).toHaveLength(1);
    expect(mistakes((raw) => (node(raw, "coreos4").installer = { port: "x" }))).toHaveLength(1);
    expect(mistakes((raw) => (node(raw, "coreos4").roles = ["worker", "storrage"]))).toHaveLength(1);
    expect(mistakes((raw) => ((raw as Record<string, unknown>).nodes = []))).toEqual(["nodes: []; a map"]);
  });

  test("a missing configuration names every subject that has no default", () => {
    try {
      parseStackConfig({});
      expect.unreachable();
    } catch (error) {
      expect((error as ConfigError).problems.map((one) => one.path)).toEqual(
        expect.arrayContaining(["nodes", "network", "edge", "images"]),
      );
    }
  });
});
