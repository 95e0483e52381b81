import { accessKeyOf } from "@moorage/hosts";
import { beforeAll, describe, expect, test } from "vitest";
import { Acceptance } from "../../components/acceptance/acceptance";
import { contentOf, plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { edgeOf, identities, onSwarm, type Change } from "./parts";

const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];

/** Registers the registry, its edge and the checks of both. */
function stack(change?: Change, ...without: string[]): Promise<Recorder> {
  return onSwarm(
    (on) => {
      const connections = Object.values(on.nodes).map(({ machine }) => machine.connection);
      const { config, swarm } = on;
      new Acceptance("acceptance", { swarm, config: config.edge, nodes: connections, ...edgeOf(on) });
    },
    change,
    ...without,
  );
}

const withEdge = (settings: object): Promise<Recorder> =>
  stack((raw) => void (raw.edge = { ...raw.edge, ...settings }));

let recorder: Recorder;
beforeAll(async () => void (recorder = await stack()));

test("names stay the same when a node leaves", async () => {
  const fewer = await stack(undefined, "coreos2");
  expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
});

describe("the registry", () => {
  test("is a service on each registry node, a password for each user, and one secret for all", () => {
    expect(recorder.children("registry")).toEqual([
      "PreviousHashes registry-previous-passwords",
      "PreviousKeys registry-previous-keys",
      "RandomPassword registry-http-secret",
      "RandomPassword registry-user-admin",
      "RandomPassword registry-user-reader",
      "RollingOrder registry-order",
      ...nodes.map((node) => `SwarmService registry-${node}`),
    ]);
    expect(recorder.named("registry-user-reader").inputs).toEqual({ length: 32, special: false });
    expect(recorder.children("registry-coreos3")).toEqual([
      "Converged registry-coreos3-converged",
      "Secret registry-coreos3-config",
      "Service registry-coreos3",
    ]);
  });

  test("changes node by node, once the bucket and every balancer are there", () => {
    const waits = (node: string) =>
      recorder
        .named(`registry-${node}`)
        .dependencies.filter((name) => /^registry-(order|coreos\d-converged)$/.test(name));
    expect(nodes.map(waits)).toEqual([
      ["registry-order"],
      ["registry-coreos1-converged", "registry-order"],
      ["registry-coreos2-converged", "registry-order"],
      ["registry-coreos3-converged", "registry-order"],
    ]);
    expect(recorder.named("registry-coreos3").dependencies).toEqual(
      expect.arrayContaining(["store-bucket", ...nodes.map((node) => `s3-${node}-converged`)]),
    );
  });

  test("runs without root on its node, with its configuration as a secret", () => {
    expect(recorder.named("registry-coreos3").inputs).toMatchObject({
      name: "registry-coreos3",
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==coreos3"] },
        containerSpec: {
          image: "image/registry",
          hostname: "registry-coreos3",
          user: "65532",
          env: { OTEL_TRACES_EXPORTER: "none" },
          configs: [],
          secrets: [{ fileName: "/etc/distribution/config.yml", fileMode: 0o400, fileUid: "65532" }],
        },
      },
    });
    expect(secretPaths(recorder.named("registry-coreos3").inputs)).toEqual([]);
    expect(secretPaths(recorder.named("registry-coreos3-config").inputs)).toEqual(["data"]);
  });

  test("finds the bucket through its own node's balancer, and shares the secret for uploads", () => {
    const accessKey = accessKeyOf("registry", "private store-registry-key");
    const contents = nodes.map((node) => contentOf(recorder.named(`registry-${node}-config`)));
    contents.forEach((content, at) => {
      expect(content).toContain(`http://s3-${nodes[at]}:9000`);
      expect(content).toContain(`accesskey: "${accessKey}"`);
      expect(content).toContain("private store-registry-key");
      expect(content).toContain("private registry-http-secret");
      expect(content.replaceAll(nodes[at] ?? "", "N")).toBe(contents[0]?.replaceAll("coreos1", "N"));
    });
  });

  test("removes former keys of the store once every registry has the new one, and nothing waits for that", () => {
    const { inputs, dependencies } = recorder.named("registry-previous-keys");
    const converged = nodes.map((node) => `registry-${node}-converged`);
    expect(dependencies).toEqual(expect.arrayContaining(converged));
    expect(plain(inputs)).toMatchObject({
      services: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" },
      bucket: "registry",
      rootUser: "private store-root-user",
      rootPassword: "private store-root-password",
      accessKey: accessKeyOf("registry", "private store-registry-key"),
    });
    expect(secretPaths(inputs).filter((path) => !path.endsWith(".privateKey"))).toEqual([
      "rootPassword",
      "rootUser",
    ]);
    const waiting = recorder.resources.filter((one) => one.dependencies.includes("registry-previous-keys"));
    expect(waiting.map(({ name }) => name)).toEqual([]);
    // The grace period of former passwords begins when only the edge is left to change.
    expect(recorder.named("registry-previous-passwords").dependencies).toEqual(
      expect.arrayContaining(converged),
    );
  });
});

describe("the edge", () => {
  test("is nginx on the Swarm, and keepalived on each edge node", () => {
    expect(recorder.children("edge")).toEqual([
      ...nodes.map((node) => `NodeFilesPart edge-keepalived-${node}`),
      "SwarmService nginx",
    ]);
    expect(recorder.children("nginx")).toEqual([
      "Converged nginx-converged",
      "Secret nginx-key",
      "Secret nginx-previous-users",
      "Secret nginx-users",
      "Service nginx",
      "ServiceConfig nginx-certificate",
      "ServiceConfig nginx-config",
      "ServiceConfig nginx-pick-script",
      "ServiceConfig nginx-rights",
      "ServiceConfig nginx-rights-script",
      "ServiceTurn nginx-turn",
    ]);
    expect(recorder.outputs.get("edge")).toEqual({ url: "https://10.0.2.10" });
  });

  test("runs nginx without root on every edge node, on the registry's port, once registries are there", () => {
    expect(recorder.named("nginx").inputs).toMatchObject({
      mode: { global: true },
      endpointSpec: { ports: [{ publishedPort: 443, targetPort: 8443, publishMode: "host" }] },
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.edge==true"] },
        containerSpec: { image: "image/nginx", user: "nginx" },
      },
    });
    expect(recorder.named("nginx").dependencies).toContain("nginx-turn");
    expect(recorder.named("nginx-turn").dependencies).toEqual(
      expect.arrayContaining(nodes.map((node) => `registry-${node}-converged`)),
    );
  });

  test("has a certificate for the registry's names, its address and those of the nodes", async () => {
    const names = (from: Recorder) => plain(from.named("ca-front-request").inputs);
    const ipAddresses = ["10.0.2.10", "127.0.0.1", "10.0.2.11", "10.0.2.12", "10.0.2.13", "10.0.2.14"];
    expect(names(recorder)).toMatchObject({
      subject: { commonName: "10.0.2.10" },
      dnsNames: ["localhost"],
      ipAddresses,
    });
    const named = await withEdge({ hostname: "r.example.com", port: 5443 });
    expect(names(named)).toMatchObject({
      subject: { commonName: "r.example.com" },
      dnsNames: ["r.example.com", "localhost"],
      ipAddresses,
    });
    expect(named.outputs.get("edge")).toEqual({ url: "https://r.example.com:5443" });
  });

  test("keeps its key and the password hashes secret, and shows the rest", () => {
    const content = (name: string) => contentOf(recorder.named(name));
    const secret = ["nginx-key", "nginx-previous-users", "nginx-users"];
    const shown = ["nginx", "nginx-certificate", "nginx-config", "nginx-rights", "nginx-rights-script"];
    for (const name of secret) expect(secretPaths(recorder.named(name).inputs)).toEqual(["data"]);
    for (const name of shown) expect(secretPaths(recorder.named(name).inputs)).toEqual([]);
    expect(content("nginx-key")).toBe("private ca-front-key");
    expect(content("nginx-certificate")).toBe("certificate ca-front-certificate");
    expect(content("nginx-users")).toBe(
      `admin:private hash registry-user-admin\nreader:private hash registry-user-reader\n-:$2a$10$${".".repeat(53)}\n`,
    );
    expect(content("nginx-previous-users")).toBe("admin:private hash before\n");
    expect(content("nginx-config")).toContain('"user:admin" 1800000000;');
    expect(content("nginx-config")).toContain(
      'set $fronts "10.0.2.11:443 10.0.2.12:443 10.0.2.13:443 10.0.2.14:443";',
    );
    for (const node of nodes)
      expect(content("nginx-pick-script")).toContain(
        `{"name":"registry-${node}","urls":["http://registry-${node}:5000/","http://s3-${node}:9000/healthz"]}`,
      );
    expect(content("nginx-rights")).toContain("public/");
    expect(content("nginx-rights")).not.toContain("private");
  });

  test("tells of its health itself, its node and the edge nodes", () => {
    const config = contentOf(recorder.named("nginx-config"));
    const [, health = ""] = /location = \/healthz\/registry \{([^}]*)deny all;/.exec(config) ?? [];
    expect(health.match(/(?:allow|include) [^;]*/g)).toEqual([
      "allow 127.0.0.1",
      "include /tmp/node.conf",
      ...["10.0.2.11", "10.0.2.12", "10.0.2.13", "10.0.2.14"].map((address) => `allow ${address}`),
    ]);
  });

  test("limits clients as its configuration says", async () => {
    const limits = { connections: 20, writesPerUser: 10, requestsPerSecond: 30, layerGibibytes: 40 };
    const limited = contentOf((await withEdge({ limits })).named("nginx-config"));
    const texts = ["limit_conn connections 20;", "limit_conn writes 10;", "rate=30r/s"];
    for (const text of [...texts, "client_max_body_size 40g;"]) expect(limited).toContain(text);
  });
});

describe("keepalived", () => {
  const filesOf = (from: Recorder, node: string) =>
    (
      plain(from.named(`edge-keepalived-${node}`).inputs) as {
        files: Record<string, { content: string; agreed?: true }>;
      }
    ).files;
  const fileOf = (from: Recorder, node: string, name: string): string =>
    Object.entries(filesOf(from, node)).find(([path]) => path.endsWith(`/${name}`))?.[1].content ?? "";
  const peersOf = (from: Recorder, node: string): string[] =>
    (/unicast_peer \{([^}]*)\}/.exec(fileOf(from, node, "router.conf"))?.[1] ?? "").trim().split(/\s+/);
  const leaveEdge = (...names: string[]): Promise<Recorder> =>
    stack(({ nodes: all = {} }: RawConfig) => {
      for (const name of names) {
        const node = all[name] as { roles: string[] };
        node.roles = node.roles.filter((role) => role !== "edge");
      }
    });

  test("has the other nodes as peers, a priority of its own, and starts once nginx answers", () => {
    const { inputs, dependencies } = recorder.named("edge-keepalived-coreos2");
    expect(inputs).toMatchObject({ part: "edge", connection: { node: "coreos2", host: "10.0.2.12" } });
    expect(secretPaths(inputs)).toEqual(["connection.privateKey"]);
    expect(dependencies).toContain("nginx-converged");
    expect(fileOf(recorder, "coreos2", "router.conf")).toMatch(/unicast_src_ip 10\.0\.2\.12\n/);
    expect(peersOf(recorder, "coreos2")).toEqual(["10.0.2.11", "10.0.2.13", "10.0.2.14"]);
    const priority = (node: string) =>
      Number(/^\$PRIORITY=(\d+)$/m.exec(fileOf(recorder, node, "node.conf"))?.[1]);
    expect(nodes.map(priority)).toEqual([200, 199, 198, 197]);
  });

  test("has all other nodes as peers on the only edge node: without peers it would listen to anybody", async () => {
    const only = await leaveEdge("coreos1", "coreos3", "coreos4");
    expect(peersOf(only, "coreos2")).toEqual(["10.0.2.11", "10.0.2.13", "10.0.2.14"]);
    expect(fileOf(only, "coreos2", "check.env")).toContain("PEERS=\n");
  });

  test("asks its own nginx and the other edge nodes'", async () => {
    const settings = fileOf(await leaveEdge("coreos4"), "coreos2", "check.env");
    expect(settings).toContain("PORT=443\nPEERS=10.0.2.11,10.0.2.13\n");
  });

  test("has one file for what nodes must agree on, which changes on all of them at once", async () => {
    const before = filesOf(recorder, "coreos2");
    const after = filesOf(await withEdge({ virtualRouterId: 52, vip: "10.0.2.20" }), "coreos2");
    const changed = Object.keys(after).filter((path) => after[path]?.content !== before[path]?.content);
    expect(changed).toEqual(["/etc/moorage/keepalived/router.conf"]);
    expect(Object.keys(after).filter((path) => after[path]?.agreed)).toEqual(changed);
  });
});

describe("acceptance", () => {
  test("is the checks, and the sweep after them", () => {
    expect(recorder.children("acceptance")).toEqual([
      "AcceptanceChecks acceptance-checks",
      "Swept acceptance-sweep",
    ]);
    const { inputs, dependencies } = recorder.named("acceptance-sweep");
    expect(dependencies).toContain("acceptance-checks");
    expect(inputs).toMatchObject({
      label: "moorage.stack=moorage/dev",
      stack: "organization/moorage/dev",
      fingerprint: recorder.named("acceptance-checks").inputs.fingerprint,
    });
    expect(recorder.outputs.get("acceptance")).toEqual({ report: [{ name: "push", passed: true }] });
  });

  test("checks the registry from every node, once all of it is there", () => {
    const { inputs, dependencies } = recorder.named("acceptance-checks");
    expect(plain(inputs)).toMatchObject({
      registryAddress: "10.0.2.10",
      registryPort: 443,
      registryName: "10.0.2.10",
      caCertificate: "certificate ca-certificate",
      username: "admin",
      password: "private registry-user-admin",
      storageServices: { coreos1: "minio-coreos1", coreos4: "minio-coreos4" },
      timeoutSeconds: 180,
      nodes: nodes.map((node) => ({ node })),
      edgeNodes: nodes,
    });
    expect(secretPaths(inputs).filter((path) => !path.endsWith(".privateKey"))).toEqual(["password"]);
    expect(dependencies).toEqual(
      expect.arrayContaining([
        "store-bucket",
        "nginx-converged",
        ...nodes.flatMap((node) => [`s3-${node}-converged`, `edge-keepalived-${node}`]),
      ]),
    );
  });

  test("checks as a user who may write everything, whoever comes first", async () => {
    const aaron = { rights: [{ repositories: "public/*", access: "write" }] };
    const { inputs } = (
      await stack((raw) => {
        const { users } = raw.registry as { users: object };
        raw.registry = { ...raw.registry, users: { aaron, ...users } };
      })
    ).named("acceptance-checks");
    expect(inputs.username).toBe("admin");
  });
});
