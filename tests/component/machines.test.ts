import { beforeAll, describe, expect, test } from "vitest";
import { parseStackConfig } from "../../config/stack";
import { publicKeys } from "../golden/everything";
import { plain, secretPaths, shown, type Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { appliedIgnition } from "../support/userData";
import { archives, identities, labConfig, machinesOf, type Change } from "./parts";

const mtuOption = "com.docker.network.driver.mtu";

const machines = (change?: Change): Promise<Recorder> => machinesOf(labConfig(change));

let recorder: Recorder;
beforeAll(async () => void (recorder = await machines()));

describe("nodes", () => {
  test("are checked together, then each is installed and gets its disk, files and images", () => {
    expect(recorder.children("fleet")).toEqual([
      ...[1, 2, 3, 4].map((at) => `CoreOsNode coreos${at}`),
      ...[1, 2, 3, 4].map((at) => `NodeAccess coreos${at}`),
      "Preflight fleet-preflight",
      "PrivateKey fleet-login-key",
      "UserPasswords fleet-user",
    ]);
    expect(recorder.children("coreos3")).toEqual([
      "DataDisk coreos3-data-disk",
      "Installation coreos3-installation",
      "LoadedImages coreos3-images",
      "NodeFilesPart coreos3-base",
      "NodeNetwork coreos3-network",
      "PrivateKey coreos3-host-key",
      "PrivateKey coreos3-installer-host-key",
    ]);
    const steps = ["installation", "data-disk", "base", "images"].map((part) => `coreos3-${part}`);
    ["fleet-preflight", ...steps].slice(0, -1).forEach((earlier, at) => {
      expect(recorder.named(steps[at] ?? "").dependencies).toContain(earlier);
    });
    expect(recorder.named("swarm-coreos3").dependencies).toContain("coreos3-images");
  });

  test("are checked by what the configuration says of each", () => {
    const { hosts } = shown(recorder.named("fleet-preflight").inputs) as { hosts: Record<string, unknown> };
    expect(Object.keys(hosts)).toEqual(["coreos1", "coreos2", "coreos3", "coreos4"]);
    expect(hosts.coreos3).toMatchObject({
      target: {
        node: "coreos3",
        host: "127.0.0.1",
        port: 2013,
        user: "core",
        hostKey: "ssh-ed25519 coreos3-host-key",
        privateKey: "[secret]",
      },
      installer: { node: "coreos3", host: "127.0.0.1", port: 2013, user: "core" },
      address: "10.0.2.13",
      disk: "/dev/disk/by-id/lab-coreos3-system",
      dataDisk: "/dev/disk/by-id/lab-coreos3-data",
      ports: [2377, 7946, 4789, 443, 2379, 2380],
    });
  });

  test("have user data that is secret, and a digest of it that is not", () => {
    const { inputs } = recorder.named("coreos1-installation");
    expect(secretPaths(inputs)).toEqual([
      ...[0, 1, 2].map((manager) => `cluster.managers.${manager}.privateKey`),
      ...[0, 1, 2, 3].map((store) => `cluster.store.storageNodes.${store}.privateKey`),
      "installer.privateKey",
      "target.privateKey",
      "userData",
    ]);
    expect(inputs.installHash).toMatch(/^[0-9a-f]{64}$/);
    const userData = decodeURIComponent(String(plain(inputs.userData)));
    expect(userData).toContain("private coreos1-host-key");
    expect(userData).toContain("ssh-ed25519 fleet-login-key");
    expect(userData).toContain(String(inputs.installHash));
    expect(userData).toContain('"stack":"moorage/dev","node":"coreos1"');
    expect(inputs.stack).toBe("moorage/dev");
    expect(recorder.named("fleet-preflight").inputs.stack).toBe("moorage/dev");
    expect(recorder.outputs.get("coreos1")).toMatchObject({ installHash: inputs.installHash });
  });

  test("are installed as the configuration says, from a live system with a host key of its own", async () => {
    const image = { path: "flatcar.bin.bz2", sha512: "a".repeat(128) };
    const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const changed = await machines((raw) => {
      raw.os = { image, proxies: { https: "http://proxy:3128", exclude: [".lab"] } };
      Object.assign(raw.nodes?.coreos1 as object, {
        erasableDisk: "S1",
        wipeDataDiskSerial: "S2",
        adoptDiskSerial: "S3",
        nics: { eth1: { dhcp: true, metric: 2000 } },
      });
      Object.assign(raw.nodes?.coreos2 as object, { installer: { hostKey, identityFile: "own" } });
    });
    const { inputs } = changed.named("coreos1-installation");
    expect(inputs).toMatchObject({ image, erasableDisk: "S1", proxies: { https: "http://proxy:3128" } });
    expect((inputs.proxies as { none: string[] }).none).toEqual(
      expect.arrayContaining(["10.0.2.12", ".lab"]),
    );
    expect(plain(inputs.installer)).toMatchObject({
      hostKey: "ssh-ed25519 coreos1-installer-host-key",
      privateKey: "private fleet-login-key",
    });
    expect(shown(changed.named("coreos2-installation").inputs)).toMatchObject({
      installer: { hostKey, identityFile: "own" },
    });
    expect(changed.children("coreos2")).not.toContain("PrivateKey coreos2-installer-host-key");
    const preflight = shown(changed.named("fleet-preflight").inputs) as { hosts: Record<string, object> };
    const serials = { wipeDataDiskSerial: "S2", adoptDiskSerial: "S3" };
    const coreos1 = { erasableDisk: "S1", nics: ["eth1"], ...serials };
    expect(preflight).toMatchObject({ image, hosts: { coreos1 } });
    expect(changed.named("coreos1-data-disk").inputs).toMatchObject(serials);
    expect(Object.keys(preflight.hosts.coreos2 ?? {})).not.toContain("nics");
  });

  test("accept a key that the program creates, or the operator's, whose private half it never has", async () => {
    expect(recorder.named("fleet-login-key").inputs).toEqual({ algorithm: "ED25519" });
    const loginKeys = (found: Recorder) =>
      Object.values(
        appliedIgnition(String(plain(found.named("coreos1-installation").inputs.userData))).users,
      ).map(({ keys }) => keys);
    expect(loginKeys(recorder)).toEqual([["ssh-ed25519 fleet-login-key"], ["ssh-ed25519 fleet-login-key"]]);
    // As `ssh-keygen -t rsa -b 2048` makes it.
    const { operator } = publicKeys;
    const own = await machines((raw) => (raw.os = { ...raw.os, sshAuthorizedKey: operator }));
    expect(loginKeys(own)).toEqual([[operator], [operator]]);
    expect(own.resources.map(({ name }) => name)).not.toContain("fleet-login-key");
    // The operator's agent has it.
    expect(own.named("coreos1-base").inputs.connection).not.toHaveProperty("privateKey");
    expect(secretPaths(own.named("coreos1-base").inputs)).not.toContain("connection.privateKey");
  });

  test("have files of which those with a key or a password are secret, and no other", () => {
    const { inputs } = recorder.named("coreos1-base");
    expect(secretPaths(inputs)).toEqual([
      ...[0, 1, 2].map((manager) => `cluster.managers.${manager}.privateKey`),
      ...[0, 1, 2, 3].map((store) => `cluster.store.storageNodes.${store}.privateKey`),
      "connection.privateKey",
      "files.[/etc/docker/tls/key.pem].content",
      "files./etc/moorage/passwords.content",
    ]);
    expect(plain(inputs)).toMatchObject({
      part: "base",
      cluster: {
        managers: ["coreos1", "coreos2", "coreos3"].map((node) => ({ node })),
        store: { services: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" } },
      },
      files: {
        "/etc/docker/tls/ca.pem": { content: "certificate ca-docker-certificate" },
        "/etc/docker/tls/key.pem": { content: "private ca-docker-coreos1-key" },
        "/etc/docker/tls/cert.pem": { content: "certificate ca-docker-coreos1-certificate" },
        "/etc/docker/certs.d/10.0.2.10/ca.crt": { content: "certificate ca-certificate" },
      },
    });
  });

  test("have their disk by its label, and every image of an archive", () => {
    expect(recorder.named("coreos1-data-disk").inputs).toMatchObject({
      stack: "moorage/dev",
      device: "/dev/disk/by-id/lab-coreos1-data",
      label: "moorage-data",
      mountPoint: "/var/lib/moorage/data",
      directories: ["minio"],
    });
    expect(recorder.named("coreos1-images").inputs).toMatchObject({ images: archives });
    expect(recorder.named("fleet-preflight").inputs).toMatchObject({ imageIds: ["sha256:1"] });
  });

  test("are not installed, and have no key created, if they already run", async () => {
    const existing = await machinesOf(parseStackConfig(rawStack("existing")));
    expect(existing.ofType(":Installation")).toEqual([]);
    expect(existing.ofType(":DataDisk")).toEqual([]);
    expect(existing.resources.filter((one) => /(host|login)-key$/.test(one.name))).toEqual([]);
    const { inputs } = existing.named("node1-base");
    expect(inputs.connection).toMatchObject({ node: "node1", user: "admin", port: 22 });
    expect(inputs.connection).toMatchObject({ hostKey: expect.stringMatching(/^ssh-ed25519 AAAA/) });
    expect(secretPaths(inputs)).toEqual([]);
    expect(existing.named("node1-base").dependencies).toContain("fleet-preflight");
  });

  test("that already run have their folders for objects checked, but no folder on a data disk", async () => {
    const raw = rawStack("existing");
    const change = (name: string, values: object) => Object.assign(raw.nodes?.[name] as object, values);
    change("node2", { dataDisk: "/dev/sdb", dataDirectory: "/var/lib/moorage/data/minio" });
    change("node3", { dataDisk: "/dev/sdb" });
    change("node4", { dataDisk: "/dev/sdb", dataDirectory: undefined });
    const existing = await machinesOf(parseStackConfig(raw));
    const { hosts } = shown(existing.named("fleet-preflight").inputs) as { hosts: Record<string, object> };
    expect(hosts).toMatchObject({
      node1: { dataDirectory: "/srv/registry" },
      node3: { dataDirectory: "/srv/registry" },
    });
    for (const name of ["node2", "node4"]) expect(hosts[name]).not.toHaveProperty("dataDirectory");
  });

  test("keep their names when another leaves", async () => {
    const config = labConfig();
    const nodes = Object.fromEntries(Object.entries(config.nodes).filter(([name]) => name !== "coreos2"));
    const fewer = await machinesOf({ ...config, nodes });
    expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
  });
});

describe("the Swarm", () => {
  test("is the members, Docker's provider and one network", () => {
    expect(recorder.children("swarm")).toEqual([
      "Network swarm-services",
      ...[1, 2, 3, 4].map((at) => `SwarmMember swarm-coreos${at}`),
      "docker swarm-docker",
    ]);
  });

  test("is founded by the first manager; the others join, each with its labels", () => {
    const members = recorder.ofType(":SwarmMember").map((one) => one.inputs);
    const founders = members.filter((one) => one.founder).map((one) => one.node);
    expect(founders).toEqual(["coreos1"]);
    expect(members.map((one) => `${one.node} ${one.role} ${one.advertiseAddr}`).sort()).toEqual([
      "coreos1 manager 10.0.2.11",
      "coreos2 manager 10.0.2.12",
      "coreos3 manager 10.0.2.13",
      "coreos4 worker 10.0.2.14",
    ]);
    expect(recorder.named("swarm-coreos4").inputs.labels).toEqual({
      region: "dc1",
      "moorage.node": "coreos4",
      "moorage.storage": "true",
      "moorage.registry": "true",
      "moorage.edge": "true",
    });
    for (const node of ["coreos2", "coreos3", "coreos4"]) {
      expect(recorder.named(`swarm-${node}`).dependencies).toContain("swarm-coreos1");
    }
  });

  test("has its network once every node is a member", () => {
    const { inputs, dependencies, provider } = recorder.named("swarm-services");
    expect(inputs).toMatchObject({
      name: "services",
      driver: "overlay",
      ipamConfigs: [{ subnet: "10.20.1.0/24", gateway: "10.20.1.1" }],
      labels: [{ label: "moorage.stack", value: "moorage/dev" }],
    });
    for (const option of ["encrypted", mtuOption]) expect(inputs.options).not.toHaveProperty([option]);
    expect(dependencies).toEqual([1, 2, 3, 4].map((at) => `swarm-coreos${at}`));
    expect(provider).toBe("swarm-docker");
  });

  test("has an encrypted network by default, with the MTU of large frames, on the data path of its nodes", async () => {
    const path = { advertiseAddr: "10.30.0.14", dataPathAddr: "10.30.0.14" };
    const changed = await machines((raw) => {
      raw.network = { ...raw.network, mtu: 9000, overlay: {} };
      Object.assign(raw.nodes?.coreos4 as object, path);
    });
    const { options } = changed.named("swarm-services").inputs;
    expect(options).toMatchObject({ encrypted: "", [mtuOption]: "9000" });
    expect(changed.named("swarm-coreos4").inputs).toMatchObject(path);
    expect(shown(changed.named("fleet-preflight").inputs)).toMatchObject({
      hosts: { coreos1: { mtu: 9000 } },
    });
  });

  test("is reached at an address that depends on the managers alone", async () => {
    const hostAfter = async (change: (raw: RawConfig) => void) =>
      (await machines(change)).named("swarm-docker").inputs.host;
    const { host } = recorder.named("swarm-docker").inputs;
    expect(host).toMatch(/^ssh:\/\/moorage@swarm-[0-9a-f]{12}$/);
    const move = (node: string) => (raw: RawConfig) =>
      void Object.assign(raw.nodes?.[node] as object, { ssh: { host: "127.0.0.1", port: 2111 } });
    expect(await hostAfter(move("coreos1"))).not.toBe(host);
    expect(await hostAfter(move("coreos4"))).toBe(host);
  });
});
