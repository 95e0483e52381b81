import { beforeAll, describe, expect, test } from "vitest";
import { Acceptance } from "../../components/acceptance/acceptance";
import { plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import {
  edgeOf,
  identities,
  labConfig,
  recorded,
  registryOf,
  standingNodes,
  storeOf,
  swarmOf,
} from "./parts";

function acceptance(change?: (raw: RawConfig) => void, ...without: string[]): Promise<Recorder> {
  return recorded(() => {
    const config = labConfig(change);
    const nodes = standingNodes(config, ...without);
    const swarm = swarmOf(config, nodes);
    const store = storeOf(config, nodes, swarm);
    const registry = registryOf(config, nodes, swarm, store);
    new Acceptance("acceptance", {
      swarm,
      store,
      registry,
      ...edgeOf(config, nodes, swarm, store, registry),
      config: config.edge,
      nodes: Object.values(nodes).map(({ machine }) => machine.connection),
    });
  });
}

describe("acceptance", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await acceptance()));

  test("is the checks, and the sweep after them", () => {
    expect(recorder.children("acceptance")).toEqual([
      "AcceptanceChecks acceptance-checks",
      "Swept acceptance-sweep",
    ]);
    expect(recorder.named("acceptance-sweep").dependencies).toContain("acceptance-checks");
    expect(recorder.named("acceptance-sweep").inputs).toMatchObject({
      label: "moorage.stack=moorage/dev",
      stack: "organization/moorage/dev",
    });
    expect(recorder.outputs.get("acceptance")).toEqual({ report: [{ name: "push", passed: true }] });
  });

  test("tries the registry as a user who may write everything, whoever comes before", async () => {
    const before = { aaron: { rights: [{ repositories: "public/*", access: "write" }] } };
    const { inputs } = (
      await acceptance((raw) => {
        const registry = raw.registry as { users: object };
        registry.users = { ...before, ...registry.users };
      })
    ).named("acceptance-checks");
    expect(inputs.username).toBe("admin");
  });

  test("tries it from every node", () => {
    const { inputs } = recorder.named("acceptance-checks");
    expect(plain(inputs)).toMatchObject({
      registryAddress: "10.0.2.10",
      registryPort: 443,
      registryName: "10.0.2.10",
      caCertificate: "certificate ca-certificate",
      username: "admin",
      password: "private registry-user-admin",
      storageServices: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" },
      timeoutSeconds: 180,
    });
    expect((inputs.nodes as { node: string }[]).map((one) => one.node)).toEqual([
      "coreos1",
      "coreos2",
      "coreos3",
      "coreos4",
    ]);
    expect(secretPaths(inputs).filter((path) => !path.endsWith(".privateKey"))).toEqual(["password"]);
  });

  test("waits for the bucket, the balancers, nginx and the registry's address", () => {
    expect(recorder.named("acceptance-checks").dependencies).toEqual(
      expect.arrayContaining([
        "store-bucket",
        "nginx-converged",
        ...[1, 2, 3, 4].flatMap((at) => [`s3-coreos${at}-converged`, `edge-keepalived-coreos${at}`]),
      ]),
    );
  });

  test("is done again when any service changes, and else not", async () => {
    const fingerprint = (from: Recorder) => from.named("acceptance-checks").inputs.fingerprint;
    const changes: ((raw: RawConfig) => void)[] = [
      (raw) => Object.assign(raw.edge ?? {}, { proxyTimeoutSeconds: 1234 }),
      (raw) => (raw.registry = { ...raw.registry, logLevel: "debug" }),
      (raw) => (raw.storage = { bucket: "elsewhere" }),
    ];
    for (const change of changes) {
      expect(fingerprint(await acceptance(change))).not.toBe(fingerprint(recorder));
    }
    expect(fingerprint(await acceptance())).toBe(fingerprint(recorder));
    expect(recorder.named("acceptance-sweep").inputs.fingerprint).toBe(fingerprint(recorder));
  });

  test("renames nothing when a node is taken away", async () => {
    const fewer = await acceptance(undefined, "coreos2");
    expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
  });
});
