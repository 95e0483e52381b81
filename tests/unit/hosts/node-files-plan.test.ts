import { describe, expect, it } from "vitest";
import type { ManagedFile } from "@moorage/render";
import type { NodeFilesInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { plannedFor } from "../../../hosts/src/node-files/plan";

const connection = { node: "a", host: "127.0.0.1", port: 22, user: "core" };
const file = (content: string, apply: ManagedFile["apply"] = { action: "none" }): ManagedFile => ({
  content,
  mode: 0o644,
  apply,
});
const part = (files: Record<string, ManagedFile>, units: NodeFilesInputs["units"] = {}): NodeFilesInputs => ({
  connection,
  part: "base",
  files,
  units,
});
const docker = { action: "restart", unit: "docker.service" } as const;

describe("what an update will do to a node", () => {
  it.each([
    ["nothing where nothing changes", { "/a": file("1") }, { "/a": file("1") }, undefined],
    ["a file written", { "/a": file("1") }, { "/a": file("2"), "/b": file("1") }, "writes /a, /b"],
    ["a file removed", { "/a": file("1", docker) }, {}, "removes /a"],
    [
      "a restart of Docker, for which the node is drained",
      { "/a": file("1", docker) },
      { "/a": file("2", docker) },
      "writes /a; restarts docker.service, the node drained meanwhile",
    ],
    [
      "a reload and a restart of something else",
      {},
      {
        "/a": file("2", { action: "reload", unit: "x.service" }),
        "/b": file("2", { action: "restart", unit: "y.service" }),
      },
      "writes /a, /b; restarts y.service; reloads x.service",
    ],
    [
      "a reboot, which is all that counts",
      {},
      { "/a": file("2", { action: "reboot" }), "/b": file("2", docker) },
      "writes /a, /b; reboots the node, drained meanwhile",
    ],
    ["a file whose content is not known yet", { "/a": file("1") }, { "/a": file(UNKNOWN) }, "writes /a"],
  ] as const)("%s", (_what, before, after, expected) => {
    expect(plannedFor(part({ ...before }), part({ ...after }))).toBe(expected);
  });

  it("nothing known where all of it is unknown", () => {
    const unknown = { ...part({}), files: UNKNOWN as unknown as NodeFilesInputs["files"] };
    expect(plannedFor(part({ "/a": file("1") }), unknown)).toBeUndefined();
  });
});
