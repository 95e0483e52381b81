import { beforeAll, describe, expect, test } from "vitest";
import { contentOf, plain, secretPaths, type Recorder } from "../support/mocks";
import type { RawConfig } from "../support/stacks";
import { differences, edgeOf, identities, labConfig, recorded, registryOf, standingNodes } from "./parts";
import { storeOf, swarmOf } from "./parts";

function edge(change?: (raw: RawConfig) => void, ...without: string[]): Promise<Recorder> {
  return recorded(() => {
    const config = labConfig(change);
    const nodes = standingNodes(config, ...without);
    const swarm = swarmOf(config, nodes);
    const store = storeOf(config, nodes, swarm);
    edgeOf(config, nodes, swarm, store, registryOf(config, nodes, swarm, store));
  });
}

function fileOf(recorder: Recorder, node: string, name: string): string {
  const { files } = plain(recorder.named(`edge-keepalived-${node}`).inputs) as {
    files: Record<string, { content: string }>;
  };
  const found = Object.entries(files).find(([path]) => path.endsWith(`/${name}`));
  return found?.[1].content ?? "";
}

function peersOf(recorder: Recorder, node: string): string[] {
  const peers = /unicast_peer \{([^}]*)\}/.exec(fileOf(recorder, node, "router.conf"))?.[1] ?? "";
  return peers.trim().split(/\s+/);
}

function leaveEdge({ nodes = {} }: RawConfig, ...names: string[]): void {
  for (const name of names) {
    const { roles } = nodes[name] as { roles: string[] };
    roles.splice(roles.indexOf("edge"), 1);
  }
}

describe("the front", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await edge()));

  test("is nginx on the Swarm, and keepalived on each edge node", () => {
    expect(recorder.children("edge")).toEqual([
      ...[1, 2, 3, 4].map((at) => `NodeFilesPart edge-keepalived-coreos${at}`),
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

  test("runs nginx on every edge node, on the registry's port, without root", () => {
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
      expect.arrayContaining([1, 2, 3, 4].map((at) => `registry-coreos${at}-converged`)),
    );
  });

  test("has a certificate for the registry's names, its address and those of the nodes", async () => {
    const names = (from: Recorder) => plain(from.named("ca-front-request").inputs);
    const addresses = ["10.0.2.10", "127.0.0.1", "10.0.2.11", "10.0.2.12", "10.0.2.13", "10.0.2.14"];
    expect(names(recorder)).toMatchObject({
      subject: { commonName: "10.0.2.10" },
      dnsNames: ["localhost"],
      ipAddresses: addresses,
    });
    const named = await edge((raw) =>
      Object.assign(raw.edge ?? {}, { hostname: "r.example.com", port: 5443 }),
    );
    expect(names(named)).toMatchObject({
      subject: { commonName: "r.example.com" },
      dnsNames: ["r.example.com", "localhost"],
      ipAddresses: addresses,
    });
    expect(named.outputs.get("edge")).toEqual({ url: "https://r.example.com:5443" });
  });

  test("keeps its key and the password hashes secret, and shows the rest", () => {
    const secret = ["nginx-key", "nginx-previous-users", "nginx-users"];
    const shown = ["nginx", "nginx-certificate", "nginx-config", "nginx-rights", "nginx-rights-script"];
    for (const name of secret) expect(secretPaths(recorder.named(name).inputs)).toEqual(["data"]);
    for (const name of shown) expect(secretPaths(recorder.named(name).inputs)).toEqual([]);
    expect(contentOf(recorder.named("nginx-key"))).toBe("private ca-front-key");
    expect(contentOf(recorder.named("nginx-certificate"))).toBe("certificate ca-front-certificate");
    expect(contentOf(recorder.named("nginx-users"))).toBe(
      "admin:private hash registry-user-admin\nreader:private hash registry-user-reader\n",
    );
    expect(contentOf(recorder.named("nginx-previous-users"))).toBe("admin:private hash before\n");
    expect(contentOf(recorder.named("nginx-config"))).toContain('"user:admin" 1800000000;');
    expect(contentOf(recorder.named("nginx-config"))).toContain(
      'set $fronts "10.0.2.11:443 10.0.2.12:443 10.0.2.13:443 10.0.2.14:443";',
    );
    for (const node of ["coreos1", "coreos2", "coreos3", "coreos4"])
      expect(contentOf(recorder.named("nginx-pick-script"))).toContain(
        `{"name":"registry-${node}","urls":["http://registry-${node}:5000/","http://s3-${node}:9000/healthz"]}`,
      );
    expect(contentOf(recorder.named("nginx-rights"))).toContain("public/");
    expect(contentOf(recorder.named("nginx-rights"))).not.toContain("private");
  });

  test("gives each node keepalived with the others as peers, once nginx answers", () => {
    const { inputs, dependencies } = recorder.named("edge-keepalived-coreos2");
    expect(inputs).toMatchObject({ part: "edge", connection: { node: "coreos2", host: "10.0.2.12" } });
    expect(secretPaths(inputs)).toEqual(["connection.privateKey"]);
    expect(dependencies).toContain("nginx-converged");
    expect(fileOf(recorder, "coreos2", "router.conf")).toMatch(/unicast_src_ip 10\.0\.2\.12\n/);
    expect(peersOf(recorder, "coreos2")).toEqual(["10.0.2.11", "10.0.2.13", "10.0.2.14"]);
  });

  test("gives the only edge node all other nodes as peers, as without any it would heed everybody", async () => {
    const only = await edge((raw) => leaveEdge(raw, "coreos1", "coreos3", "coreos4"));
    expect(peersOf(only, "coreos2")).toEqual(["10.0.2.11", "10.0.2.13", "10.0.2.14"]);
    expect(fileOf(only, "coreos2", "check-front")).toContain('peers=""\n');
  });

  test("has a file of its own for what nodes have to agree on, which comes on all of them at once", async () => {
    const parts = (from: Recorder): Record<string, { content: string; agreed?: true }> =>
      (plain(from.named("edge-keepalived-coreos2").inputs) as { files: Record<string, { content: string }> })
        .files;
    const [before, after] = [
      parts(recorder),
      parts(await edge((raw) => Object.assign(raw.edge ?? {}, { virtualRouterId: 52, vip: "10.0.2.20" }))),
    ];
    const changed = Object.keys(after).filter((path) => after[path]?.content !== before[path]?.content);
    // The guard takes the VIP away where keepalived is dead, and is no part of what nodes agree by.
    expect(changed).toEqual(["/etc/moorage/keepalived/router.conf", "/etc/moorage/vip-guard"]);
    expect(Object.keys(after).filter((path) => after[path]?.agreed)).toEqual(changed.slice(0, 1));
  });

  test("prefers the earlier nodes, each by a priority of its own", () => {
    const priorities = [1, 2, 3, 4].map((at) =>
      Number(/\n\s+priority (\d+)\n/.exec(fileOf(recorder, `coreos${at}`, "keepalived.conf"))?.[1]),
    );
    expect(priorities).toEqual([200, 199, 198, 197]);
  });

  test("lets each edge node tell by all other nodes whether it is cut off, and ask its neighbours alone for more", async () => {
    const two = await edge((raw) => leaveEdge(raw, "coreos3", "coreos4"));
    const check = fileOf(two, "coreos2", "check-front");
    expect(check).toContain('peers="10.0.2.11"\n');
    expect(check).toContain('witnesses="10.0.2.11 10.0.2.13 10.0.2.14"\n');
    expect(check).toContain("if cut_off && cut_off; then exit 1; fi");
  });

  test("limits clients as its configuration says", async () => {
    const limits = { connections: 20, requestsPerSecond: 30, layerGibibytes: 40 };
    const limited = contentOf(
      (await edge((raw) => Object.assign(raw.edge ?? {}, { limits }))).named("nginx-config"),
    );
    for (const text of ["limit_conn connections 20;", "rate=30r/s", "client_max_body_size 40g;"]) {
      expect(limited).toContain(text);
    }
  });

  test("changes nginx's configuration for another timeout, and what runs with it", async () => {
    const slower = await edge((raw) => Object.assign(raw.edge ?? {}, { proxyTimeoutSeconds: 1234 }));
    expect(contentOf(slower.named("nginx-config"))).toContain("1234s");
    expect(differences(recorder, slower)).toEqual([
      "~ Converged nginx-converged",
      "~ Service nginx",
      "~ ServiceConfig nginx-config",
      "~ ServiceTurn nginx-turn",
    ]);
  });

  test("renames nothing when a node is taken away", async () => {
    const fewer = await edge(undefined, "coreos2");
    expect(identities(fewer)).toEqual(identities(recorder).filter((one) => !one.includes("coreos2")));
  });
});
