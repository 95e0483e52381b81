import { describe, expect, it } from "vitest";
import type { ManagedFile } from "@moorage/render";
import type { InstallationInputs, InstallationOutputs, NodeFilesInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { installation } from "../../../hosts/src/installation";
import { nodeFiles } from "../../../hosts/src/node-files";
import { plannedFor } from "../../../hosts/src/node-files/plan";
import { nodeNetwork } from "../../../hosts/src/node-network";
import { logged } from "./support/stop";

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

describe("a preview", () => {
  const installed: InstallationOutputs = {
    ...{ node: "a", disk: "/dev/sda", installHash: "1", userData: "{}", firstBootId: "boot" },
    ...{ target: connection, installer: connection, timeoutSeconds: 600 },
  };
  const said = (changes: Partial<InstallationInputs>, before: Partial<InstallationOutputs> = {}) => {
    logged.length = 0;
    installation.diff({ ...installed, ...before }, { ...installed, ...changes });
    const files = (content: string) => ({ ...part({ "/a": file(content, docker) }), installation: "boot" });
    nodeFiles.diff(files("1"), { ...files("2"), installation: UNKNOWN });
    const network = (content: string) => ({
      ...{ connection, service: "systemd-networkd" as const, tryoutSeconds: 60 },
      files: { "/etc/systemd/network/10-a.network": file(content) },
    });
    nodeNetwork.diff(network("1"), network("2"));
    return logged.map((line) => line.replace(/(reinstalls|writes|changes its network).*/, "$1"));
  };

  it("says of a node that is installed anew that it is, and nothing of what that takes along", () => {
    expect(said({ installHash: "2" })).toEqual(["a: this update reinstalls"]);
  });

  it("says what is put on a node that stays as it is installed", () => {
    const own = ["a: this update writes", "a: this update changes its network"];
    expect(said({})).toEqual(own);
    expect(said({ target: { ...connection, port: 2222 } })).toEqual(own);
    // Whether it does is known later, and said then.
    expect(said({ installHash: "2", userData: UNKNOWN })).toEqual(own);
  });
});
