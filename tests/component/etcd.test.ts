import { beforeAll, describe, expect, test } from "vitest";
import { Etcd } from "../../components/etcd/etcd";
import { CertificateAuthority } from "../../components/pki";
import { plain, secretPaths, shown, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { differences, identities, onSwarm, recorded, withRole, type Change } from "./parts";

function etcd(change?: Change, ...without: string[]): Promise<Recorder> {
  return onSwarm(
    ({ config, nodes, swarm }) => {
      new Etcd("etcd", {
        etcd: config.etcd,
        nodes: withRole(nodes, "manager"),
        issuer: new CertificateAuthority("ca", { commonName: "Moorage test" }).etcd,
        image: "image/etcd",
        mountPoint: config.storage.mountPoint,
        after: (node) => swarm.before(node, swarm.ready),
      });
    },
    change,
    ...without,
  );
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
      caCertificate: "certificate ca-etcd-certificate",
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

  test("listens and is reached where the configuration says, and its certificate is for all of that", async () => {
    const changed = await etcd((raw) => {
      raw.etcd = {
        ...{ enabled: true, clientPort: 12379, peerPort: 12380 },
        ...{ heartbeatMs: 100, electionMs: 1000, quotaMiB: 64 },
      };
      node(raw, "coreos1").advertiseAddr = "10.0.9.11";
      node(raw, "coreos2").vlans = { v3000: { id: 3000, address: "10.30.0.12/24" } };
      node(raw, "coreos2").etcd = {
        advertisePeerAddr: "10.30.0.12",
        listenClientAddrs: ["10.0.2.12", "127.0.0.1"],
        listenPeerAddrs: ["0.0.0.0"],
      };
    });
    expect(settingsOf(changed, "coreos1")).toMatchObject({
      ETCD_LISTEN_CLIENT_URLS: "https://10.0.9.11:12379",
      ETCD_ADVERTISE_CLIENT_URLS: "https://10.0.9.11:12379",
      ETCD_LISTEN_PEER_URLS: "https://10.0.9.11:12380",
      ETCD_INITIAL_ADVERTISE_PEER_URLS: "https://10.0.9.11:12380",
      ETCD_HEARTBEAT_INTERVAL: "100",
      ETCD_ELECTION_TIMEOUT: "1000",
      ETCD_QUOTA_BACKEND_BYTES: "67108864",
    });
    expect(settingsOf(changed, "coreos2")).toMatchObject({
      ETCD_LISTEN_CLIENT_URLS: "https://10.0.2.12:12379,https://127.0.0.1:12379",
      ETCD_ADVERTISE_CLIENT_URLS: "https://10.0.2.12:12379",
      ETCD_LISTEN_PEER_URLS: "https://0.0.0.0:12380",
      ETCD_INITIAL_ADVERTISE_PEER_URLS: "https://10.30.0.12:12380",
      ETCDCTL_ENDPOINTS: "https://10.0.2.12:12379",
    });
    expect(plain(changed.named("etcd-cluster").inputs)).toMatchObject({
      members: { coreos2: { clientUrl: "https://10.0.2.12:12379", peerUrl: "https://10.30.0.12:12380" } },
    });
    expect(plain(changed.named("ca-etcd-coreos2-request").inputs)).toMatchObject({
      ipAddresses: ["10.30.0.12", "10.0.2.12", "127.0.0.1"],
    });
    expect(changed.outputs.get("etcd")).toMatchObject({
      endpoints: expect.arrayContaining(["https://10.0.9.11:12379"]) as unknown,
    });
  });

  test("has its data on the data disk if there is one, beside MinIO's", async () => {
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

  test("changes its members' settings and the cluster for another quota, and nothing else", async () => {
    const larger = await etcd((raw) => (raw.etcd = { enabled: true, quotaMiB: 4096 }));
    expect(differences(recorder, larger)).toEqual([
      "~ EtcdCluster etcd-cluster",
      "~ NodeFilesPart etcd-coreos1",
      "~ NodeFilesPart etcd-coreos2",
      "~ NodeFilesPart etcd-coreos3",
    ]);
  });

  test("moves a member to the node that becomes a manager, and changes no other", async () => {
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

  test("keeps the names of the others when a node leaves", async () => {
    const fewer = await etcd(undefined, "coreos2");
    const others = identities(recorder).filter((one) => !one.includes("coreos2"));
    expect(identities(fewer)).toEqual(others);
  });
});

function withLeaf(protect?: boolean) {
  return recorded(() => {
    const authority = new CertificateAuthority("ca", { commonName: "Moorage test", protect });
    authority.front.issue("front", {
      commonName: "registry.example.com",
      dnsNames: ["registry.example.com"],
      ipAddresses: ["10.0.2.10"],
    });
  });
}

describe("the certificate authority", () => {
  test("is three CAs, each a key and a certificate, and each leaf a key, a request and a certificate", async () => {
    expect((await withLeaf()).children("ca")).toEqual([
      "CertRequest ca-front-request",
      "LocallySignedCert ca-front-certificate",
      "PrivateKey ca-docker-key",
      "PrivateKey ca-etcd-key",
      "PrivateKey ca-front-key",
      "PrivateKey ca-key",
      "SelfSignedCert ca-certificate",
      "SelfSignedCert ca-docker-certificate",
      "SelfSignedCert ca-etcd-certificate",
    ]);
  });

  test("signs itself for ten years, and for signing only", async () => {
    const recorder = await withLeaf();
    expect(recorder.named("ca-key").inputs).toEqual({ algorithm: "ECDSA", ecdsaCurve: "P256" });
    expect(plain(recorder.named("ca-certificate").inputs)).toEqual({
      privateKeyPem: "private ca-key",
      subject: { commonName: "Moorage test", organization: "Moorage" },
      isCaCertificate: true,
      setSubjectKeyId: true,
      allowedUses: ["cert_signing", "crl_signing"],
      validityPeriodHours: 87_600,
    });
  });

  test("issues leaves for a year and renews them 90 days before their end", async () => {
    const recorder = await withLeaf();
    expect(plain(recorder.named("ca-front-request").inputs)).toEqual({
      privateKeyPem: "private ca-front-key",
      subject: { commonName: "registry.example.com" },
      dnsNames: ["registry.example.com"],
      ipAddresses: ["10.0.2.10"],
    });
    expect(plain(recorder.named("ca-front-certificate").inputs)).toEqual({
      certRequestPem: "request ca-front-request",
      caPrivateKeyPem: "private ca-key",
      caCertPem: "certificate ca-certificate",
      allowedUses: ["digital_signature", "server_auth"],
      setSubjectKeyId: true,
      validityPeriodHours: 8_760,
      earlyRenewalHours: 2_160,
    });
  });

  test("keeps keys secret, and nothing else", async () => {
    const recorder = await withLeaf();
    const secrets = recorder.resources.map((one) => [one.name, ...secretPaths(one.inputs)].join(" "));
    expect(secrets.filter((line) => line.includes(" ")).sort()).toEqual([
      "ca-certificate privateKeyPem",
      "ca-docker-certificate privateKeyPem",
      "ca-etcd-certificate privateKeyPem",
      "ca-front-certificate caPrivateKeyPem",
      "ca-front-request privateKeyPem",
    ]);
    expect(shown(recorder.outputs.get("ca"))).toEqual({ caCertificatePem: "certificate ca-certificate" });
  });

  test("is protected on demand, with all its CAs; the leaves are not, as they are renewed", async () => {
    const isProtected = async (protect?: boolean) =>
      (await withLeaf(protect)).resources.filter((one) => one.protect).map((one) => one.name);
    expect((await isProtected(true)).sort()).toEqual([
      ...["ca-certificate", "ca-docker-certificate", "ca-docker-key"],
      ...["ca-etcd-certificate", "ca-etcd-key", "ca-key"],
    ]);
    expect(await isProtected()).toEqual([]);
  });

  test("can exist twice under two names", async () => {
    const recorder = await recorded(() => {
      for (const name of ["one", "other"]) {
        new CertificateAuthority(name, { commonName: name }).front.issue("front", { commonName: name });
      }
    });
    expect(recorder.children("other")).toEqual(
      recorder.children("one").map((child) => child.replace("one-", "other-")),
    );
  });
});
