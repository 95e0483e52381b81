import type { ContainerLinuxModel, Distribution, NodeFiles, UserDataModel } from "@moorage/render";
import fc from "fast-check";

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,14}$/);
/** That of a host: this one means none. */
const ipv4 = fc.ipV4().filter((address) => address !== "0.0.0.0");
const key = fc.stringMatching(/^ssh-ed25519 AAAA[A-Za-z0-9+/]{8,40} [a-z@.]{1,10}$/);
const mac = fc.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
const device = fc.stringMatching(/^[a-z]{2,4}[0-9]{1,2}$/);
/** Any text that can be a file: whole characters, as Unicode and a disk have them. */
export const text = fc.string({ unit: "grapheme" }).filter((value) => !/\p{Surrogate}/u.test(value));
const subnet = fc.tuple(ipv4, fc.integer({ min: 8, max: 30 })).map(([host, bits]) => `${host}/${bits}`);
const metric = fc.integer({ min: 0, max: 10_000 });
const mtu = fc.integer({ min: 1280, max: 9000 });

function list<T>(each: fc.Arbitrary<T>, by?: (value: T) => unknown, maxLength = 3): fc.Arbitrary<T[]> {
  return fc.uniqueArray(each, { maxLength, selector: by ?? ((value) => value) });
}

const user = fc.record(
  {
    name,
    groups: list(name),
    sshAuthorizedKeys: list(key),
    passwordHash: fc.stringMatching(/^\$6\$[A-Za-z0-9./]{8}\$[A-Za-z0-9./]{20}$/),
  },
  { requiredKeys: ["name", "groups", "sshAuthorizedKeys"] },
);

const network = fc.record(
  {
    match: fc.oneof(device, mac),
    address: ipv4,
    prefixLength: fc.integer({ min: 8, max: 30 }),
    gateway: ipv4,
    // Of two that are the same NetworkManager keeps one.
    dns: list(ipv4, undefined, 4),
    domains: list(name),
    mtu,
    metric,
  },
  { requiredKeys: ["match", "address", "prefixLength", "dns", "domains"] },
);

const vlan = fc.record(
  {
    name: fc.stringMatching(/^v[0-9]{1,4}$/),
    id: fc.integer({ min: 1, max: 4094 }),
    address: subnet,
    gateway: ipv4,
    metric,
    mtu,
  },
  { requiredKeys: ["name", "id", "address"] },
);

const nic = fc.record(
  { match: fc.oneof(device, mac), address: subnet, gateway: ipv4, metric, mtu },
  { requiredKeys: ["match"] },
);

const containerLinux: fc.Arbitrary<ContainerLinuxModel> = fc.record(
  {
    etcd2: fc.record(
      {
        discovery: fc.webUrl(),
        discoveryProxy: fc.webUrl(),
        advertiseClientUrls: fc.array(fc.webUrl(), { minLength: 1, maxLength: 2 }),
        initialAdvertisePeerUrls: fc.array(fc.webUrl(), { minLength: 1, maxLength: 2 }),
        listenClientUrls: fc.array(fc.webUrl(), { minLength: 1, maxLength: 2 }),
        listenPeerUrls: fc.array(fc.webUrl(), { minLength: 1, maxLength: 2 }),
      },
      {
        requiredKeys: [
          "discovery",
          "advertiseClientUrls",
          "initialAdvertisePeerUrls",
          "listenClientUrls",
          "listenPeerUrls",
        ],
      },
    ),
    fleet: fc.record({
      publicIp: ipv4,
      metadata: fc.constantFrom("", "region=dc1", "region=dc1,public_ip=1.2.3.4"),
    }),
    flannel: fc.record({ interface: ipv4, network: subnet }),
    insecureDockerApi: fc.constant(true as const),
    insecureRegistries: list(name),
  },
  { requiredKeys: [] },
);

/** Any node of these distributions. */
export function anyNode(...distributions: readonly Distribution[]): fc.Arbitrary<UserDataModel> {
  return fc
    .record(
      {
        hostname: name,
        distribution: fc.constantFrom(...distributions),
        users: list(user, (one) => one.name, 4),
        // Any text at all, to see that it comes through whatever it is carried in.
        hostKey: fc.record({ privateKey: text, publicKey: key }),
        network,
        vlans: list(vlan, (one) => one.name, 4),
        nics: list(nic, (one) => one.match),
        timeZone: fc.constantFrom("Etc/UTC", "America/New_York", "America/Argentina/Buenos_Aires"),
        updateStrategy: fc.constantFrom("off" as const, "reboot" as const),
        containerLinux,
      },
      { requiredKeys: ["hostname", "distribution", "users", "hostKey", "network", "updateStrategy"] },
    )
    .map((value) => {
      const { containerLinux: only, ...rest } = value as UserDataModel;
      return rest.distribution === "coreos" && only ? { ...rest, containerLinux: only } : rest;
    });
}

const unitText = fc.constantFrom(
  "[Service]\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n",
  "[Unit]\nDescription=a \"b\" \\ %n\n\n[Service]\nExecStart=/bin/sh -c 'echo $$HOME'\n\n[Install]\nWantedBy=multi-user.target\n",
);

/** Files and units beside the installation, as a site that installs by hand has them in one. */
export const anyFiles: fc.Arbitrary<NodeFiles> = fc.record({
  files: fc.dictionary(
    fc.stringMatching(/^\/(etc\/own|opt|var\/lib\/own)\/[a-z0-9._-]{0,8}[a-z0-9]$/),
    fc.record(
      {
        content: text,
        mode: fc.constantFrom(0o600, 0o644, 0o755, 0o400),
        owner: fc.constantFrom("root:root", "core:core", "root:docker"),
        apply: fc.constant({ action: "none" } as const),
      },
      { requiredKeys: ["content", "mode", "apply"] },
    ),
    { maxKeys: 4 },
  ),
  units: fc.dictionary(
    fc.oneof(
      fc.stringMatching(/^own-[a-z]{1,6}\.service$/),
      // The distribution's, of which there need be no text.
      fc.constantFrom("update-engine.service", "locksmithd.service"),
    ),
    fc.record(
      {
        content: unitText,
        dropIns: fc.dictionary(
          fc.stringMatching(/^[0-9]{2}-[a-z]{1,6}\.conf$/),
          fc.constantFrom("[Service]\nEnvironment=A=1\n", "[Unit]\nAfter=docker.service\n"),
          { maxKeys: 2 },
        ),
        enabled: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    { maxKeys: 3 },
  ),
});
