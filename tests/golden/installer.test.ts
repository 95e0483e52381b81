import { renderInstallerUserData } from "@moorage/render";
import { test } from "vitest";
import { expectGolden } from "./golden";

test("user data of a live installer", () => {
  const text = renderInstallerUserData({
    hostname: "coreos1",
    sshAuthorizedKeys: ["ssh-ed25519 AAAAoperator you@workstation"],
    hostKey: {
      privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\nbWFkZSB1cA==\n-----END OPENSSH PRIVATE KEY-----\n",
      publicKey: "ssh-ed25519 AAAAinstaller",
    },
    network: {
      match: "enp0s3",
      address: "10.0.2.11",
      prefixLength: 24,
      gateway: "10.0.2.1",
      dns: ["10.0.2.1"],
      domains: ["domain.com"],
    },
  });
  expectGolden("installer-user-data.yaml", text);
});
