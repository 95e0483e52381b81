import { accessKeyOf } from "@moorage/hosts";
import { beforeAll, describe, expect, test } from "vitest";
import { contentOf, plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { differences, identities, labConfig, recorded, registryOf, standingNodes } from "./parts";
import { storeOf, swarmOf } from "./parts";

function registry(change?: (raw: RawConfig) => void, ...without: string[]): Promise<Recorder> {
  return recorded(() => {
    const config = labConfig(change);
    const nodes = standingNodes(config, ...without);
    const swarm = swarmOf(config, nodes);
    registryOf(config, nodes, swarm, storeOf(config, nodes, swarm));
  });
}

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];

describe("the registry", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await registry()));

  test("is a service on each registry node, a password for each user, and one secret for all", () => {
    expect(recorder.children("registry")).toEqual([
      "PreviousHashes registry-previous-passwords",
      "PreviousKeys registry-previous-keys",
      "RandomPassword registry-http-secret",
      "RandomPassword registry-user-admin",
      "RandomPassword registry-user-reader",
      "RollingOrder registry-order",
      ...nodes.map((node) => `SwarmService registry-${node}`),
    ]);
    expect(recorder.named("registry-user-reader").inputs).toEqual({ length: 32, special: false });
    expect(recorder.children("registry-coreos3")).toEqual([
      "Converged registry-coreos3-converged",
      "Secret registry-coreos3-config",
      "Service registry-coreos3",
    ]);
  });

  test("is changed node by node, where that is a change and no first one", () => {
    const waits = (node: string) =>
      recorder
        .named(`registry-${node}`)
        .dependencies.filter((name) => /^registry-(order|coreos\d-converged)$/.test(name));
    expect(nodes.map(waits)).toEqual([
      ["registry-order"],
      ["registry-coreos1-converged", "registry-order"],
      ["registry-coreos2-converged", "registry-order"],
      ["registry-coreos3-converged", "registry-order"],
    ]);
  });

  test("runs without root on its node, with its configuration as a secret", () => {
    expect(recorder.named("registry-coreos3").inputs).toMatchObject({
      name: "registry-coreos3",
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==coreos3"] },
        containerSpec: {
          image: "image/registry",
          hostname: "registry-coreos3",
          user: "65532",
          env: { OTEL_TRACES_EXPORTER: "none" },
          configs: [],
          secrets: [{ fileName: "/etc/distribution/config.yml", fileMode: 0o400, fileUid: "65532" }],
        },
      },
    });
    expect(secretPaths(recorder.named("registry-coreos3").inputs)).toEqual([]);
    expect(secretPaths(recorder.named("registry-coreos3-config").inputs)).toEqual(["data"]);
  });

  test("finds the bucket through its own node's balancer, and shares the secret for uploads", () => {
    const contents = nodes.map((node) => contentOf(recorder.named(`registry-${node}-config`)));
    contents.forEach((content, at) => {
      expect(content).toContain(`http://s3-${nodes[at]}:9000`);
      expect(content).toContain("private store-registry-key");
      expect(content).toContain("private registry-http-secret");
      expect(content.replaceAll(nodes[at] ?? "", "N")).toBe(contents[0]?.replaceAll("coreos1", "N"));
    });
  });

  test("starts once the bucket is there, and every balancer leads to it", () => {
    expect(recorder.named("registry-coreos3").dependencies).toEqual(
      expect.arrayContaining(["store-bucket", ...nodes.map((node) => `s3-${node}-converged`)]),
    );
  });

  test("has a name of its own for each key of the store, and gives up others once every registry has it", () => {
    const accessKey = accessKeyOf("registry", "private store-registry-key");
    for (const node of nodes) {
      expect(contentOf(recorder.named(`registry-${node}-config`))).toContain(`accesskey: "${accessKey}"`);
      // The store has the new user before the first registry goes over to it.
      expect(recorder.named(`registry-${node}`).dependencies).toContain("store-bucket");
    }
    const { inputs, dependencies } = recorder.named("registry-previous-keys");
    expect(dependencies).toEqual(expect.arrayContaining(nodes.map((node) => `registry-${node}-converged`)));
    expect(plain(inputs)).toMatchObject({
      services: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" },
      bucket: "registry",
      rootUser: "private store-root-user",
      rootPassword: "private store-root-password",
      accessKey,
    });
    expect(secretPaths(inputs).filter((path) => !path.endsWith(".privateKey"))).toEqual([
      "rootPassword",
      "rootUser",
    ]);
    // Nothing waits for it: what fails there takes nothing along.
    const waiting = recorder.resources.filter((one) => one.dependencies.includes("registry-previous-keys"));
    expect(waiting).toEqual([]);
  });

  test("begins the time of former passwords once registries are done, so that only fronts are left", () => {
    expect(recorder.named("registry-previous-passwords").dependencies).toEqual(
      expect.arrayContaining(nodes.map((node) => `registry-${node}-converged`)),
    );
  });

  test("has a new user without a new service: the front is who knows users", async () => {
    const more = await registry((raw) => {
      (raw.registry?.users as Record<string, unknown>).guest = { rights: [] };
    });
    expect(differences(recorder, more)).toEqual([
      "+ RandomPassword registry-user-guest",
      "~ PreviousHashes registry-previous-passwords",
    ]);
  });

  test("renames nothing when a node is taken away", async () => {
    const fewer = await registry(undefined, "coreos2");
    expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
  });
});
