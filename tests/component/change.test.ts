import { beforeAll, describe, expect, test } from "vitest";
import type { Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { differences, identities, rawConfig } from "./parts";
import { program } from "./program";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];
/** What proves the whole follows any change of a service. */
const proof = ["~ AcceptanceChecks acceptance-checks", "~ Swept acceptance-sweep"];
const nginx = ["~ Converged nginx-converged", "~ Service nginx"];
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
        ]),
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
