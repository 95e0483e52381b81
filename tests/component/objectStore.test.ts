import { accessKeyOf } from "@moorage/hosts";
import { beforeAll, describe, expect, test } from "vitest";
import { Healing } from "../../components/storage/healing";
import { contentOf, plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { identities, onSwarm, storeOf, withRole, type Change } from "./parts";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];
const elsewhere = {
  address: "10.0.2.15",
  ssh: { host: "127.0.0.1", port: 2015 },
  installer: { host: "127.0.0.1", port: 2015 },
};

/** One node has a registry and no storage, one storage and no registry. */
function apart({ nodes: all = {} }: RawConfig): void {
  Object.assign(all.coreos4 as object, { roles: ["worker", "storage", "edge"] });
  all.front = { ...(all.coreos4 as object), ...elsewhere, roles: ["worker", "registry", "edge"] };
}

const store = (...without: string[]): Promise<Recorder> => onSwarm(storeOf, apart, ...without);

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
      ...nodes.map((node) => `SwarmService minio-${node}`),
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

  test("keeps each MinIO on its node, with the node's disk and the addresses of all four", () => {
    expect(recorder.named("minio-coreos2").inputs).toMatchObject({
      mode: { replicated: { replicas: 1 } },
      updateConfig: { order: "stop-first", failureAction: "pause" },
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==coreos2"] },
        containerSpec: {
          image: "image/minio",
          hostname: "minio-coreos2",
          healthcheck: { interval: "5s", timeout: "3s", retries: 3, startPeriod: "30s" },
          stopGracePeriod: "10s",
          args: expect.arrayContaining(nodes.map((node) => `http://minio-${node}:9000/data`)),
          env: { MINIO_ROOT_PASSWORD_FILE: "/run/secrets/root-password", MINIO_CONN_USER_TIMEOUT: "0s" },
          sysctl: { "net.ipv4.tcp_retries2": "2", "net.ipv4.tcp_syn_retries": "1" },
          mounts: expect.arrayContaining([
            { type: "bind", source: "/var/lib/moorage/data/minio", target: "/data" },
          ]),
        },
      },
    });
  });

  test("changes one member of MinIO after the other", () => {
    const orderOf = (node: string) =>
      recorder
        .named(`minio-${node}-turn`)
        .dependencies.filter((name) => /^(minio-\w+-converged|store-order)$/.test(name));
    expect(nodes.map(orderOf)).toEqual([
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

  test("leads each registry to the MinIO of its own node first, if there is one", () => {
    const balancer = (name: string) => {
      const [, backend = ""] = contentOf(recorder.named(`${name}-config`)).split("\nbackend minio\n");
      const [text = ""] = backend.split("\nbackend ");
      const servers = [...text.matchAll(/^\s+server (\S+)/gm)].map(([, server]) => server);
      return { servers, balance: /balance (\w+)/.exec(text)?.[1] };
    };
    const { servers, balance } = balancer("s3-coreos2");
    expect([servers.length, servers[0], balance]).toEqual([4, "minio-coreos2", "first"]);
    expect(balancer("s3-front")).toMatchObject({ servers: { length: 4 }, balance: "leastconn" });
    expect(secretPaths(recorder.named("s3-front-config").inputs)).toEqual([]);
    expect(recorder.named("s3-front").inputs).toMatchObject({
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==front"] },
        containerSpec: { image: "image/haproxy", hostname: "s3-front", user: "haproxy" },
      },
    });
  });

  test("creates the bucket once MinIO runs everywhere, with keys of the registry's own", () => {
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
    expect(secretPaths(inputs)).toEqual([
      "rootPassword",
      "rootUser",
      "secretKey",
      ...[0, 1, 2, 3].map((at) => `storageNodes.${at}.privateKey`),
    ]);
    expect(dependencies).toEqual(expect.arrayContaining(nodes.map((node) => `minio-${node}-converged`)));
  });

  test("keeps the names of the others when a node leaves", async () => {
    const fewer = await store("coreos2");
    expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
  });
});

/** The content of a file that a part puts on a node. */
function fileOf(recorder: Recorder, part: string, file: string): string {
  const { files } = plain(recorder.named(part).inputs) as { files: Record<string, { content: string }> };
  return files[file]?.content ?? "";
}

describe("healing", () => {
  const healing = (change?: Change): Promise<Recorder> =>
    onSwarm((on) => {
      const { config, nodes: all, swarm } = on;
      const args = { swarm, healing: config.storage.healing, store: storeOf(on) };
      new Healing("healing", { ...args, nodes: withRole(all, "storage") });
    }, change);

  test("is a unit on the first storage node, which knows the number of drives, once the store is there", async () => {
    const recorder = await healing();
    expect(recorder.children("healing")).toEqual(["NodeFilesPart healing-coreos1"]);
    const { inputs, dependencies } = recorder.named("healing-coreos1");
    expect(inputs).toMatchObject({ part: "healing", connection: { node: "coreos1" } });
    expect(dependencies).toContain("store-bucket");
    expect(secretPaths(inputs)).toEqual(["connection.privateKey"]);
    const script = fileOf(recorder, "healing-coreos1", "/etc/moorage/healing");
    expect(script).toMatch(/^service=minio-coreos1\nall=4$/m);
    expect(script).toMatch(/^every=86400$/m);
  });

  test("moves to the next storage node when its node has no storage any more", async () => {
    const moved = await healing(({ nodes: all = {} }) => {
      all.store5 = { ...(all.coreos4 as object), ...elsewhere };
      Object.assign(all.coreos1 as object, { roles: ["manager", "registry", "edge"] });
    });
    expect(moved.children("healing")).toEqual(["NodeFilesPart healing-coreos2"]);
  });

  test("is left out if it is off", async () => {
    const off = await healing((raw) => void (raw.storage = { healing: { enabled: false } }));
    expect(off.children("healing")).toEqual([]);
  });
});
