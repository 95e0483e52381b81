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

  test("is MinIO on each storage node, the bucket, and the registry's user", () => {
    expect(recorder.children("store")).toEqual([
      "Bucket store-bucket",
      "RandomPassword store-registry-key",
      "RandomPassword store-root-password",
      "RandomPassword store-root-user",
      "StorageUser store-user",
      ...nodes.map((node) => `SwarmService minio-${node}`),
    ]);
    expect(recorder.children("minio-coreos2")).toEqual([
      "Converged minio-coreos2-converged",
      "Secret minio-coreos2-root-password",
      "Secret minio-coreos2-root-user",
      "Service minio-coreos2",
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
            { type: "bind", source: "/var/lib/moorage/data/minio", target: "/data", readOnly: false },
          ]),
        },
      },
    });
  });

  test("changes all members of MinIO together, and says what that interrupts", () => {
    for (const node of nodes) {
      const { dependencies } = recorder.named(`minio-${node}`);
      expect(dependencies.filter((name) => /^(minio|store)-.*converged$/.test(name))).toEqual([]);
      expect(recorder.named(`minio-${node}-converged`).inputs.interrupts).toMatch(/pushes get 503/);
    }
  });

  test("gives MinIO its root user as Docker secrets", () => {
    expect(contentOf(recorder.named("minio-coreos2-root-user"))).toBe("private store-root-user");
    expect(contentOf(recorder.named("minio-coreos2-root-password"))).toBe("private store-root-password");
    expect(secretPaths(recorder.named("minio-coreos2-root-user").inputs)).toEqual(["data"]);
    expect(secretPaths(recorder.named("minio-coreos2").inputs)).toEqual([]);
  });

  test("creates the bucket once MinIO runs everywhere, then a user with keys of the registry's own", () => {
    const common = {
      services: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" },
      bucket: "registry",
      rootUser: "private store-root-user",
      rootPassword: "private store-root-password",
      timeoutSeconds: 300,
    };
    const bucket = recorder.named("store-bucket");
    expect(plain(bucket.inputs)).toMatchObject({ ...common, retain: true });
    expect(bucket.dependencies).toEqual(
      expect.arrayContaining(nodes.map((node) => `minio-${node}-converged`)),
    );
    const user = recorder.named("store-user");
    expect(plain(user.inputs)).toMatchObject({
      ...common,
      accessKey: accessKeyOf("registry", "private store-registry-key"),
      secretKey: "private store-registry-key",
    });
    expect(secretPaths(user.inputs)).toEqual(
      expect.arrayContaining(["rootPassword", "rootUser", "secretKey"]),
    );
    expect(secretPaths(user.inputs)).not.toContain("accessKey");
    expect(user.dependencies).toContain("store-bucket");
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

  test("is a timer on the first storage node, which knows the number of drives, once the store is there", async () => {
    const recorder = await healing();
    expect(recorder.children("healing")).toEqual(["NodeFilesPart healing-coreos1"]);
    const { inputs, dependencies } = recorder.named("healing-coreos1");
    expect(inputs).toMatchObject({ part: "healing", connection: { node: "coreos1" } });
    expect(dependencies).toContain("store-bucket");
    expect(secretPaths(inputs)).toEqual(["connection.privateKey"]);
    const settings = fileOf(recorder, "healing-coreos1", "/etc/moorage/healing/heal.env");
    expect(settings).toMatch(/^SERVICE=minio-coreos1\nDRIVES=4\nEVERY_SECONDS=86400$/m);
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
