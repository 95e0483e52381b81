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
    ["a file removed", { "/a": file("1") }, {}, "removes /a"],
    [
      "a file removed that Docker has to be restarted without",
      { "/a": file("1", docker) },
      {},
      "removes /a; restarts docker.service, the node drained meanwhile",
    ],
    [
      "a reboot for what leaves",
      { "/a": file("1", { action: "reboot" }) },
      {},
      "removes /a; reboots the node, drained meanwhile",
    ],
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

  const proxy = "/etc/systemd/system/docker.service.d/10-proxy.conf";
  const painter = "/etc/systemd/system/painter.service";
  const own = (content: string, enabled?: boolean) => ({
    "painter.service": { content, ...(enabled === undefined ? {} : { enabled }) },
  });
  it.each<[string, NodeFilesInputs["units"], NodeFilesInputs["units"], string | undefined]>([
    [
      "a drop-in that leaves a unit which stays",
      { "docker.service": { dropIns: { "10-proxy.conf": "1" }, enabled: true } },
      { "docker.service": { enabled: true } },
      `removes ${proxy}; restarts docker.service, the node drained meanwhile`,
    ],
    [
      "the same where nothing of the unit is ours any more",
      { "docker.service": { dropIns: { "10-proxy.conf": "1" } } },
      {},
      `removes ${proxy}; restarts docker.service, the node drained meanwhile`,
    ],
    [
      "a unit of ours that leaves with its drop-in",
      { "painter.service": { content: "1", dropIns: { "a.conf": "1" }, enabled: true } },
      {},
      `removes ${painter}, ${painter}.d/a.conf; stops painter.service`,
    ],
    ["a new unit that is to run", {}, own("1", true), `writes ${painter}; starts painter.service`],
    ["one that is changed", own("1", true), own("2", true), `writes ${painter}; restarts painter.service`],
    ["one that is turned on", own("1", false), own("1", true), "starts painter.service"],
    ["one that is turned off", own("1", true), own("2", false), `writes ${painter}; stops painter.service`],
    ["one that is not there yet, and is to be off", {}, own("1", false), `writes ${painter}`],
    [
      "one that was found partly on, which may run",
      { "painter.service": { content: "1", enabled: "partly" as never } },
      own("2", true),
      `writes ${painter}; restarts painter.service`,
    ],
  ])("%s", (_what, before, after, expected) => {
    expect(plannedFor(part({}, before), part({}, after))).toBe(expected);
  });

  it("nothing of a unit for the file that it leaves with", () => {
    const files = { "/a": file("1", { action: "restart", unit: "painter.service" }) };
    expect(plannedFor(part(files, own("1", true)), part({}))).toBe(
      `removes /a, ${painter}; stops painter.service`,
    );
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
