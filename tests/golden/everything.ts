import {
  renderUserData,
  installHashOf,
  type Distribution,
  type UserDataArgs,
  type UserDataFormat,
  type UserDataModel,
} from "@moorage/render";
import { baseFiles, userDataModel } from "../../config/models";
import { parseStackConfig, type StackConfig } from "../../config/stack";
import type { RawConfig } from "../support/stacks";
import { pem } from "./models";

/** Made for these tests, and thrown away. */
export const publicKeys = {
  operator:
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCwQxj5ZTdcwuTJYM/P0yBiMtCHDVMSbyWKhAZgSxw0RpuVHHwHSPKFMjEQ0IXZV1zfyzfXs+ulHosWjL5nMnpmxSPx9EMxgNU/e/895pBNKp+S6kcbLeKKmn7/NX6d+ylA9m/533exixlHwikILAskghK3t9QaBQZmzB86nfDNNpDi0YuJtZG34MNnK+ZdP72l5IzMh6qhNq/U/RMK/Wb/+x5ImfjWt7Bi7JEOymNH8gVHtOoBjp5TwzQ5uLGzi526yyZxcDqPHCq2zAWeEowv2kIn912z7prY/tfKf8DAINLoBYxmRBKcQIcZm/V0hSsuv181L+9NClsBGebibfZb operator",
  usera: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAaPe0nQ6to3vYjGUiRrWR1eASCKm8j2s5wnr3AZuAVu usera",
};

/** The configuration of the set-up that this project grew from, for its first node; addresses and URLs are ours. */
export function articleConfig(): RawConfig {
  const raw = baseConfig("coreos");
  Object.assign(raw.os ?? {}, {
    users: { usera: { password: true, insecureMd5Password: true } },
    containerLinux: {
      etcd2: {
        discovery: "https://discovery.domain.com/5d3c1a",
        discoveryProxy: "http://proxy.domain.com:3128",
      },
      fleet: true,
      flannel: { network: "10.1.0.0/16" },
      insecureDockerApi: true,
      insecureRegistries: ["registry.domain.com:5000"],
    },
  });
  return raw;
}

/** Every key that has to do with user data, for a distribution that has successors of what the article had. */
export function everythingConfig(distribution: Distribution): RawConfig {
  const raw = baseConfig(distribution);
  const first = raw.nodes?.coreos1 as Record<string, unknown>;
  first.nics = {
    eno2: { dhcp: true, mtu: 9000, metric: 400 },
    "08:00:27:aa:bb:02": { address: "10.40.0.11/24" },
  };
  Object.assign(raw.network ?? {}, { mtu: 1500, metric: 10, searchDomains: ["lab.domain.com"] });
  Object.assign(raw.os ?? {}, {
    users: {
      usera: { password: true, groups: ["sudo", "docker", "kvm"], sshAuthorizedKeys: [publicKeys.usera] },
      userb: { groups: [] },
    },
    files: {
      "/etc/sysctl.d/50-own.conf": { content: "vm.swappiness=10\n" },
      "/opt/bin/own": { content: "#!/bin/sh\nexit 0\n", permissions: "0755", owner: "root:docker" },
    },
    units: {
      "own.timer": { content: "[Timer]\nOnCalendar=weekly\n\n[Install]\nWantedBy=timers.target\n", enabled: true },
      "own.service": { content: "[Service]\nType=oneshot\nExecStart=/opt/bin/own\n" },
      "docker.service": { dropIns: { "80-own.conf": "[Service]\nNice=-5\n" } },
    },
  });
  raw.swarm = { dockerApi: true };
  return raw;
}

/**
 * A first interface that is known by its MAC address, with VLANs on it, one of them with an MTU of its own, and further
 * static ones by name and MAC address, with a gateway.
 */
export function byMacConfig(distribution: Distribution): RawConfig {
  const raw = baseConfig(distribution);
  const first = raw.nodes?.coreos1 as Record<string, unknown>;
  first.interface = "08:00:27:AA:BB:01";
  // Which an edge node's may not be: it holds the registry's address.
  first.roles = ["manager", "storage", "registry"];
  first.vlans = {
    v3000: { id: 3000, address: "10.30.0.11/24", gateway: "10.30.0.1", metric: 300, mtu: 1400 },
    v3012: { id: 3012, address: "10.30.12.11/24" },
  };
  first.nics = {
    eno2: { address: "10.40.0.11/24", gateway: "10.40.0.1", metric: 400, mtu: 9000 },
    "08:00:27:aa:bb:03": { address: "10.41.0.11/16", gateway: "10.41.0.1", metric: 410 },
  };
  Object.assign(raw.network ?? {}, { mtu: 1500, metric: 10 });
  return raw;
}

function baseConfig(distribution: Distribution): RawConfig {
  const node = (last: number, roles: readonly string[]) => ({
    address: `10.0.2.${last}`,
    roles: [...roles, "storage", "registry", "edge"],
    labels: { region: "dc1", public_ip: `10.0.2.${last}` },
    // As VirtualBox names it. Its guests are Flatcar's alone, so that these are machines of another kind.
    interface: "enp0s3",
    ssh: { host: "127.0.0.1", port: 2000 + last },
    installer: { host: "127.0.0.1", port: 2000 + last },
    disk: "/dev/sda",
    dataDisk: "/dev/sdb",
  });
  const vlan = (id: number, subnet: string, metric: number) => ({
    id,
    address: `${subnet}.11/24`,
    gateway: `${subnet}.1`,
    metric,
  });
  const image = (name: string) => ({ name, digest: `sha256:${"a".repeat(64)}` });
  return {
    platform: "metal" as unknown as Record<string, unknown>,
    nodes: {
      coreos1: {
        ...node(11, ["manager"]),
        vlans: {
          v3000: vlan(3000, "10.30.0", 300),
          v3012: vlan(3012, "10.30.12", 312),
          v3100: vlan(3100, "10.31.0", 310),
        },
      },
      coreos2: node(12, ["manager"]),
      coreos3: node(13, ["manager"]),
      coreos4: node(14, ["worker"]),
    },
    os: {
      distribution,
      sshAuthorizedKey: publicKeys.operator,
      timeZone: "America/New_York",
      ntp: ["time.domain.com"],
      clockTimer: true,
      motd: "Just another day!!",
      aliases: true,
      proxies: {
        http: "http://proxy.domain.com:3128",
        https: "http://proxy.domain.com:3128",
        exclude: ["/var/run/docker.sock"],
      },
    },
    network: {
      subnet: "10.0.2.0/24",
      gateway: "10.0.2.1",
      dns: ["10.0.2.2", "10.0.2.3"],
      domain: "domain.com",
    },
    edge: { vip: "10.0.2.10", hostname: "registry.domain.com" },
    images: {
      minio: image("minio"),
      registry: image("registry"),
      nginx: image("nginx"),
      haproxy: image("haproxy"),
      keepalived: image("keepalived"),
    },
  };
}

/** All user data of the first node, what is otherwise put there over SSH before it joins the Swarm included; keys and hashes are made up. */
export function wholeUserData(raw: RawConfig, format: UserDataFormat, hash?: string): string {
  const { model, args } = wholeModel(raw, format, hash);
  return renderUserData(model, args);
}

/** What that is rendered from. */
export function wholeModel(
  raw: RawConfig,
  format: UserDataFormat,
  hash = "$6$madeup$hash",
): { readonly model: UserDataModel; readonly args: UserDataArgs } {
  const config: StackConfig = parseStackConfig(raw);
  const passwordHashes = { usera: hash };
  const model = modelOf(config, passwordHashes);
  const files = baseFiles(config, "coreos1", {
    caCertificate: pem("CERTIFICATE"),
    api: { ca: pem("CERTIFICATE"), certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
    passwordHashes,
  });
  return { model, args: { format, installHash: installHashOf(model, format), files } };
}

/** What the first node is installed with, and no more. */
export function installedUserData(raw: RawConfig, format: UserDataFormat): string {
  const model = modelOf(parseStackConfig(raw), {});
  return renderUserData(model, { format, installHash: installHashOf(model, format) });
}

function modelOf(config: StackConfig, passwordHashes: Readonly<Record<string, string>>): UserDataModel {
  return userDataModel(config, "coreos1", {
    hostKey: { privateKey: pem("OPENSSH PRIVATE KEY"), publicKey: "ssh-ed25519 AAAAC3 coreos1" },
    authorizedKey: config.os.sshAuthorizedKey ?? "",
    passwordHashes,
  });
}
