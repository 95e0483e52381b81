import { beforeAll, describe, expect, test } from "vitest";
import type { Recorder } from "../support/mocks";
import { differences, identities, rawConfig, type Change } from "./parts";
import { program } from "./program";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];
/** Acceptance follows any change of a service. */
const proof = ["~ AcceptanceChecks acceptance-checks", "~ Swept acceptance-sweep"];
const files = nodes.map((node) => `~ NodeFilesPart proxies-${node}`);
const otherDigest = `sha256:${"9".repeat(64)}`;

let before: Recorder;
beforeAll(async () => void (before = await program(rawConfig())));

/** `+` is created, `-` deleted, `~` changed. */
const touched = async (change: Change): Promise<string[]> =>
  differences(before, await program(rawConfig(change)));

describe("a change of one setting touches what depends on it, and nothing else:", () => {
  test.each<[string, Change, string[]]>([
    ["nothing", () => undefined, []],
    [
      "the edge's timeout, which needs no other container",
      (raw) => (raw.edge = { ...raw.edge, proxyTimeoutSeconds: 1234 }),
      files,
    ],
    [
      "a user more, who needs no other container",
      (raw) => {
        const rights = [{ repositories: "public/*", access: "read" }];
        (raw.registry?.users as Record<string, unknown>).guest = { rights };
      },
      ["+ RandomPassword users-guest", ...files],
    ],
    [
      "the registry's image",
      (raw) => (raw.images = { ...raw.images, registry: { name: "registry", digest: otherDigest } }),
      [
        ...nodes.flatMap((node) => [`~ Converged registry-${node}-converged`, `~ Service registry-${node}`]),
        ...proof,
      ],
    ],
    [
      "an image of an archive, which every node loads first and no node is installed without",
      (raw) => (raw.images = { ...raw.images, minio: { archive: "absent/minio.tar", imageId: otherDigest } }),
      [
        ...nodes.flatMap((node) => [
          `~ LoadedImages ${node}-images`,
          `~ Converged minio-${node}-converged`,
          `~ Service minio-${node}`,
        ]),
        "~ Preflight fleet-preflight",
        ...proof,
      ],
    ],
    [
      "keepalived's image, which is no service",
      (raw) => (raw.images = { ...raw.images, keepalived: { name: "keepalived", digest: otherDigest } }),
      nodes.map((node) => `~ NodeFilesPart edge-keepalived-${node}`),
    ],
    [
      "a label and the data path of one node, which concern its membership alone",
      (raw) =>
        Object.assign(raw.nodes?.coreos4 as object, {
          labels: { region: "dc2" },
          dataPathAddr: "10.30.0.14",
        }),
      ["~ SwarmMember swarm-coreos4"],
    ],
    [
      "a log setting of Docker, which needs no installation",
      (raw) => (raw.swarm = { ...raw.swarm, logMaxFile: 7 }),
      nodes.map((node) => `~ NodeFilesPart ${node}-base`),
    ],
  ])("%s", async (_what, change, expected) => {
    expect(await touched(change)).toEqual([...expected].sort());
  });

  test("one node's further interface, which needs no installation", async () => {
    const after = await program(
      rawConfig((raw) =>
        Object.assign(raw.nodes?.coreos4 as object, { nics: { eth1: { address: "10.40.0.14/24" } } }),
      ),
    );
    const changed = [
      "~ NodeNetwork coreos4-network",
      // The interface must exist.
      "~ Preflight fleet-preflight",
      // No node asks the proxy for its address.
      ...nodes.flatMap((node) => [`~ Installation ${node}-installation`, `~ NodeFilesPart ${node}-base`]),
    ];
    expect(differences(before, after)).toEqual(changed.sort());
    const hash = (one: Recorder) => one.named("coreos4-installation").inputs.installHash;
    expect(hash(after)).toBe(hash(before));
    const { files } = after.named("coreos4-network").inputs as { files: Record<string, { content: string }> };
    expect(files["/etc/systemd/network/10-eth1.network"]?.content).toContain("Address=10.40.0.14/24");
  });

  test("the network of nodes with a cloud-config, which need an installation", async () => {
    const byCloudConfig: Change = (raw) => void (raw.os = { ...raw.os, format: "cloud-config" });
    const from = await program(rawConfig(byCloudConfig));
    const to = await program(
      rawConfig((raw) => {
        byCloudConfig(raw);
        raw.network = { ...raw.network, dns: ["10.0.2.2"] };
      }),
    );
    expect(from.resources.filter(({ type }) => type.endsWith(":NodeNetwork"))).toEqual([]);
    const hash = (one: Recorder) => one.named("coreos4-installation").inputs.installHash;
    expect(hash(to)).not.toBe(hash(from));
  });
});

describe("names of the other nodes' resources stay the same", () => {
  test("when the second of five nodes leaves", async () => {
    const five = await program(
      rawConfig(
        (raw) => void (raw.nodes = { ...raw.nodes, coreos1b: frontNode(raw.nodes?.coreos1 as object) }),
      ),
    );
    expect(identities(before)).toEqual(identities(five).filter((one) => !one.includes("coreos1b")));
  });

  test("when another node replaces one", async () => {
    const swapped = await program(
      rawConfig((raw) => {
        const { coreos2, ...rest } = raw.nodes ?? {};
        raw.nodes = { ...rest, coreos9: coreos2 };
      }),
    );
    const kept = (recorder: Recorder) => identities(recorder).filter((one) => !/coreos[29]/.test(one));
    expect(kept(swapped)).toEqual(kept(before));
    expect(identities(swapped)).toHaveLength(identities(before).length);
  });
});

/** A node that neither the quorum of managers nor the drives need. */
function frontNode(like: object) {
  const at = { host: "127.0.0.1", port: 2015 };
  return { ...like, address: "10.0.2.15", roles: ["worker", "registry", "edge"], ssh: at, installer: at };
}

/** Names all that comes before a resource. A circle, which would be a deadlock in an update, is an error. */
function orderOf({ resources }: Recorder): (name: string) => ReadonlySet<string> {
  const custom = resources.filter((one) => one.custom);
  const direct = new Map(custom.map(({ name, dependencies }) => [name, dependencies]));
  const done = new Map<string, ReadonlySet<string>>();
  const visit = (name: string, path: readonly string[]): ReadonlySet<string> => {
    if (path.includes(name)) throw new Error(`a circle: ${[...path, name].join(" > ")}`);
    const known = done.get(name);
    if (known) return known;
    const names = direct.get(name) ?? [];
    const found = new Set(names.flatMap((one) => [one, ...visit(one, [...path, name])]));
    done.set(name, found);
    return found;
  };
  for (const name of direct.keys()) visit(name, []);
  return (name) => visit(name, []);
}

describe("nodes that are reinstalled", () => {
  const installationsBefore = (order: ReturnType<typeof orderOf>, node: string): string[] =>
    nodes.filter((other) => order(`${node}-installation`).has(`${other}-installation`));

  test("none: all are installed side by side", () => {
    const order = orderOf(before);
    for (const node of nodes) expect(installationsBefore(order, node)).toEqual([]);
    expect(order("edge-keepalived-coreos2")).toContain("nginx-converged");
  });

  test("all: each waits until the one before it is back, and the Swarm's founder is first", async () => {
    const order = orderOf(await program(rawConfig(), { row: ["coreos4", "coreos2", "coreos1", "coreos3"] }));
    for (const [at, node] of nodes.entries()) {
      expect(installationsBefore(order, node)).toEqual(nodes.slice(0, at));
      for (const earlier of nodes.slice(0, at)) {
        for (const part of ["swarm", "edge-keepalived"])
          expect(order(`${node}-installation`)).toContain(`${part}-${earlier}`);
        if (earlier !== "coreos4") expect(order(`${node}-installation`)).toContain(`etcd-${earlier}`);
      }
    }
  });

  test("one, not the founder: it waits for files and images of the others, and its services for its Swarm member alone", async () => {
    const recorder = await program(rawConfig(), { row: ["coreos3"] });
    const order = orderOf(recorder);
    for (const node of ["coreos1", "coreos2", "coreos4"]) {
      for (const part of ["base", "images"])
        expect(order("coreos3-installation")).toContain(`${node}-${part}`);
      expect(installationsBefore(order, node)).toEqual([]);
    }
    for (const own of ["etcd-coreos3", "edge-keepalived-coreos3"]) {
      expect(recorder.named(own).dependencies).toContain("swarm-coreos3");
      expect(order(own)).not.toContain("swarm-coreos4");
    }
  });

  test("get everything on them again: each part has the installation as an input", () => {
    const on = ["coreos2-data-disk", "coreos2-base", "coreos2-images", "swarm-coreos2", "etcd-coreos2"];
    for (const name of [...on, "edge-keepalived-coreos2"]) {
      expect(before.named(name).inputs).toMatchObject({ installation: "boot of coreos2-installation" });
    }
    expect(before.named("etcd-cluster").inputs).toMatchObject({
      installations: { coreos2: "boot of coreos2-installation" },
    });
    expect(before.named("swarm-coreos2").inputs).toMatchObject({
      store: { services: { coreos2: "minio-coreos2" } },
    });
    const { hosts } = before.named("fleet-preflight").inputs as { hosts: Record<string, object> };
    expect(hosts.coreos2).toMatchObject({
      installHash: before.named("coreos2-installation").inputs.installHash,
    });
  });
});
