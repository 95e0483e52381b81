import { beforeAll, describe, expect, test } from "vitest";
import { nodesWithRole } from "../../components/nodes";
import { StorageGuard } from "../../components/storage/storageGuard";
import { plain, type Recorder } from "../support/mocks";
import { labConfig, recorded, standingNodes, storeOf, swarmOf, type StandingNodes } from "./parts";

const names = ["coreos1", "coreos2", "coreos3", "coreos4"];

describe("what keeps a silent member of MinIO from holding up the others", () => {
  let recorder: Recorder;
  beforeAll(async () => {
    recorder = await recorded(() => {
      const config = labConfig();
      const nodes = standingNodes(config);
      const swarm = swarmOf(config, nodes);
      new StorageGuard("storage-guard", {
        swarm,
        store: storeOf(config, nodes, swarm),
        nodes: nodesWithRole(nodes, "storage") as StandingNodes,
      });
    });
  });

  test("is a unit on every storage node, once the store is there", () => {
    expect(recorder.children("storage-guard")).toEqual(
      names.map((name) => `NodeFilesPart storage-guard-${name}`),
    );
    for (const name of names) {
      const { inputs, dependencies } = recorder.named(`storage-guard-${name}`);
      expect(inputs).toMatchObject({ part: "storage-guard", connection: { node: name } });
      expect(dependencies).toContain("store-bucket");
    }
  });

  test("looks into that node's MinIO, and knows how many others there are", () => {
    const { files } = plain(recorder.named("storage-guard-coreos3").inputs) as {
      files: Record<string, { content: string }>;
    };
    const script = files["/etc/moorage/storage-guard"]?.content ?? "";
    expect(script).toMatch(/^service=minio-coreos3\nothers=3\nport=9000$/m);
  });
});
