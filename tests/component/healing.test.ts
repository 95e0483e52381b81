import { beforeAll, describe, expect, test } from "vitest";
import { nodesWithRole } from "../../components/nodes";
import { Healing } from "../../components/storage/healing";
import { plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { labConfig, recorded, standingNodes, storeOf, swarmOf, type StandingNodes } from "./parts";

function healing(change?: (raw: RawConfig) => void, ...without: string[]): Promise<Recorder> {
  return recorded(() => {
    const config = labConfig(change);
    const nodes = standingNodes(config, ...without);
    const swarm = swarmOf(config, nodes);
    new Healing("healing", {
      swarm,
      healing: config.storage.healing,
      store: storeOf(config, nodes, swarm),
      nodes: nodesWithRole(nodes, "storage") as StandingNodes,
    });
  });
}

describe("healing", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await healing()));

  test("is a unit on the first storage node, once the store is there", () => {
    expect(recorder.children("healing")).toEqual(["NodeFilesPart healing-coreos1"]);
    const { inputs, dependencies } = recorder.named("healing-coreos1");
    expect(inputs).toMatchObject({ part: "healing", connection: { node: "coreos1" } });
    expect(dependencies).toContain("store-bucket");
    expect(secretPaths(inputs)).toEqual(["connection.privateKey"]);
  });

  test("asks that node's MinIO, and waits for as many drives as there are storage nodes", () => {
    const { files } = plain(recorder.named("healing-coreos1").inputs) as {
      files: Record<string, { content: string }>;
    };
    const script = files["/etc/moorage/healing"]?.content ?? "";
    expect(script).toMatch(/^service=minio-coreos1\nall=4$/m);
    expect(script).toMatch(/^every=86400$/m);
  });

  test("moves to the next one when its node is taken away, and is left out where it is not wanted", async () => {
    const front = (raw: RawConfig) =>
      Object.assign(raw.nodes?.coreos1 as object, { roles: ["manager", "registry", "edge"] });
    const moved = await healing((raw) => {
      front(raw);
      Object.assign(raw.nodes ?? {}, {
        store5: {
          ...(raw.nodes?.coreos4 as object),
          address: "10.0.2.15",
          ssh: { host: "127.0.0.1", port: 2015 },
          installer: { host: "127.0.0.1", port: 2015 },
        },
      });
    });
    expect(moved.children("healing")).toEqual(["NodeFilesPart healing-coreos2"]);
    const off = await healing((raw) => Object.assign(raw, { storage: { healing: { enabled: false } } }));
    expect(off.children("healing")).toEqual([]);
  });
});
