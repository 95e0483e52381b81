import type { UserDataModel } from "@moorage/render";

/** Four nodes as in the lab; the keys are made up. */
export const nodes = [11, 12, 13, 14].map((last, index) => ({
  name: `coreos${index + 1}`,
  address: `10.0.2.${last}`,
}));

export const pem = (what: string): string => `-----BEGIN ${what}-----\nmade up\n-----END ${what}-----\n`;

export const flatcar: UserDataModel = {
  hostname: "coreos1",
  distribution: "flatcar",
  users: [
    { name: "core", groups: ["sudo", "docker"], sshAuthorizedKeys: ["ssh-ed25519 AAAAC3 operator"] },
    { name: "usera", groups: ["sudo", "docker"], sshAuthorizedKeys: ["ssh-ed25519 AAAAC3 operator", "ssh-rsa AAAAB3 usera"] },
  ],
  hostKey: { privateKey: pem("OPENSSH PRIVATE KEY"), publicKey: "ssh-ed25519 AAAAC3 coreos1" },
  network: {
    match: "enp0s3",
    address: "10.0.2.11",
    prefixLength: 24,
    gateway: "10.0.2.1",
    dns: ["10.0.2.2", "10.0.2.3"],
    domains: ["example.com"],
    mtu: 1500,
  },
  timeZone: "America/New_York",
  updateStrategy: "off",
};

export const fedora: UserDataModel = {
  ...flatcar,
  distribution: "fedora-coreos",
  network: { ...flatcar.network, match: "08:00:27:aa:bb:01" },
};
