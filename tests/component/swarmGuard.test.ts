import { beforeAll, describe, expect, test } from "vitest";
import { nodesWithRole } from "../../components/nodes";
import { SwarmGuard } from "../../components/swarm/swarmGuard";
import type { Recorder } from "../support/mocks";
import { labConfig, recorded, standingNodes, swarmOf, type StandingNodes } from "./parts";

describe("what has a node register anew that is down and connected", () => {
  let recorder: Recorder;
  beforeAll(async () => {
    recorder = await recorded(() => {
      const config = labConfig();
      const nodes = standingNodes(config);
      new SwarmGuard("swarm-guard", {
        swarm: swarmOf(config, nodes),
        nodes: nodesWithRole(nodes, "manager") as StandingNodes,
      });
    });
  });

  test("is a unit on every manager, once all have joined", () => {
    const names = ["coreos1", "coreos2", "coreos3"];
    expect(recorder.children("swarm-guard")).toEqual(
      names.map((name) => `NodeFilesPart swarm-guard-${name}`),
    );
    for (const name of names) {
      const { inputs, dependencies } = recorder.named(`swarm-guard-${name}`);
      expect(inputs).toMatchObject({ part: "swarm-guard", connection: { node: name } });
      expect(dependencies).toContain("swarm-coreos4");
    }
  });
});
