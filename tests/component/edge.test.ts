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

/** The files that a node's proxies get, by name. */
function filesOf(from: Recorder, node: string, program: string): Record<string, string> {
  const { files } = plain(from.named(`proxies-${node}`).inputs) as {
    files: Record<string, { content: string }>;
  };
  const folder = `/etc/moorage/${program}/wanted/`;
  return Object.fromEntries(
    Object.entries(files)
      .filter(([path]) => path.startsWith(folder))
      .map(([path, { content }]) => [path.slice(folder.length), content]),
  );
}

/** The names of resources that come right before one, of those that match. */
const before = (name: string, pattern: RegExp): string[] =>
  recorder.named(name).dependencies.filter((one) => pattern.test(one));

describe("the registry", () => {
  test("is a service on each registry node, and one secret for all", () => {
    expect(recorder.children("registry")).toEqual([
      "RandomPassword registry-http-secret",
      ...nodes.map((node) => `SwarmService registry-${node}`),
    ]);
    expect(recorder.children("registry-coreos3")).toEqual([
      "Converged registry-coreos3-converged",
      "Secret registry-coreos3-config",
      "Service registry-coreos3",
    ]);
  });

  test("has a password for each user", () => {
    expect(recorder.children("users")).toEqual(["RandomPassword users-admin", "RandomPassword users-reader"]);
    expect(recorder.named("users-reader").inputs).toEqual({ length: 32, special: false });
  });

  test("changes node by node, after its bucket, its user and its node's HAProxy", () => {
    const order = nodes.map((node) => before(`registry-${node}`, /^(store-|.*-converged$)/));
    const store = ["store-bucket", "store-user"];
    expect(order).toEqual([
      ["haproxy-coreos1-converged", ...store],
      ["haproxy-coreos2-converged", "registry-coreos1-converged", ...store],
      ["haproxy-coreos3-converged", "registry-coreos2-converged", ...store],
      ["haproxy-coreos4-converged", "registry-coreos3-converged", ...store],
    ]);
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
          secrets: [{ fileName: "/etc/distribution/config.yml", fileMode: 0o400, fileUid: "65532" }],
        },
      },
    });
    expect(secretPaths(recorder.named("registry-coreos3").inputs)).toEqual([]);
    expect(secretPaths(recorder.named("registry-coreos3-config").inputs)).toEqual(["data"]);
  });

  test("finds the bucket through its own node's HAProxy, and shares the secret for uploads", () => {
    const accessKey = accessKeyOf("registry", "private store-registry-key");
    const contents = nodes.map((node) => contentOf(recorder.named(`registry-${node}-config`)));
    contents.forEach((content, at) => {
      expect(content).toContain(`http://haproxy-${nodes[at]}:9000`);
      expect(content).toContain(`accesskey: "${accessKey}"`);
      expect(content).toContain("private store-registry-key");
      expect(content).toContain("private registry-http-secret");
      expect(content.replaceAll(nodes[at] ?? "", "N")).toBe(contents[0]?.replaceAll("coreos1", "N"));
    });
  });
});

describe("the proxies", () => {
  test("are files and an HAProxy on each edge and registry node, and on no other", async () => {
    const children = (on: string[]) => [
      ...on.map((node) => `NodeFilesPart proxies-${node}`),
      ...on.map((node) => `SwarmService haproxy-${node}`),
    ];
    expect(recorder.children("proxies")).toEqual(children(nodes));
    const fewer = await stack(({ nodes: all = {} }: RawConfig) => {
      Object.assign(all.coreos4 as object, { roles: ["worker", "storage"] });
      Object.assign(all.coreos3 as object, { roles: ["manager", "storage", "registry"] });
    });
    expect(fewer.children("proxies")).toEqual(children(nodes.slice(0, 3)));
    expect(filesOf(fewer, "coreos3", "nginx")).toEqual({});
    expect(filesOf(fewer, "coreos2", "nginx")["upstream.conf"]).toContain(
      "server haproxy-coreos2:8000 resolve max_fails=0;\n" +
        "    server haproxy-coreos1:8000 resolve max_fails=0 backup;\n" +
        "    server haproxy-coreos3:8000 resolve max_fails=0 backup;",
    );
  });

  test("get their files first, then change node by node", () => {
    expect(recorder.named("proxies-coreos2").inputs).toMatchObject({
      part: "proxies",
      connection: { node: "coreos2" },
      deferIfUnreachable: true,
    });
    expect(nodes.slice(0, 2).map((node) => before(`haproxy-${node}`, /^(haproxy|proxies)-/))).toEqual([
      ["proxies-coreos1"],
      ["haproxy-coreos1-converged", "proxies-coreos2"],
    ]);
    expect(recorder.named("haproxy-coreos2").inputs).toMatchObject({
      updateConfig: { order: "stop-first" },
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.node==coreos2"] },
        containerSpec: {
          image: "image/haproxy",
          hostname: "haproxy-coreos2",
          user: "65531:65531",
          mounts: expect.arrayContaining([
            {
              type: "bind",
              source: "/etc/moorage/haproxy",
              target: "/etc/moorage/haproxy",
              readOnly: true,
            },
          ]) as unknown,
        },
      },
    });
  });

  test("know all registries in the same order, and the MinIO of their own node first", () => {
    const servers = (node: string, backend: string) => {
      const [, text = ""] = (filesOf(recorder, node, "haproxy")["servers.cfg"] ?? "").split(
        `backend ${backend} from `,
      );
      return [...(text.split("\nbackend ")[0] ?? "").matchAll(/^ +server (\S+)/gm)].map(([, name]) => name);
    };
    for (const node of nodes)
      expect(servers(node, "registries")).toEqual(nodes.map((name) => `registry-${name}`));
    expect(servers("coreos2", "minio")).toEqual(
      ["coreos2", "coreos3", "coreos4", "coreos1"].map((name) => `minio-${name}`),
    );
  });

  test("keep the key and the password hashes secret, and show the rest", () => {
    const { inputs } = recorder.named("proxies-coreos1");
    expect(secretPaths(inputs).sort()).toEqual([
      "connection.privateKey",
      "files.[/etc/moorage/nginx/wanted/front.key].content",
      "files.[/etc/moorage/nginx/wanted/users.htpasswd].content",
    ]);
    const files = filesOf(recorder, "coreos1", "nginx");
    expect(files["front.key"]).toBe("private ca-front-key");
    expect(files["front.pem"]).toBe("certificate ca-front-certificate");
    expect(files["users.htpasswd"]).toBe(
      `admin:private hash users-admin\nreader:private hash users-reader\n-:$2a$10$${".".repeat(53)}\n`,
    );
    expect(files["users.js"]).toContain("public/");
    expect(files["users.js"]).not.toContain("private");
    expect(files["neighbours.conf"]?.match(/(?:allow|include) [^;]*/g)).toEqual([
      "allow 127.0.0.1",
      "include /tmp/node.conf",
      ...["10.0.2.11", "10.0.2.12", "10.0.2.13", "10.0.2.14"].map((address) => `allow ${address}`),
    ]);
  });

  test("have a certificate for the registry's names, its address and those of the nodes", async () => {
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

  test("limit clients and the cache as the configuration says", async () => {
    const limits = { connections: 20, writesPerUser: 10, requestsPerSecond: 30, layerGibibytes: 40 };
    const files = filesOf(await withEdge({ limits, cache: { size: 3 } }), "coreos1", "nginx");
    const text = Object.values(files).join("");
    const expected = ["limit_conn connections 20;", "limit_conn writes 10;", "rate=30r/s"];
    for (const one of [...expected, "client_max_body_size 40g;", "max_size=3g"]) expect(text).toContain(one);
  });
});

describe("the edge", () => {
  test("is nginx on the Swarm, and keepalived on each edge node", () => {
    expect(recorder.children("edge")).toEqual([
      ...nodes.map((node) => `NodeFilesPart edge-keepalived-${node}`),
      "SwarmService nginx",
    ]);
    expect(recorder.children("nginx")).toEqual(["Converged nginx-converged", "Service nginx"]);
    expect(recorder.outputs.get("edge")).toEqual({ url: "https://10.0.2.10" });
  });

  test("runs nginx without root on every edge node, on the registry's port, after its files and the registries", () => {
    const { inputs, dependencies } = recorder.named("nginx");
    expect(inputs).toMatchObject({
      mode: { global: true },
      updateConfig: { failureAction: "rollback", order: "stop-first", parallelism: 1 },
      endpointSpec: { ports: [{ publishedPort: 443, targetPort: 8443, publishMode: "host" }] },
      taskSpec: {
        placement: { constraints: ["node.labels.moorage.edge==true"] },
        containerSpec: {
          image: "image/nginx",
          user: "65533:65533",
          commands: ["/bin/sh", "/etc/moorage/nginx/current/start.sh"],
          mounts: expect.arrayContaining([
            { type: "bind", source: "/etc/moorage/nginx", target: "/etc/moorage/nginx", readOnly: true },
            {
              type: "bind",
              source: "/var/lib/moorage/cache",
              target: "/var/cache/nginx",
              readOnly: false,
            },
          ]) as unknown,
        },
      },
    });
    expect(dependencies).toEqual(
      expect.arrayContaining(nodes.flatMap((node) => [`proxies-${node}`, `registry-${node}-converged`])),
    );
  });
});

describe("keepalived", () => {
  const keepalivedFiles = (from: Recorder, node: string) =>
    (
      plain(from.named(`edge-keepalived-${node}`).inputs) as {
        files: Record<string, { content: string; agreed?: true }>;
      }
    ).files;
  const fileOf = (from: Recorder, node: string, name: string): string =>
    Object.entries(keepalivedFiles(from, node)).find(([path]) => path.endsWith(`/${name}`))?.[1].content ??
    "";
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
    const former = keepalivedFiles(recorder, "coreos2");
    const after = keepalivedFiles(await withEdge({ virtualRouterId: 52, vip: "10.0.2.20" }), "coreos2");
    const changed = Object.keys(after).filter((path) => after[path]?.content !== former[path]?.content);
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
      password: "private users-admin",
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
        ...nodes.flatMap((node) => [`edge-keepalived-${node}`]),
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
