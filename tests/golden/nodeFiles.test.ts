import {
  computeNoProxy,
  etcdFiles,
  healingFiles,
  keepalivedFiles,
  nodeBaseFiles,
} from "@moorage/render";
import { describe, it } from "vitest";
import { expectGolden, expectVariant, listing } from "./golden";
import { nodes, pem } from "./models";

const noProxy = computeNoProxy({
  nodes: nodes.map(({ name, address }) => ({ name, addresses: [address] })),
  domains: ["example.com"],
  vip: "10.0.2.10",
  serviceNames: ["registry.example.com:5443", "s3.example.com"],
  subnets: ["10.0.2.0/24", "10.20.1.0/24"],
  exclude: ["mirror.example.net"],
});
const tls = { ca: pem("CERTIFICATE"), cert: pem("CERTIFICATE"), key: pem("PRIVATE KEY") };

it("a CoreOS node with everything", () => {
  const files = nodeBaseFiles({
    distribution: "flatcar",
    docker: { apiTls: tls, logMaxSize: "20m", logMaxFile: 5 },
    limits: { tasksMax: 8192, memoryMax: "80%" },
    registryNames: ["registry.example.com:5443", "10.0.2.10:5443"],
    caCertificate: tls.ca,
    proxies: { http: "http://user:p%40ss@proxy.example.com:3128", https: "http://proxy.example.com:3128", exclude: [] },
    noProxy,
    hosts: [...nodes.map(({ name, address }) => ({ address, names: [name, `${name}.example.com`] }))],
    motd: "Just another day!!",
    ntp: ["time.example.com"],
    environment: { COREOS_PRIVATE_IPV4: "10.0.2.11" },
  });
  expectGolden("node-base-flatcar.txt", listing(files));
});

it("a node of Fedora CoreOS, whose Docker is started with other options, and whose clock is set by chrony", () => {
  const files = nodeBaseFiles({
    distribution: "fedora-coreos",
    docker: { apiTls: tls },
    limits: { tasksMax: 8192, memoryMax: "80%" },
    registryNames: ["registry.example.com"],
    caCertificate: tls.ca,
    proxies: { https: "http://proxy.example.com:3128", exclude: [] },
    noProxy: ["localhost"],
    ntp: ["time1.example.com", "time2.example.com"],
    clockTimer: true,
    passwords: [{ name: "usera", passwordHash: "$6$madeup$hash" }],
  });
  expectGolden("node-base-fedora-coreos.txt", listing(files));
});

it("a host that ran before", () => {
  const files = nodeBaseFiles({
    docker: { cgroupDriver: "cgroupfs" },
    limits: { tasksMax: 8192 },
    registryNames: ["registry.example.com"],
    caCertificate: tls.ca,
    proxies: { https: "http://proxy.example.com:3128", exclude: [] },
    noProxy: ["localhost"],
  });
  expectGolden("node-base-existing.txt", listing(files));
});

it("keepalived", () => {
  const files = keepalivedFiles({
    node: "coreos1",
    interface: "eth0",
    address: "10.0.2.11",
    vip: "10.0.2.10",
    peers: ["10.0.2.12", "10.0.2.13", "10.0.2.14"],
    priority: 200,
    virtualRouterId: 51,
    image: `sha256:${"a".repeat(64)}`,
  });
  expectGolden("keepalived.txt", listing(files));
});

describe("a member of etcd", () => {
  const member = {
    node: "coreos1",
    image: `sha256:${"b".repeat(64)}`,
    clientAddress: "10.0.2.11",
    peerAddress: "10.0.2.11",
    clientPort: 2379,
    peerPort: 2380,
    token: "moorage-0123456789abcdef",
    dataFolder: "/var/lib/moorage/data/etcd",
    mountPoint: "/var/lib/moorage/data",
    heartbeatMs: 250,
    electionMs: 2500,
    quotaMiB: 2048,
    compaction: { mode: "periodic", retention: "1h" },
    ca: tls.ca,
    certificate: tls.cert,
    key: tls.key,
  } as const;

  it("at its node's address", () => {
    expectGolden("etcd.txt", listing(etcdFiles(member)));
  });

  it("for clients at one address and for its peers at another, on ports of their own", () => {
    const elsewhere = { clientAddress: "10.30.0.11", peerAddress: "10.31.0.11", clientPort: 12379, peerPort: 12380 };
    const variant = listing(etcdFiles({ ...member, ...elsewhere }));
    expectVariant("etcd-elsewhere.txt", listing(etcdFiles(member)), variant);
  });
});

it("the healing of MinIO's objects", () => {
  const files = healingFiles({
    service: "minio-coreos1",
    drives: 4,
    everySeconds: 86_400,
    rootUserFile: "/run/secrets/root-user",
    rootPasswordFile: "/run/secrets/root-password",
  });
  expectGolden("healing.txt", listing(files));
});
