import { expect, test } from "vitest";
import { nodeOf, repositoriesOn } from "../../chaos/probed";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];

test("each node has a repository of its own", () => {
  const found = repositoriesOn(nodes);
  expect([...found.keys()].sort()).toEqual(nodes);
  expect(new Set(found.values()).size).toBe(nodes.length);
  for (const [node, repository] of found) expect(nodeOf(repository, nodes)).toBe(node);
});
