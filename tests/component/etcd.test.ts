import { beforeAll, describe, expect, test } from "vitest";
import { Etcd } from "../../components/etcd/etcd";
import { nodesWithRole } from "../../components/nodes";
import { CertificateAuthority } from "../../components/pki";
import { plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import {
  differences,
  identities,
  labConfig,
  recorded,
  standingNodes,
  swarmOf,
  type StandingNodes,
} from "./parts";

function etcd(change?: (raw: RawConfig) => void, ...without: string[]): Promise<Recorder> {
  return recorded(() => {
    const config = labConfig(change);
    const nodes = standingNodes(config, ...without);
    const swarm = swarmOf(config, nodes);
    new Etcd("etcd", {
      etcd: config.etcd,
      nodes: nodesWithRole(nodes, "manager") as StandingNodes,
      authority: new CertificateAuthority("ca", { commonName: "Moorage test" }),
      image: "image/etcd",
      mountPoint: config.storage.mountPoint,
      after: (node) => swarm.before(node, swarm.ready),
    });
  });
}

const node = (raw: RawConfig, name: string) => raw.nodes?.[name] as Record<string, unknown>;

function settingsOf(recorder: Recorder, name: string): Record<string, string> {
  const { files } = plain(recorder.named(`etcd-${name}`).inputs) as {
    files: Record<string, { content: string }>;
  };
  const lines = (files["/etc/moorage/etcd/member.env"]?.content ?? "").trim().split("\n");
  return Object.fromEntries(lines.map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]));
}

describe("etcd", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await etcd()));

  test("is a unit on every manager, and one cluster after all of them", () => {
    expect(recorder.children("etcd")).toEqual([
      "EtcdCluster etcd-cluster",
      "NodeFilesPart etcd-coreos1",
      "NodeFilesPart etcd-coreos2",
      "NodeFilesPart etcd-coreos3",
      "RandomId etcd-token",
    ]);
    const { inputs, dependencies } = recorder.named("etcd-cluster");
    expect(dependencies).toEqual(expect.arrayContaining(["etcd-coreos1", "etcd-coreos2", "etcd-coreos3"]));
    expect(plain(inputs)).toMatchObject({
      members: {
        coreos2: {
          connection: { node: "coreos2", host: "10.0.2.12" },
          clientUrl: "https://10.0.2.12:2379",
          peerUrl: "https://10.0.2.12:2380",
        },
      },
      script: "/etc/moorage/etcd/member",
      caCertificate: "certificate ca-certificate",
      clientCertificate: "certificate ca-etcd-operator-certificate",
    });
    expect(recorder.outputs.get("etcd")).toEqual({
      endpoints: ["https://10.0.2.11:2379", "https://10.0.2.12:2379", "https://10.0.2.13:2379"],
    });
  });

  test("waits for the whole Swarm", () => {
    for (const name of ["coreos1", "coreos2", "coreos3"]) {
      expect(recorder.named(`etcd-${name}`).dependencies).toEqual(
        expect.arrayContaining([
          "swarm-coreos1",
          "swarm-coreos2",
          "swarm-coreos3",
          "swarm-coreos4",
          "swarm-services",
        ]),
      );
    }
  });

  test("gives each member a certificate for its own address, as server and as client", () => {
    expect(plain(recorder.named("ca-etcd-coreos2-request").inputs)).toMatchObject({
      subject: { commonName: "coreos2" },
      dnsNames: ["coreos2", "localhost"],
      ipAddresses: ["10.0.2.12", "127.0.0.1"],
    });
    expect(plain(recorder.named("ca-etcd-coreos2-certificate").inputs)).toMatchObject({
      allowedUses: ["digital_signature", "server_auth", "client_auth"],
    });
    expect(plain(recorder.named("ca-etcd-operator-certificate").inputs)).toMatchObject({
      allowedUses: ["digital_signature", "client_auth"],
    });
  });

  test("keeps keys secret, readable by root alone, and shows the rest", () => {
    const { inputs } = recorder.named("etcd-coreos1");
    expect(secretPaths(inputs)).toEqual([
      "connection.privateKey",
      "files.[/etc/moorage/etcd/member-key.pem].content",
    ]);
    expect(plain(inputs)).toMatchObject({
      part: "etcd",
      files: { "/etc/moorage/etcd/member-key.pem": { mode: 0o600, content: "private ca-etcd-coreos1-key" } },
      units: {
        "moorage-etcd.service": {
          enabled: true,
          dropIns: { "timeout.conf": "[Service]\nTimeoutStartSec=0\n" },
        },
      },
    });
    expect(secretPaths(recorder.named("etcd-cluster").inputs)).toEqual([
      "clientKey",
      "members.coreos1.connection.privateKey",
      "members.coreos2.connection.privateKey",
      "members.coreos3.connection.privateKey",
    ]);
  });

  test("has its addresses and ports from the configuration", async () => {
    const changed = await etcd((raw) => {
      raw.etcd = {
        enabled: true,
        clientPort: 12379,
        peerPort: 12380,
        heartbeatMs: 100,
        electionMs: 1000,
        quotaMiB: 64,
      };
      node(raw, "coreos2").advertiseAddr = "10.0.9.12";
    });
    expect(settingsOf(changed, "coreos2")).toMatchObject({
      ETCD_LISTEN_CLIENT_URLS: "https://10.0.9.12:12379",
      ETCD_ADVERTISE_CLIENT_URLS: "https://10.0.9.12:12379",
      ETCD_LISTEN_PEER_URLS: "https://10.0.9.12:12380",
      ETCD_INITIAL_ADVERTISE_PEER_URLS: "https://10.0.9.12:12380",
      ETCD_HEARTBEAT_INTERVAL: "100",
      ETCD_ELECTION_TIMEOUT: "1000",
      ETCD_QUOTA_BACKEND_BYTES: "67108864",
    });
    expect(changed.outputs.get("etcd")).toMatchObject({
      endpoints: expect.arrayContaining(["https://10.0.9.12:12379"]) as unknown,
    });
  });

  test("has addresses of its own for clients and for members, all of which its certificate is for", async () => {
    const changed = await etcd((raw) => {
      node(raw, "coreos2").vlans = { v3000: { id: 3000, address: "10.30.0.12/24" } };
      node(raw, "coreos2").etcd = {
        advertisePeerAddr: "10.30.0.12",
        listenClientAddrs: ["10.0.2.12", "127.0.0.1"],
        listenPeerAddrs: ["0.0.0.0"],
      };
    });
    expect(settingsOf(changed, "coreos2")).toMatchObject({
      ETCD_LISTEN_CLIENT_URLS: "https://10.0.2.12:2379,https://127.0.0.1:2379",
      ETCD_ADVERTISE_CLIENT_URLS: "https://10.0.2.12:2379",
      ETCD_LISTEN_PEER_URLS: "https://0.0.0.0:2380",
      ETCD_INITIAL_ADVERTISE_PEER_URLS: "https://10.30.0.12:2380",
      ETCDCTL_ENDPOINTS: "https://10.0.2.12:2379",
    });
    expect(plain(changed.named("etcd-cluster").inputs)).toMatchObject({
      members: {
        coreos2: { clientUrl: "https://10.0.2.12:2379", peerUrl: "https://10.30.0.12:2380" },
      },
    });
    expect(plain(changed.named("ca-etcd-coreos2-request").inputs)).toMatchObject({
      ipAddresses: ["10.30.0.12", "10.0.2.12", "127.0.0.1"],
    });
  });

  test("has its data on the data disk where there is one, beside MinIO's", async () => {
    expect(settingsOf(recorder, "coreos1").ETCD_DATA_DIR).toBe("/var/lib/moorage/data/etcd/store");
    const without = await etcd((raw) => {
      raw.platform = "existing" as never;
      delete raw.os;
      for (const name of ["coreos1", "coreos2", "coreos3", "coreos4"]) {
        const changed = node(raw, name);
        for (const key of ["dataDisk", "disk", "installer"]) delete changed[key];
        changed.dataDirectory = "/srv/minio";
      }
    });
    expect(settingsOf(without, "coreos1").ETCD_DATA_DIR).toBe("/var/lib/moorage/etcd/store");
  });

  test("changes the members' settings and the cluster for another quota, and nothing else", async () => {
    const larger = await etcd((raw) => (raw.etcd = { enabled: true, quotaMiB: 4096 }));
    expect(differences(recorder, larger)).toEqual([
      "~ EtcdCluster etcd-cluster",
      "~ NodeFilesPart etcd-coreos1",
      "~ NodeFilesPart etcd-coreos2",
      "~ NodeFilesPart etcd-coreos3",
    ]);
  });

  test("has another node's member in the place of one that is no manager any more, and touches no other", async () => {
    const other = await etcd((raw) => {
      node(raw, "coreos2").roles = ["worker", "storage", "registry", "edge"];
      node(raw, "coreos4").roles = ["manager", "storage", "registry", "edge"];
    });
    const parts = differences(recorder, other).filter((one) => /NodeFilesPart|EtcdCluster/.test(one));
    expect(parts).toEqual([
      "+ NodeFilesPart etcd-coreos4",
      "- NodeFilesPart etcd-coreos2",
      "~ EtcdCluster etcd-cluster",
    ]);
    const { members } = plain(other.named("etcd-cluster").inputs) as { members: object };
    expect(Object.keys(members)).toEqual(["coreos1", "coreos3", "coreos4"]);
  });

  test("renames nothing when a node is taken away", async () => {
    const fewer = await etcd(undefined, "coreos2");
    const others = identities(recorder).filter((one) => !one.includes("coreos2"));
    expect(identities(fewer)).toEqual(others);
  });
});
