import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { execFileSync } from "node:child_process";
import { configDriveOf, type RecordedResource } from "@moorage/hosts";
import { afterAll, describe, expect, test } from "vitest";
import { parseStackConfig, type StackConfig } from "../../../config/stack";
import { ipxeFor, liveUserData } from "../../../ops/live";
import { rawStack, type RawConfig } from "../../support/stacks";
import { appliedCloudConfig, appliedIgnition } from "../../support/userData";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-live-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));

function metal(
  change: (raw: RawConfig, coreos1: Record<string, unknown>) => void = () => undefined,
): StackConfig {
  const raw = structuredClone(rawStack("metal"));
  change(raw, raw.nodes?.coreos1 as Record<string, unknown>);
  return parseStackConfig(raw);
}

const made = (name: string, outputs: object): RecordedResource => ({
  urn: `urn:pulumi:prod::moorage::tls:index/privateKey:PrivateKey::${name}`,
  type: "tls:index/privateKey:PrivateKey",
  outputs: outputs as RecordedResource["outputs"],
});
const state = [
  made("coreos1-installer-host-key", {
    privateKeyOpenssh: "live key\n",
    publicKeyOpenssh: "ssh-ed25519 AAAAlive\n",
  }),
  made("coreos1-host-key", {
    privateKeyOpenssh: "installed key\n",
    publicKeyOpenssh: "ssh-ed25519 AAAAhost\n",
  }),
  made("fleet-login-key", { privateKeyOpenssh: "login key\n", publicKeyOpenssh: "ssh-ed25519 AAAAlogin\n" }),
];
const shown = { format: "ignition", secrets: true } as const;

describe("what a live system is told", () => {
  test("is its own host key, the program's key to log in with, and the node's address", () => {
    const { text, complete } = liveUserData("coreos1", metal(), state, shown);
    const { files, users } = appliedIgnition(text);
    expect(complete).toBe(true);
    expect(files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe("live key\n");
    expect(files["/etc/systemd/network/10-moorage.network"]?.content).toContain("Address=192.168.10.11/24");
    expect(users.core?.keys).toEqual(["ssh-ed25519 AAAAlogin"]);
    // Nothing of the system that is installed later: this may lie on a web server.
    expect(text).not.toMatch(/installed|AAAAhost|login%20key/);
  });

  test("is the same on a config drive", () => {
    const { text } = liveUserData("coreos1", metal(), state, { format: "cloud-config", secrets: true });
    const { files, users } = appliedCloudConfig(text);
    expect(files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe("live key\n");
    expect(users.core?.keys).toEqual(["ssh-ed25519 AAAAlogin"]);
    const drive = path.join(folder, "drive.iso");
    fs.writeFileSync(drive, configDriveOf(text));
    const label = execFileSync("blkid", ["-p", "-o", "value", "-s", "LABEL", drive], { encoding: "utf8" });
    expect(label.trim()).toBe("config-2");
  });

  test("shows no key unless it is told to, and says what is not made yet", () => {
    const hidden = liveUserData("coreos1", metal(), state, { ...shown, secrets: false });
    expect(hidden.text).toContain(encodeURIComponent("shown with --secrets"));
    expect(hidden.text).not.toContain("live%20key");
    const early = liveUserData("coreos1", metal(), [], shown);
    expect(early.complete).toBe(false);
    expect(early.text).toContain(encodeURIComponent("made by the first pulumi up"));
  });

  const own = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const cases: [string, StackConfig, Partial<typeof shown> | { format: "cloud-config" }, RegExp][] = [
    ["no such node", metal(), {}, /coreos9 is no node/],
    [
      "a live system with its own host key",
      metal((_raw, node) => (node.installer = { hostKey: own })),
      {},
      /nodes\.coreos1\.installer\.hostKey.* Leave that key out to have one made/,
    ],
    [
      "a cloud-config for Fedora CoreOS",
      metal((raw) => (raw.os = { distribution: "fedora-coreos" })),
      { format: "cloud-config" },
      /live system of fedora-coreos reads no cloud-config; give it Ignition/,
    ],
    [
      "Container Linux",
      metal((raw) => (raw.os = { distribution: "coreos" })),
      {},
      /reads no Ignition 3, and was never tried with a config drive; .* name that in nodes\.coreos1\.installer\.hostKey/,
    ],
    [
      "another user than core",
      metal((_raw, node) => (node.installer = { user: "root" })),
      {},
      /coreos1: its live system lets in core .* not root; leave nodes\.coreos1\.installer\.user out/,
    ],
    [
      "a key of somebody whom nobody names",
      metal((_raw, node) => (node.installer = { identityFile: "~/.ssh/id" })),
      {},
      /lets in the program's own key .* not nodes\.coreos1\.installer\.identityFile; .* os\.sshAuthorizedKey/,
    ],
    ["guests", parseStackConfig(rawStack("virtualbox")), {}, /the program starts the live system itself/],
    ["hosts that ran before", parseStackConfig(rawStack("existing")), {}, /is not installed/],
  ];
  test("is the operator's key where that is named, and logged in with by a file of theirs", () => {
    const config = metal((raw, node) => {
      raw.os = { ...raw.os, sshAuthorizedKey: own };
      node.installer = { identityFile: "~/.ssh/id" };
    });
    const { text } = liveUserData("coreos1", config, state, shown);
    expect(appliedIgnition(text).users.core?.keys).toEqual([own]);
  });

  test.each(cases)("%s: says why there is nothing", (name, config, options, expected) => {
    const node = name === "no such node" ? "coreos9" : (Object.keys(config.nodes)[0] ?? "");
    expect(() => liveUserData(node, config, state, { ...shown, ...options })).toThrow(expected);
  });
});

describe("iPXE's script", () => {
  test("leads to the node's own Ignition, and to the release of the configuration", () => {
    const config = metal((raw) => (raw.os = { channel: "beta", version: "4230.1.0" }));
    const text = ipxeFor("coreos2", config, { folder: "http://192.168.10.5/moorage/" });
    expect(text).toContain("https://beta.release.flatcar-linux.net/amd64-usr/4230.1.0");
    expect(text).toContain(" ignition.config.url=http://192.168.10.5/moorage/coreos2.ign\n");
    expect(ipxeFor("coreos2", config, { folder: "http://a", release: "1.0" })).toContain("amd64-usr/1.0\n");
    expect(() => ipxeFor("coreos9", config, { folder: "http://a" })).toThrow(/coreos9 is no node/);
  });
});
