import { renderIpxe, renderLiveIgnition, type Distribution, type LiveModel } from "@moorage/render";
import { describe, expect, it } from "vitest";
import { appliedIgnition } from "../support/userData";
import { validateIgnition } from "../support/validators";
import { expectGolden, expectVariant, readable } from "./golden";
import { pem } from "./models";

const model = (distribution: Distribution): LiveModel => ({
  hostname: "coreos1",
  distribution,
  sshAuthorizedKeys: ["ssh-ed25519 AAAAoperator you@workstation"],
  hostKey: { privateKey: pem("OPENSSH PRIVATE KEY"), publicKey: "ssh-ed25519 AAAAinstaller" },
  network: {
    match: "eno1",
    address: "192.168.10.11",
    prefixLength: 24,
    gateway: "192.168.10.1",
    dns: ["192.168.10.1"],
    domains: ["example.com"],
  },
});

describe("Ignition of a live system", () => {
  it.each(["flatcar", "fedora-coreos"] as const)("of %s", (distribution) => {
    const text = renderLiveIgnition(model(distribution));
    const flatcars = readable(renderLiveIgnition(model("flatcar")));
    if (distribution === "flatcar") expectGolden("live-flatcar.ign.txt", readable(text));
    else expectVariant("live-fedora-coreos.ign.txt", flatcars, readable(text));
    expect(validateIgnition(text)).toBe("");
    const { files, users } = appliedIgnition(text);
    expect(Object.keys(users)).toEqual(["core"]);
    expect(files["/etc/ssh/ssh_host_ed25519_key"]?.mode).toBe(0o600);
    // It is no installed node, and must not pass for one.
    expect(Object.keys(files)).not.toContain("/etc/moorage/install.json");
  });
});

const ignition = "http://192.168.10.5/moorage/coreos1.ign";

describe("iPXE's script", () => {
  it("for Flatcar", () => {
    const args = { hostname: "coreos1", distribution: "flatcar", channel: "stable", ignition } as const;
    expectGolden("live-flatcar.ipxe", renderIpxe(args));
    expect(renderIpxe({ ...args, release: "4230.2.1" })).toContain("/amd64-usr/4230.2.1\n");
    expect(renderIpxe({ ...args, mirror: "http://192.168.10.5/flatcar" })).toContain(
      "\nset base-url http://192.168.10.5/flatcar\n",
    );
  });

  const fedora = {
    hostname: "coreos1",
    distribution: "fedora-coreos",
    channel: "stable",
    release: "42.20250803.3.0",
    ignition,
  } as const;

  it("for Fedora CoreOS", () => {
    expectGolden("live-fedora-coreos.ipxe", renderIpxe(fedora));
  });

  it("says what is in the way", () => {
    expect(() => renderIpxe({ ...fedora, release: undefined })).toThrow(/name one \(--release .*streams\/stable\.json$/);
    expect(() => renderIpxe({ ...fedora, distribution: "coreos" })).toThrow(/Container Linux's servers are gone/);
    for (const odd of ["ftp://a/b", "http://a/b c", "http://a/${x}", "http://a/b\nboot"]) {
      expect(() => renderIpxe({ ...fedora, ignition: odd }), odd).toThrow(/is no URL that starts with http/);
      expect(() => renderIpxe({ ...fedora, mirror: odd }), odd).toThrow(/is no URL that starts with http/);
    }
    expect(() => renderIpxe({ ...fedora, release: "1 boot" })).toThrow(/release: .* no name/);
  });
});
