import { installHashOf, renderNetwork, renderUserData } from "@moorage/render";
import type { NodeFiles, UserDataFormat, UserDataModel } from "@moorage/render";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appliedCloudConfig, appliedIgnition } from "../support/userData";
import {
  cloudinitFor,
  nmcliFor,
  validateCloudConfig,
  validateIgnition,
  validateKeyfile,
} from "../support/validators";
import { anyFiles, anyNode } from "./nodes";
import "./seed";

function rendered(model: UserDataModel, format: UserDataFormat, files?: NodeFiles): string {
  return renderUserData(model, { format, installHash: installHashOf(model), files });
}

describe("Ignition of any node", () => {
  it("passes ignition-validate without a word", () => {
    fc.assert(
      fc.property(anyNode("flatcar", "fedora-coreos"), fc.option(anyFiles), (model, files) => {
        expect(validateIgnition(rendered(model, "ignition", files ?? undefined))).toBe("");
      }),
      { numRuns: 25 },
    );
  });

  it("carries contents unchanged", () => {
    fc.assert(
      fc.property(anyNode("flatcar", "fedora-coreos"), (model) => {
        const { files } = appliedIgnition(rendered(model, "ignition"));
        const { content } = files["/etc/ssh/ssh_host_ed25519_key"] ?? {};
        expect(content).toBe(`${model.hostKey.privateKey.trimEnd()}\n`);
      }),
    );
  });
});

describe("NetworkManager's keyfiles of any node", () => {
  it("are read by NetworkManager, which keeps every setting", async (context) => {
    const nmcli = await nmcliFor(context);
    fc.assert(
      fc.property(anyNode("fedora-coreos"), (model) => {
        for (const [path, { content }] of Object.entries(renderNetwork(model).files)) {
          expect(validateKeyfile(nmcli, content), path).toEqual([]);
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("cloud-config of any node", () => {
  it("passes coreos-cloudinit's validation, where warnings count", (context) => {
    const bin = cloudinitFor(context);
    fc.assert(
      fc.property(anyNode("flatcar"), fc.option(anyFiles), (model, files) => {
        expect(validateCloudConfig(bin, rendered(model, "cloud-config", files ?? undefined))).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it("of Container Linux too, but for what its successor warns of: etcd2 and fleet", (context) => {
    const bin = cloudinitFor(context);
    fc.assert(
      fc.property(anyNode("coreos"), fc.option(anyFiles), (model, files) => {
        // The validator is the successor's, which knows keys with underscores only.
        const text = rendered(model, "cloud-config", files ?? undefined);
        const known = text.replace(/^( +(?:- )?[a-z-]+):/gm, (key) =>
          key.replace(/(?<=[a-z])-(?=[a-z])/g, "_"),
        );
        const findings = validateCloudConfig(bin, known).map((line) => line.replace(/^line \d+: /, ""));
        const { etcd2, fleet } = model.containerLinux ?? {};
        const deprecated = (key: string) =>
          `warning: deprecated key "${key}" (${key} is no longer shipped in Container Linux)`;
        expect(findings.sort()).toEqual([
          ...(etcd2 ? [deprecated("etcd2")] : []),
          ...(fleet ? [deprecated("fleet")] : []),
        ]);
      }),
      { numRuns: 15 },
    );
  });

  it("writes permissions as text, and the keys of its distribution", () => {
    fc.assert(
      fc.property(anyNode("flatcar", "coreos"), anyFiles, (model, files) => {
        const text = rendered(model, "cloud-config", files);
        for (const line of text.split("\n").filter((one) => /^\s+permissions:/.test(one))) {
          expect(line).toMatch(/permissions: "0?[0-7]{4}"$/);
        }
        const keys = [...text.matchAll(/^ +(?:- )?(drop.ins|reboot.strategy|public.ip|discovery.proxy):/gm)];
        const separator = model.distribution === "coreos" ? "-" : "_";
        for (const [, key = ""] of keys) expect(key).toContain(separator);
      }),
    );
  });
});

describe("both formats of any node", () => {
  it("describe the same files, units and users", () => {
    fc.assert(
      fc.property(anyNode("flatcar"), fc.option(anyFiles), (model, files) => {
        const own = files ?? undefined;
        const ignition = appliedIgnition(rendered(model, "ignition", own));
        const cloudConfig = appliedCloudConfig(rendered(model, "cloud-config", own));
        expect(withoutBareCore(cloudConfig.users)).toEqual(withoutBareCore(ignition.users));
        expect({ ...cloudConfig, users: {} }).toEqual({ ...ignition, users: {} });
      }),
      { numRuns: 100 },
    );
  });
});

/** A core of whom nothing is said is there all the same. */
function withoutBareCore(users: ReturnType<typeof appliedIgnition>["users"]) {
  const { core, ...rest } = users;
  return core && (core.keys.length > 0 || core.passwordHash !== undefined) ? users : rest;
}

describe("the hash of an installation", () => {
  it("depends on what is said and not on how", () => {
    fc.assert(
      fc.property(anyNode("flatcar", "fedora-coreos", "coreos"), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse()) as unknown as UserDataModel;
        expect(installHashOf(reversed)).toBe(installHashOf(value));
        expect(installHashOf({ ...value, timeZone: undefined, hostname: `${value.hostname}x` })).not.toBe(
          installHashOf(value),
        );
      }),
    );
  });

  it("leaves the network out but for the node's address, save where all of it is applied at every boot", () => {
    fc.assert(
      fc.property(anyNode("flatcar"), anyNode("flatcar"), (value, other) => {
        const { address } = value.network;
        const changed = {
          ...value,
          network: { ...other.network, address },
          vlans: other.vlans,
          nics: other.nics,
        };
        expect(installHashOf(changed)).toBe(installHashOf(value));
        const moved = { ...value, network: { ...value.network, address: `${address}0` } };
        expect(installHashOf(moved)).not.toBe(installHashOf(value));
        const { mtu = 1500 } = value.network;
        const larger = { ...value, network: { ...value.network, mtu: mtu + 1 } };
        expect(installHashOf(larger, "cloud-config")).not.toBe(installHashOf(value, "cloud-config"));
      }),
    );
  });

  it("leaves passwords out, which are set on nodes that run", () => {
    fc.assert(
      fc.property(anyNode("flatcar"), (value) => {
        const users = value.users.map((user) => ({ ...user, passwordHash: "$6$another" }));
        expect(installHashOf({ ...value, users })).toBe(installHashOf(value));
      }),
    );
  });
});
