import { renderInstallerUserData } from "@moorage/render";
import { describe, expect, test } from "vitest";
import { cloudConfigLayer } from "../../../lab/virtualbox/cloudConfig";

describe("what the lab's live installer makes of a config drive", () => {
  test("is host name, key, host key and address, as the program renders them", () => {
    const text = renderInstallerUserData({
      hostname: "coreos1",
      sshAuthorizedKeys: ["ssh-ed25519 AAAA"],
      hostKey: { privateKey: "private\n", publicKey: "public\n" },
      network: { match: "eth0", address: "10.0.2.11", prefixLength: 24, dns: [], domains: [] },
    });
    expect(cloudConfigLayer(text)).toEqual({
      "etc/hostname": { content: "coreos1\n" },
      "home/core/.ssh/authorized_keys": { content: "ssh-ed25519 AAAA\n", mode: 0o600, core: true },
      "etc/ssh/ssh_host_ed25519_key": { content: "private\n", mode: 0o600 },
      "etc/ssh/ssh_host_ed25519_key.pub": { content: "public\n", mode: 0o644 },
      "etc/systemd/network/00-moorage.network": {
        content: "[Match]\nName=eth0\n\n[Network]\nAddress=10.0.2.11/24\n",
      },
    });
  });

  test("is refused where it holds what nobody applies", () => {
    expect(() => cloudConfigLayer("hostname: a\n")).toThrow("does not begin with #cloud-config");
    expect(() => cloudConfigLayer("#cloud-config\nusers: []\n")).toThrow("knows no users of cloud-config");
    const unit = "#cloud-config\ncoreos:\n  units:\n    - name: etcd.service\n      content: x\n";
    expect(() => cloudConfigLayer(unit)).toThrow("starts no unit etcd.service");
  });
});
