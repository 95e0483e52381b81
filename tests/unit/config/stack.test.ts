import * as fs from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../../config";
import { ConfigError } from "../../../config/problem";
import { configurationReference } from "../../../config/reference";
import { parseStackConfig } from "../../../config/stack";
import { project, rawStack } from "../../support/stacks";
import { configWith, mistakesWith, rawWith, testMistakes } from "./mistakes";

describe("the stacks of this repository", () => {
  test.each(["dev", "metal", "virtualbox", "existing"])("%s is valid", (name) => {
    expect(Object.keys(parseStackConfig(rawStack(name)).nodes)).toHaveLength(4);
  });

  test("have defaults for what they leave out", () => {
    const config = configWith({}, "dev");
    expect(config.os.updateStrategy).toBe("off");
    expect(config.storage).toMatchObject({ bucket: "registry", retain: true });
    expect(config.nodes.coreos1?.ssh.port).toBe(2011);
  });
});

test("docs/configuration.md is what the schemas say; `npm run -s docs` writes it", () => {
  const page = fs.readFileSync(path.join(project, "docs", "configuration.md"), "utf8");
  expect(page).toBe(configurationReference());
});

test("a subject with the name of a member of every object is unknown", () => {
  pulumi.runtime.setAllConfig({ "moorage:__proto__": "{}", "moorage:toString": "x", "other:key": "x" });
  expect(loadConfig).toThrow(/moorage:__proto__: found an unknown key/);
  expect(loadConfig).toThrow(/moorage:toString: found an unknown key/);
});

const nodeName =
  "a host name of lower-case letters, digits and hyphens, at most 36 characters, other than localhost";
const noOddManagers =
  "nodes: 2 managers (coreos1, coreos2); an odd number of managers, three or more to survive the loss of one";
const storageNodes = "exactly four nodes with role storage, one drive of the erasure set each";

describe("each mistake is answered with its path, what was found and what is wanted", () => {
  const writers = "at least one user with write access to *, who proves the registry after every update";
  const rights = [{ repositories: "team/*", access: "write" }];

  testMistakes({
    [`registry: ${JSON.stringify({ users: { ci: { rights } } })}`]: `registry.users: ${JSON.stringify({ ci: { rights } })}; ${writers}`,
    "nodes.coreos2.address: 10.0.2.11": "nodes.coreos2.address: 10.0.2.11; another than that of coreos1",
    "nodes.coreos2.ssh: { host: 127.0.0.1, port: 2011 }":
      "nodes.coreos2.ssh: 127.0.0.1:2011; another than that of coreos1",
    "nodes.coreos3.roles: [worker, storage]": noOddManagers,
    "nodes.coreos4.roles: [worker]": `nodes: 3 storage nodes (coreos1, coreos2, coreos3); ${storageNodes}`,
    "edge.vip: 10.0.3.10": "edge.vip: 10.0.3.10; an address in network.subnet (10.0.2.0/24)",
    "edge.vip: 10.0.2.11": "edge.vip: 10.0.2.11; a free address; this one is the address of coreos1",
    "nodes.coreos1.rols: []": "nodes.coreos1.rols: an unknown key; no such key",
    "network.overlay: { subnet: 10.0.0.0/16, encrypted: false }":
      "network.overlay.subnet: 10.0.0.0/16; a subnet that does not overlap network.subnet (10.0.2.0/24)",
    "nodes.coreos1.roles: [manager, storrage]":
      'nodes.coreos1.roles.1: "storrage"; one of manager, worker, storage, registry, edge',
    "images.nginx: { name: nginx, digest: 'sha256:12' }":
      'images.nginx.digest: "sha256:12"; sha256: and 64 hexadecimal digits',
    "images.etcd: ~": "images.etcd: nothing; an image of etcd, as etcd.enabled is true",
    "etcd: { enabled: true, heartbeatMs: 500, electionMs: 2000 }":
      "etcd.electionMs: 2000; 2500 or more, 5 times etcd.heartbeatMs",
    "etcd: { enabled: true, clientPort: 2376 }":
      "etcd.clientPort: 2376; another port than that of Docker's API",
    "etcd: { enabled: true, peerPort: 2379 }":
      "etcd.peerPort: 2379; another port than that of etcd.clientPort",
    "etcd: { enabled: true, clientPort: 443 }": "etcd.clientPort: 443; another port than that of edge.port",
    "etcd: { enabled: true, autoCompaction: { mode: revision, retention: 1h } }":
      'etcd.autoCompaction: {"mode":"revision","retention":"1h"}; a number of revisions such as 1000, as the mode is revision',
    "{ etcd: { clientPort: 443 }, images.etcd: ~ }": [],
    "edge.virtualRouterId: 300": "edge.virtualRouterId: 300; a whole number from 1 to 255",
    "registry.logLevel: loud": 'registry.logLevel: "loud"; one of error, warn, info, debug',
    "nodes.coreos1.dataDisk: ~": "nodes.coreos1.dataDisk: nothing; a device, as the node has role storage",
    "nodes.coreos3.roles: [manager, worker, storage]":
      "nodes.coreos3.roles: manager, worker, storage; either manager or worker, not both and not neither",
    "registry.proxy: { url: 'https://mirror.example.com' }":
      'registry.proxy: {"url":"https://mirror.example.com"}; a pull-through mirror is not supported yet; leave it out',
    "storage: { kind: external }":
      'storage.kind: "external"; only `minio` is supported yet; `external` will follow',
    "nodes.coreos4.disk: sda":
      'nodes.coreos4.disk: "sda"; a device such as /dev/disk/by-id/… (a name that survives a reboot)',
    "nodes.coreos4.installer: { port: x }": 'nodes.coreos4.installer.port: "x"; a TCP port from 1 to 65535',
    "nodes.Node_5: {}": `nodes.Node_5: "Node_5"; ${nodeName}`,
    "nodes.localhost: {}": `nodes.localhost: "localhost"; ${nodeName}`,
    [`nodes.${"n".repeat(37)}: {}`]: `nodes.${"n".repeat(37)}: "${"n".repeat(37)}"; ${nodeName}`,
    "nodes.coreos1.labels: { moorage.storage: 'true', moorage: ours, region: dc1 }":
      'nodes.coreos1.labels.moorage.storage: "moorage.storage"; a label such as region, but none that begins with moorage., as those are the program\'s own',
    "nodes: []": "nodes: []; a map",
    "{ platform: cloud, os.files: { /etc/motd: { content: x } }, os.motd: x }":
      'platform: "cloud"; one of virtualbox, metal, existing',
  });
});

describe("all mistakes are answered at once", () => {
  test("those of single values with those across keys", () => {
    const found = mistakesWith(`
      nodes.coreos1.rols: []
      nodes.coreos2.address: 10.0.2.11
      nodes.coreos3.roles: [worker, storage]
      nodes.coreos9: { roles: [worker, storage] }
      edge: { vip: 10.0.3.10, port: https }
      network: { subnet: 10.0.2.0/24, mtu: 1, overlay: { subnet: 10.0.2.0/25 } }
      netwrk: {}`);
    expect(found.sort()).toEqual([
      'edge.port: "https"; a TCP port from 1 to 65535',
      "edge.vip: 10.0.3.10; an address in network.subnet (10.0.2.0/24)",
      "network.mtu: 1; a whole number from 1280 to 9216",
      "network.overlay.subnet: 10.0.2.0/25; a subnet that does not overlap network.subnet (10.0.2.0/24)",
      "netwrk: an unknown key; one of platform, hypervisor, nodes, os, network, swarm, etcd, storage, registry, edge, images",
      "nodes.coreos1.rols: an unknown key; no such key",
      "nodes.coreos2.address: 10.0.2.11; another than that of coreos1",
      "nodes.coreos9.address: nothing; an IPv4 address such as 10.0.2.11",
      "nodes.coreos9.dataDisk: nothing; a device, as the node has role storage",
      "nodes.coreos9.disk: nothing; the device to install on",
      "nodes.coreos9.installer: nothing; where the live installer is reached",
      noOddManagers,
      `nodes: 5 storage nodes (coreos1, coreos2, coreos3, coreos4, coreos9); ${storageNodes}`,
    ]);
  });

  test("and every subject of an empty configuration that has no default", () => {
    expect(() => parseStackConfig({})).toThrow(
      /nothing was touched[^]*:nodes[^]*:network[^]*:edge[^]*:images/,
    );
  });

  const own = {
    "os.files": { "/etc/motd": { content: "x" }, "/etc/own": { content: "x" } },
    "os.units": { "docker.service": { enabled: true }, "own.service": { content: "[Unit]\n" } },
    "os.motd": "x",
  };
  const collisions = [
    expect.stringMatching(/^os\.files\.\/etc\/motd: a file that the program writes itself;/),
    expect.stringMatching(/^os\.units\.docker\.service: a unit that the program writes itself;/),
  ];

  test.each<[string, unknown, string[]]>([
    ["os.motd", "y", []],
    [
      "nodes.coreos2.address",
      "10.0.2.11",
      ["nodes.coreos2.address: 10.0.2.11; another than that of coreos1"],
    ],
    ["network", "none", ['network: "none"; a map']],
    ["edge.vip", undefined, ["edge.vip: nothing; an IPv4 address such as 10.0.2.11"]],
    [
      "nodes.coreos4",
      { address: 4, roles: [], disk: 1, dataDisk: 1, installer: 1 },
      ["nodes.coreos4.address: 4; an IPv4 address such as 10.0.2.11"],
    ],
    ["etcd", { x: 1 }, ["etcd.x: an unknown key; no such key"]],
    ["os.timezone", "x", ["os.timezone: an unknown key; no such key"]],
  ])("and files and units that are the program's, beside a mistake in %s", (path, value, others) => {
    const found = mistakesWith({ ...own, [path]: value });
    expect(found).toEqual(expect.arrayContaining([...others, ...collisions]));
    if (others.length === 0) expect(found).toHaveLength(collisions.length);
  });

  test("and those of the images' archives", () => {
    const raw = rawWith(`
      nodes.coreos2.address: 10.0.2.11
      images.nginx: { name: nginx, digest: 'sha256:12' }
      os: { files: { /etc/hosts: { content: x } } }`);
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
  });
});
