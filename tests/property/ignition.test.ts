import { spawnSync } from "node:child_process";
import { installHashOf, renderUserData } from "@moorage/render";
import type { UserDataModel } from "@moorage/render";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,14}$/);
const ipv4 = fc.ipV4();
const key = fc.stringMatching(/^ssh-ed25519 AAAA[A-Za-z0-9+/]{8,40} [a-z@.]{1,10}$/);
const mac = fc.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);

const model: fc.Arbitrary<UserDataModel> = fc
  .record(
    {
      hostname: name,
      distribution: fc.constantFrom("flatcar" as const, "fedora-coreos" as const),
      users: fc.uniqueArray(
        fc.record({
          name,
          groups: fc.uniqueArray(name, { maxLength: 3 }),
          sshAuthorizedKeys: fc.uniqueArray(key, { maxLength: 3 }),
        }),
        { maxLength: 4, selector: (user) => user.name },
      ),
      // Any text at all, to see that it comes through the URL it is carried in.
      hostKey: fc.record({ privateKey: fc.string({ unit: "grapheme" }), publicKey: key }),
      network: fc.record(
        {
          match: fc.oneof(fc.stringMatching(/^[a-z]{2,4}[0-9]{1,2}$/), mac),
          address: ipv4,
          prefixLength: fc.integer({ min: 8, max: 30 }),
          gateway: ipv4,
          dns: fc.array(ipv4, { maxLength: 4 }),
          domains: fc.array(name, { maxLength: 3 }),
          mtu: fc.integer({ min: 1280, max: 9000 }),
        },
        { requiredKeys: ["match", "address", "prefixLength", "dns", "domains"] },
      ),
      timeZone: fc.constantFrom("Etc/UTC", "America/New_York", "America/Argentina/Buenos_Aires"),
      updateStrategy: fc.constantFrom("off" as const, "reboot" as const),
    },
    { requiredKeys: ["hostname", "distribution", "users", "hostKey", "network", "updateStrategy"] },
  )
  .map((value) => value as UserDataModel);

function validate(text: string): string {
  const result = spawnSync("ignition-validate", ["-"], { input: text, encoding: "utf8" });
  if (result.error) throw new Error("ignition-validate is missing: install Debian's package ignition");
  return result.status === 0 ? result.stdout + result.stderr : `refused: ${result.stdout}${result.stderr}`;
}

interface Ignition {
  readonly storage: {
    readonly files: readonly { readonly path: string; readonly contents: { source: string } }[];
  };
}

describe("Ignition of any node", () => {
  it("passes ignition-validate without a word", () => {
    fc.assert(
      fc.property(model, (value) => {
        expect(validate(renderUserData(value, { format: "ignition", installHash: installHashOf(value) }))).toBe("");
      }),
      { numRuns: 60 },
    );
  });

  it("carries contents unchanged", () => {
    fc.assert(
      fc.property(model, (value) => {
        const { storage } = JSON.parse(renderUserData(value, { format: "ignition", installHash: "x" })) as Ignition;
        const file = storage.files.find(({ path }) => path === "/etc/ssh/ssh_host_ed25519_key");
        const content = decodeURIComponent(file?.contents.source.replace("data:,", "") ?? "");
        expect(content).toBe(`${value.hostKey.privateKey.trimEnd()}\n`);
      }),
    );
  });

  it("has a hash that depends on what is said and not on how", () => {
    fc.assert(
      fc.property(model, (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse()) as unknown as UserDataModel;
        expect(installHashOf(reversed)).toBe(installHashOf(value));
        expect(installHashOf({ ...value, timeZone: undefined, hostname: `${value.hostname}x` })).not.toBe(
          installHashOf(value),
        );
      }),
    );
  });
});
