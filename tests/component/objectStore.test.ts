import { accessKeyOf } from "@moorage/hosts";
import { beforeAll, describe, expect, test } from "vitest";
import { contentOf, plain, secretPaths, type Recorder } from "../support/mocks";
import { identities, labConfig, recorded, standingNodes, storeOf, swarmOf } from "./parts";

const elsewhere = {
  address: "10.0.2.15",
  ssh: { host: "127.0.0.1", port: 2015 },
  installer: { host: "127.0.0.1", port: 2015 },
  roles: ["worker", "registry", "edge"],
};

const config = labConfig((raw) => {
  // One registry node without storage, one storage node without registry.
  Object.assign(raw.nodes?.coreos4 as object, { roles: ["worker", "storage", "edge"] });
  Object.assign(raw.nodes ?? {}, { front: { ...(raw.nodes?.coreos4 as object), ...elsewhere } });
});
function store(...without: string[]): Promise<Recorder> {
  return recorded(() => {
    const nodes = standingNodes(config, ...without);
    storeOf(config, nodes, swarmOf(config, nodes));
  });
}

describe("the object store", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await store()));

  test("is MinIO on each storage node, a balancer for each registry node, and the bucket", () => {
    expect(recorder.children("store")).toEqual([
      "Bucket store-bucket",
      "RandomPassword store-registry-key",
      "RandomPassword store-root-password",
      "RandomPassword store-root-user",
      "RollingOrder store-balancers-order",
      "StorageOrder store-order",
      ...["coreos1", "coreos2", "coreos3", "coreos4"].map((node) => `SwarmService minio-${node}`),
      ...["coreos1", "coreos2", "coreos3", "front"].map((node) => `SwarmService s3-${node}`),
    ]);
    expect(recorder.children("minio-coreos2")).toEqual([
      "Converged minio-coreos2-converged",
      "Secret minio-coreos2-root-password",
      "Secret minio-coreos2-root-user",
      "Service minio-coreos2",
      "StorageTurn minio-coreos2-turn",
    ]);
    expect(recorder.children("s3-front")).toEqual([
      "Converged s3-front-converged",
      "Service s3-front",
      "ServiceConfig s3-front-config",
    ]);
  });

  test("keeps each MinIO on its node, with the node's disk, and names all four to it", () => {
    expect(recorder.named("minio-coreos2").inputs).toMatchObject({
      mode: { replicated: { replicas: 1 } },
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==coreos2"] },
        containerSpec: {
          image: "image/minio",
          hostname: "minio-coreos2",
          args: expect.arrayContaining(
            ["coreos1", "coreos2", "coreos3", "coreos4"].map((node) => `http://minio-${node}:9000/data`),
          ),
          env: { MINIO_ROOT_PASSWORD_FILE: "/run/secrets/root-password", MINIO_CONN_USER_TIMEOUT: "0s" },
          sysctl: { "net.ipv4.tcp_retries2": "2", "net.ipv4.tcp_syn_retries": "1" },
          mounts: expect.arrayContaining([
            { type: "bind", source: "/var/lib/moorage/data/minio", target: "/data" },
          ]),
        },
      },
    });
  });

  test("changes one member of MinIO after the other, where that is how it may be done", () => {
    const after = (node: string) =>
      recorder.named(`minio-${node}-turn`).dependencies.filter((name) => /^(minio-|store-order)/.test(name));
    expect(
      ["coreos1", "coreos2", "coreos3", "coreos4"]
        .map(after)
        .map((names) => names.filter((name) => !/-root-/.test(name))),
    ).toEqual([
      ["store-order"],
      ["minio-coreos1-converged", "store-order"],
      ["minio-coreos2-converged", "store-order"],
      ["minio-coreos3-converged", "store-order"],
    ]);
    expect(recorder.named("minio-coreos2").dependencies).toContain("minio-coreos2-turn");
    expect(recorder.named("minio-coreos2-turn").inputs).toMatchObject({ node: "coreos2", oneByOne: true });
    expect(secretPaths(recorder.named("store-order").inputs)).toContain("common");
  });

  test("gives MinIO its root user as Docker secrets", () => {
    expect(contentOf(recorder.named("minio-coreos2-root-user"))).toBe("private store-root-user");
    expect(contentOf(recorder.named("minio-coreos2-root-password"))).toBe("private store-root-password");
    expect(secretPaths(recorder.named("minio-coreos2-root-user").inputs)).toEqual(["data"]);
    expect(secretPaths(recorder.named("minio-coreos2").inputs)).toEqual([]);
  });

  test("leads each registry to its own node's MinIO first, where there is one", () => {
    const order = (name: string) =>
      (contentOf(recorder.named(name)).split("\nbackend minio\n")[1]?.split("\nbackend ")[0] ?? "")
        .split("\n")
        .filter((line) => /^\s+server /.test(line))
        .map((line) => line.trim().split(/\s+/)[1]);
    const [first, ...others] = order("s3-coreos2-config");
    expect(first).toBe("minio-coreos2");
    expect(others).toHaveLength(3);
    expect(order("s3-front-config")).toHaveLength(4);
    const way = (name: string) =>
      /\nbackend minio\n[^]*?balance (\w+)/.exec(contentOf(recorder.named(name)))?.[1];
    expect([way("s3-coreos2-config"), way("s3-front-config")]).toEqual(["first", "leastconn"]);
    expect(secretPaths(recorder.named("s3-front-config").inputs)).toEqual([]);
    expect(recorder.named("s3-front").inputs).toMatchObject({
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==front"] },
        containerSpec: { image: "image/haproxy", hostname: "s3-front", user: "haproxy" },
      },
    });
  });

  test("makes the bucket once MinIO runs everywhere, with keys of its own for the registry", () => {
    const { inputs, dependencies } = recorder.named("store-bucket");
    expect(plain(inputs)).toMatchObject({
      services: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" },
      bucket: "registry",
      rootUser: "private store-root-user",
      rootPassword: "private store-root-password",
      accessKey: accessKeyOf("registry", "private store-registry-key"),
      secretKey: "private store-registry-key",
      retain: true,
      timeoutSeconds: 300,
    });
    expect(secretPaths(inputs)).toEqual(
      [
        "rootUser",
        "rootPassword",
        "secretKey",
        ...[0, 1, 2, 3].map((at) => `storageNodes.${at}.privateKey`),
      ].sort(),
    );
    expect(dependencies).toEqual(
      expect.arrayContaining([1, 2, 3, 4].map((at) => `minio-coreos${at}-converged`)),
    );
  });

  test("renames nothing when a node is taken away", async () => {
    const fewer = await store("coreos2");
    expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
  });
});
