import { beforeAll, describe, expect, test } from "vitest";
import type { Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { differences, identities, rawConfig } from "./parts";
import { program } from "./program";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];
/** What proves the whole follows any change of a service. */
const proof = ["~ AcceptanceChecks acceptance-checks", "~ Swept acceptance-sweep"];
const nginx = ["~ Converged nginx-converged", "~ Service nginx", "~ ServiceTurn nginx-turn"];
const otherDigest = `sha256:${"9".repeat(64)}`;

let before: Recorder;
beforeAll(async () => void (before = await program(rawConfig())));

/** What changes with the configuration. */
async function touched(change: (raw: RawConfig) => void): Promise<string[]> {
  return differences(before, await program(rawConfig(change)));
}

describe("a change of one setting touches what depends on it, and nothing else:", () => {
  test("nothing changed, nothing touched", async () => {
    expect(await touched(() => undefined)).toEqual([]);
  });

  test("the front's timeout", async () => {
    const changed = await touched((raw) => (raw.edge = { ...raw.edge, proxyTimeoutSeconds: 1234 }));
    expect(changed).toEqual([...nginx, "~ ServiceConfig nginx-config", ...proof].sort());
  });

  test("a user more", async () => {
    const changed = await touched((raw) => {
      (raw.registry?.users as Record<string, unknown>).guest = {
        rights: [{ repositories: "public/*", access: "read" }],
      };
    });
    expect(changed).toEqual(
      [
        "+ RandomPassword registry-user-guest",
        "~ PreviousHashes registry-previous-passwords",
        "~ Secret nginx-users",
        "~ ServiceConfig nginx-rights",
        ...nginx,
        ...proof,
      ].sort(),
    );
  });

  test("a user's rights", async () => {
    const changed = await touched((raw) => {
      (raw.registry?.users as Record<string, unknown>).reader = { rights: [] };
    });
    expect(changed).toEqual(["~ ServiceConfig nginx-rights", ...nginx, ...proof].sort());
  });

  test("the registry's image", async () => {
    const changed = await touched(
      (raw) => (raw.images = { ...raw.images, registry: { name: "registry", digest: otherDigest } }),
    );
    expect(changed).toEqual(
      [
        ...nodes.flatMap((node) => [`~ Converged registry-${node}-converged`, `~ Service registry-${node}`]),
        "~ RollingOrder registry-order",
        ...proof,
      ].sort(),
    );
  });

  test("an image from an archive, which every node loads first", async () => {
    const changed = await touched(
      (raw) => (raw.images = { ...raw.images, minio: { archive: "absent/minio.tar", imageId: otherDigest } }),
    );
    expect(changed).toEqual(
      [
        ...nodes.flatMap((node) => [
          `~ LoadedImages ${node}-images`,
          `~ Converged minio-${node}-converged`,
          `~ Service minio-${node}`,
          `~ StorageTurn minio-${node}-turn`,
        ]),
        "~ StorageOrder store-order",
        // No node may be installed anew meanwhile.
        "~ Preflight fleet-preflight",
        ...proof,
      ].sort(),
    );
  });

  test("keepalived's image, which is no service", async () => {
    const changed = await touched(
      (raw) => (raw.images = { ...raw.images, keepalived: { name: "keepalived", digest: otherDigest } }),
    );
    expect(changed).toEqual(nodes.map((node) => `~ NodeFilesPart edge-keepalived-${node}`));
  });

  test("a label of one node", async () => {
    const changed = await touched((raw) => {
      (raw.nodes?.coreos3 as { labels: object }).labels = { region: "dc2" };
    });
    expect(changed).toEqual(["~ SwarmMember swarm-coreos3"]);
  });

  test("the address that one node's overlay traffic has, which is a matter of its membership alone", async () => {
    const own = (raw: RawConfig) =>
      Object.assign(raw.nodes?.coreos4 as object, { dataPathAddr: "10.30.0.14" });
    const after = await program(rawConfig(own));
    expect(differences(before, after)).toEqual(["~ SwarmMember swarm-coreos4"]);
    const { advertiseAddr, dataPathAddr } = after.named("swarm-coreos4").inputs;
    expect([advertiseAddr, dataPathAddr]).toEqual(["10.0.2.14", "10.30.0.14"]);
  });

  test("one node's further interface, tried on that node and no reason to install it anew", async () => {
    const after = await program(
      rawConfig((raw) =>
        Object.assign(raw.nodes?.coreos4 as object, { nics: { eth1: { address: "10.40.0.14/24" } } }),
      ),
    );
    const changed = [
      "~ NodeNetwork coreos4-network",
      // It has to be there.
      "~ Preflight fleet-preflight",
      // No node asks for it by the proxy.
      ...nodes.flatMap((node) => [`~ Installation ${node}-installation`, `~ NodeFilesPart ${node}-base`]),
    ];
    expect(differences(before, after)).toEqual(changed.sort());
    const hash = (one: Recorder) => one.named("coreos4-installation").inputs.installHash;
    expect(hash(after)).toBe(hash(before));
    const { files } = after.named("coreos4-network").inputs as { files: Record<string, { content: string }> };
    expect(files["/etc/systemd/network/10-eth1.network"]?.content).toContain("Address=10.40.0.14/24");
  });

  test("a node's network where it is installed by a cloud-config, which is applied at every boot", async () => {
    const byCloudConfig = (raw: RawConfig) => void (raw.os = { ...raw.os, format: "cloud-config" });
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

  test("a log setting of Docker, which no installation is for", async () => {
    const changed = await touched((raw) => (raw.swarm = { ...raw.swarm, logMaxFile: 7 }));
    expect(changed).toEqual(nodes.map((node) => `~ NodeFilesPart ${node}-base`));
  });
});

describe("taking the second node away", () => {
  test("renames none of the others", async () => {
    const five = await program(
      rawConfig((raw) => {
        // By its name the second of five.
        raw.nodes = { ...raw.nodes, coreos1b: frontNode(raw.nodes?.coreos1 as object) };
      }),
    );
    expect(identities(before)).toEqual(identities(five).filter((one) => !one.includes("coreos1b")));
  });

  test("and putting another in its place, neither", async () => {
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

/** A node that the quorum of managers and the four drives do not need. */
function frontNode(like: object) {
  const at = { host: "127.0.0.1", port: 2015 };
  return { ...like, address: "10.0.2.15", roles: ["worker", "registry", "edge"], ssh: at, installer: at };
}
