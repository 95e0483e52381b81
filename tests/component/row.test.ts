import { describe, expect, test } from "vitest";
import type { Recorder } from "../support/mocks";
import { rawConfig } from "./parts";
import { program } from "./program";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];
const parts = ["base", "images"];

/** All that comes before a resource, step by step; a circle would never end here, nor in an update. */
function allBefore(recorder: Recorder, name: string): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (one: string, path: readonly string[]): void => {
    if (path.includes(one)) throw new Error(`a circle: ${[...path, one].join(" > ")}`);
    if (found.has(one)) return;
    found.add(one);
    const { dependencies } = recorder.resources.find((each) => each.name === one && each.custom) ?? {
      dependencies: [],
    };
    for (const each of dependencies) visit(each, [...path, one]);
  };
  visit(name, []);
  found.delete(name);
  return found;
}

const installationsBefore = (recorder: Recorder, node: string): string[] =>
  nodes.filter((other) => allBefore(recorder, `${node}-installation`).has(`${other}-installation`));

describe("nodes that are reinstalled", () => {
  test("none: all are installed side by side, and wait for the preflight alone", async () => {
    const recorder = await program(rawConfig());
    for (const node of nodes) expect(installationsBefore(recorder, node)).toEqual([]);
    expect(allBefore(recorder, "edge-keepalived-coreos2")).toContain("nginx-converged");
  });

  test("all: one after the other, the Swarm's founder first, each with all that brings the one before it back", async () => {
    const recorder = await program(rawConfig(), { row: ["coreos4", "coreos2", "coreos1", "coreos3"] });
    nodes.forEach((node, at) => expect(installationsBefore(recorder, node)).toEqual(nodes.slice(0, at)));
    for (const [at, node] of nodes.entries()) {
      const before = allBefore(recorder, `${node}-installation`);
      for (const earlier of nodes.slice(0, at)) {
        expect(before).toContain(`swarm-${earlier}`);
        expect(before).toContain(`edge-keepalived-${earlier}`);
        if (earlier !== "coreos4") expect(before).toContain(`etcd-${earlier}`);
      }
    }
    for (const { name } of recorder.resources) allBefore(recorder, name);
  });

  test("one of them, not the founder: after the files and images of those that stay, and nothing of its own waits for all", async () => {
    const recorder = await program(rawConfig(), { row: ["coreos3"] });
    const before = allBefore(recorder, "coreos3-installation");
    for (const node of ["coreos1", "coreos2", "coreos4"]) {
      for (const part of parts) expect(before).toContain(`${node}-${part}`);
    }
    for (const own of ["etcd-coreos3", "edge-keepalived-coreos3"]) {
      expect(recorder.named(own).dependencies).toContain("swarm-coreos3");
      expect(allBefore(recorder, own)).not.toContain("swarm-coreos4");
    }
    for (const node of ["coreos1", "coreos2", "coreos4"])
      expect(installationsBefore(recorder, node)).toEqual([]);
    for (const { name } of recorder.resources) allBefore(recorder, name);
  });

  test("have what was on them put there again: all of it knows the installation below", async () => {
    const recorder = await program(rawConfig());
    const on = ["coreos2-data-disk", "coreos2-base", "coreos2-images", "swarm-coreos2", "etcd-coreos2"];
    for (const name of [...on, "edge-keepalived-coreos2"]) {
      expect(recorder.named(name).inputs).toMatchObject({ installation: "boot of coreos2-installation" });
    }
    expect(recorder.named("etcd-cluster").inputs).toMatchObject({
      installations: { coreos2: "boot of coreos2-installation" },
    });
    expect(recorder.named("swarm-coreos2").inputs).toMatchObject({
      store: { services: { coreos2: "minio-coreos2" } },
    });
    const { hosts } = recorder.named("fleet-preflight").inputs as { hosts: Record<string, object> };
    expect(hosts.coreos2).toMatchObject({
      installHash: recorder.named("coreos2-installation").inputs.installHash,
    });
  });
});
