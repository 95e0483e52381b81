import { beforeEach, describe, expect, test } from "vitest";
import * as pulumi from "@pulumi/pulumi";
import { Fleet } from "../../components/machine/fleet";
import { CertificateAuthority } from "../../components/pki";
import { Swarm } from "../../components/swarm/swarm";
import { parseStackConfig } from "../../config/stack";
import { Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";

let recorder: Recorder;

beforeEach(async () => {
  recorder = await new Recorder().install();
});

/** Registers nodes and Swarm of the lab's configuration after a change, and waits for all of it. */
async function machines(change: (raw: RawConfig) => void = () => undefined): Promise<Recorder> {
  const raw = structuredClone(rawStack("dev"));
  change(raw);
  const config = parseStackConfig(raw);
  const authority = new CertificateAuthority("ca", { commonName: "Moorage test" });
  const images = {
    references: { minio: "m", registry: "r", nginx: "n", haproxy: "h", keepalived: "k" },
    archives: { minio: { archive: "minio.tar", imageId: "sha256:1" } },
  };
  const fleet = new Fleet("fleet", { config, authority, images });
  new Swarm("swarm", { nodes: fleet.nodes, network: config.network, swarm: config.swarm });
  await pulumi.runtime.disconnect();
  return recorder;
}

describe("nodes", () => {
  test("each is installed, given its disk, files and images, and joined", async () => {
    const { resources } = await machines();
    const names = resources.map((one) => one.name);
    for (const part of ["host-key", "installation", "data-disk", "base", "images"]) {
      expect(names).toContain(`coreos3-${part}`);
    }
    expect(names).toEqual(expect.arrayContaining(["fleet-preflight", "swarm-coreos3", "swarm-services"]));
  });

  test("the user data is a secret, the digest of it is not", async () => {
    const { inputs } = (await machines()).named("coreos1-installation");
    expect(pulumi.runtime.isRpcSecret(inputs.userData)).toBe(true);
    expect(inputs.installHash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(inputs.userData)).toContain("private coreos1-host-key");
  });

  test("of the files on a node, only those with a key are secret", async () => {
    const { inputs } = (await machines()).named("coreos1-base");
    const files = inputs.files as Record<string, { content: unknown }>;
    const secret = Object.keys(files).filter((path) => pulumi.runtime.isRpcSecret(files[path]?.content));
    expect(secret).toHaveLength(1);
    expect(secret[0]).toMatch(/key/);
  });

  test("on hosts that already run nothing is installed and no host key is made", async () => {
    const recorded = await machines((raw) => Object.assign(raw, structuredClone(rawStack("existing"))));
    expect(recorded.ofType(":Installation")).toHaveLength(0);
    expect(recorded.ofType(":DataDisk")).toHaveLength(0);
    expect(recorded.resources.filter((one) => one.name.endsWith("host-key"))).toHaveLength(0);
    expect(recorded.named("node1-base").inputs.connection).toMatchObject({ user: "admin", port: 22 });
  });

  test("taking one away renames none of the others", async () => {
    const all = new Set((await machines()).resources.map((one) => one.name));
    recorder = await new Recorder().install();
    const fewer = (
      await machines((raw) => {
        const nodes = raw.nodes ?? {};
        nodes.coreos9 = { ...(nodes.coreos2 as object) };
        delete nodes.coreos2;
      })
    ).resources.map((one) => one.name);
    expect(fewer.filter((name) => !all.has(name)).every((name) => name.includes("coreos9"))).toBe(true);
  });
});

describe("the Swarm", () => {
  test("the first manager founds it, the others join, each with its labels", async () => {
    const members = (await machines()).ofType(":SwarmMember");
    const founders = members.filter((one) => one.inputs.founder).map((one) => one.inputs.node);
    expect(founders).toEqual(["coreos1"]);
    expect(members.map((one) => [one.inputs.node, one.inputs.role])).toEqual([
      ["coreos1", "manager"],
      ["coreos2", "manager"],
      ["coreos3", "manager"],
      ["coreos4", "worker"],
    ]);
    expect(members[3]?.inputs.labels).toEqual({
      region: "dc1",
      "moorage.node": "coreos4",
      "moorage.storage": "true",
      "moorage.registry": "true",
      "moorage.edge": "true",
    });
  });

  test("the provider's address comes from the configuration, and is another for other managers", async () => {
    const host = (await machines()).named("swarm-docker").inputs.host;
    expect(host).toMatch(/^ssh:\/\/moorage@swarm-[0-9a-f]{12}$/);
    recorder = await new Recorder().install();
    const moved = await machines((raw) => {
      (raw.nodes?.coreos1 as Record<string, unknown>).ssh = { host: "127.0.0.1", port: 2111 };
    });
    expect(moved.named("swarm-docker").inputs.host).not.toBe(host);
  });
});
