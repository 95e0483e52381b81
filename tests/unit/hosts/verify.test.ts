import { describe, expect, it } from "vitest";
import type { AcceptanceInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import type { SwarmNode, SwarmService } from "../../../hosts/src/swarm/types";
import { verifyRecorded } from "../../../hosts/src/verify";
import { parseSends } from "../../../hosts/src/verify/etcd";
import { clockCheck, expiryCheck, parseNode, unitCheck } from "../../../hosts/src/verify/node";
import { stackIn, type RecordedStack } from "../../../hosts/src/verify/recorded";
import { checksOf } from "../../../hosts/src/verify/report";
import { nodesCheck, overlayChecks, rowsOf, serviceChecks } from "../../../hosts/src/verify/swarm";
import { ipTool, startEdgeNode } from "./support/edge-node";
import { startManager } from "./support/fake-docker";
import { certificate, startRegistry } from "./support/fake-registry";
import { Sandbox } from "./support/sandbox";

const VIP = "10.0.2.10";
const systemctl = (states: Record<string, string>) => `#!/bin/sh
case "$2" in
${Object.entries(states)
  .map(
    ([unit, state]) =>
      `  ${unit}) printf 'Result=exit-code\\nType=simple\\nNRestarts=7\\nActiveState=${state}\\nSubState=x\\n' ;;`,
  )
  .join("\n")}
esac
`;
const network = {
  Id: "overlay-1",
  IPAM: { Config: [{ Subnet: "10.20.1.0/24" }] },
  Options: { encrypted: "" },
  Peers: [{ IP: "10.0.2.12" }, { IP: "10.0.2.11" }],
  Containers: { b: { Name: "nginx.1", IPv4Address: "10.20.1.9/24" } },
};
const dockerTool = `#!/bin/sh
case "$1" in
  info) echo 28.5.2 active ;;
  network) echo '${JSON.stringify(network)}' ;;
esac
`;

/** A node that is up behind an SSH server, a node that is off, and a registry behind the first. */
async function stack(states: Record<string, string> = {}) {
  const registry = await startRegistry("registry.test");
  const docker = await startManager("coreos1");
  docker
    .on("GET", /^\/services$/, () => ({
      json: [{ Spec: { Name: "nginx", Mode: {} }, ServiceStatus: { RunningTasks: 1, DesiredTasks: 1 } }],
    }))
    .on("GET", /^\/nodes$/, () => ({ json: [swarmNode("coreos1")] }));
  const tools = {
    docker: dockerTool,
    ip: ipTool(VIP),
    systemctl: systemctl({ "docker.service": "active", ...states }),
  };
  const sandbox = await Sandbox.start(tools, {
    node: "coreos1",
    sockets: { [DOCKER_SOCKET]: docker.path },
    addresses: { [`${VIP}:443`]: registry.port },
  });
  const connection = sandbox.server.connection();
  const acceptance: AcceptanceInputs = {
    fingerprint: "1",
    managers: [connection],
    nodes: [connection],
    edgeNodes: ["coreos1"],
    registryAddress: VIP,
    registryPort: 443,
    registryName: "registry.test",
    caCertificate: registry.ca,
    username: "check",
    password: "secret",
    repository: "moorage/check",
    storageServices: {},
    timeoutSeconds: 60,
  };
  const recorded: RecordedStack & Required<Pick<RecordedStack, "acceptance">> = {
    name: "dev",
    nodes: [
      {
        name: "coreos1",
        connection,
        address: "10.0.2.11",
        role: "manager",
        units: ["docker.service", ...Object.keys(states)],
        outdated: [],
      },
    ],
    acceptance: { ...acceptance, report: [] },
    secrets: ["said too much"],
  };
  return { sandbox, docker, registry, connection, recorded };
}

function swarmNode(name: string, changes: Partial<SwarmNode> = {}): SwarmNode {
  return {
    ID: `id-${name}`,
    Version: { Index: 1 },
    Spec: { Role: "manager", Availability: "active", Labels: { region: "dc1" } },
    Description: { Hostname: name },
    Status: { State: "ready", Addr: "0.0.0.0" },
    ManagerStatus: { Leader: true, Reachability: "reachable", Addr: "10.0.2.11:2377" },
    ...changes,
  };
}

const reds = (report: Parameters<typeof checksOf>[0]) =>
  checksOf(report)
    .filter(([, { green }]) => !green)
    .map(([where, { name, detail }]) => `${where} ${name}: ${detail}`);

describe("a stack", () => {
  it("is green where all is as it should be, and nothing stays behind", async () => {
    const { recorded, registry, sandbox } = await stack();
    sandbox.write("etc/docker/tls/cert.pem", certificate("coreos1", 30).cert);
    const report = await verifyRecorded(recorded);
    expect(reds(report)).toEqual([]);
    expect(report.green).toBe(true);
    expect(checksOf(report).map(([where, { name }]) => `${where} ${name}`)).toEqual([
      "coreos1 clock",
      "coreos1 docker.service",
      "coreos1 docker",
      "coreos1 /etc/docker/tls/cert.pem",
      "swarm nodes",
      "swarm overlay",
      "services nginx",
      "certificates authority",
      "certificates front",
      "registry VIP",
      "registry front",
      "registry login",
      "registry push and pull",
    ]);
    expect([...registry.stored.keys()].filter((key) => key.startsWith("sha256:"))).toEqual([]);
    expect(report.overlay).toEqual([
      {
        node: "coreos1",
        id: "overlay-1",
        subnet: "10.20.1.0/24",
        encrypted: true,
        peers: ["10.0.2.11", "10.0.2.12"],
        containers: { "nginx.1": "10.20.1.9/24" },
      },
    ]);
    expect(report.swarmNodes).toEqual([
      {
        ...{ id: "id-coreos1", name: "coreos1", address: "10.0.2.11", role: "manager", leader: true },
        ...{ availability: "active", state: "ready", labels: { region: "dc1" } },
      },
    ]);
  });

  it("is red for a unit in trouble, with its journal and how to see more, and without secrets", async () => {
    const { recorded, sandbox } = await stack({ "moorage-keepalived.service": "failed" });
    // Of another boot it has nothing to say.
    const journal = 'case " $* " in *" -b "*) echo "the password is said too much" ;; esac';
    sandbox.tool("journalctl", `#!/bin/sh\n${journal}\n`);
    const report = await verifyRecorded(recorded);
    expect(report.green).toBe(false);
    expect(report.nodes.coreos1?.checks.filter(({ green }) => !green)).toEqual([
      {
        name: "moorage-keepalived.service",
        green: false,
        detail: "failed (x), restarted 7 times, result exit-code",
        more: ["the password is [secret]", "more: journalctl -b -u moorage-keepalived.service"],
      },
    ]);
  });

  it("is red for a node that is off, and green for all that does not need it", async () => {
    const { recorded, connection } = await stack();
    const off = { ...connection, node: "coreos2", port: 1 };
    const [first] = recorded.nodes;
    const other = first && { ...first, name: "coreos2", connection: off, units: [] };
    const report = await verifyRecorded({ ...recorded, nodes: other ? [...recorded.nodes, other] : [] });
    expect(reds(report)).toEqual([
      expect.stringMatching(/^coreos2 reached: no SSH connection to core@127\.0\.0\.1:1 after 1 attempt/),
    ]);
    expect(report.subjects.registry?.every(({ green }) => green)).toBe(true);
  });

  it("is red for a node whose files are not those of the last update", async () => {
    const { recorded } = await stack();
    const nodes = recorded.nodes.map((node) => ({ ...node, outdated: ["proxies"] }));
    expect(reds(await verifyRecorded({ ...recorded, nodes }))).toEqual([
      expect.stringMatching(/^coreos1 files: not those of the last update \(proxies\): run `pulumi up`/),
    ]);
  });

  it("is red where two edge nodes have the VIP, though everything else works", async () => {
    const { recorded } = await stack();
    const { acceptance } = recorded;
    const nodes = [...acceptance.nodes, (await startEdgeNode("coreos2", VIP)).connection()];
    const edgeNodes = ["coreos1", "coreos2"];
    const report = await verifyRecorded({ ...recorded, acceptance: { ...acceptance, nodes, edgeNodes } });
    expect(reds(report)).toEqual([
      expect.stringMatching(/^registry VIP: 10.0.2.10 is on coreos1 and coreos2/),
    ]);
    expect(report.subjects.registry?.[0]?.more?.[0]).toContain("IP protocol 112");
  });

  it("is red where a push fails", async () => {
    const { recorded } = await stack();
    const registry = await startRegistry("registry.test", { pushStatus: 503 });
    const { acceptance } = recorded;
    const sandbox = await Sandbox.start(
      { ip: ipTool(VIP) },
      { node: "coreos1", addresses: { [`${VIP}:443`]: registry.port } },
    );
    const nodes = [sandbox.server.connection()];
    const changed = { ...acceptance, nodes, caCertificate: registry.ca };
    const report = await verifyRecorded({ ...recorded, acceptance: changed });
    expect(reds(report)).toEqual([
      expect.stringMatching(/^registry push and pull: starting an upload: status 503/),
    ]);
  });
});

describe("a stack's state", () => {
  const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
  const secret = (value: unknown) => ({ ...SECRET, plaintext: JSON.stringify(value) });
  const connection = {
    node: "b",
    host: "10.0.2.12",
    port: 22,
    user: "core",
    privateKey: "the private login",
  };
  const of = (type: string, outputs: Record<string, unknown>, inputs?: Record<string, unknown>) => ({
    urn: "urn:pulumi:prod::moorage::x::y",
    type: `pulumi-nodejs:dynamic/moorage:${type}`,
    outputs,
    ...(inputs && { inputs }),
  });

  it("tells nodes with their units, and what must never be shown", () => {
    const member = (node: string, role: string, wrapped: unknown) =>
      of("SwarmMember", { node, role, advertiseAddr: "10.0.2.12", connection: wrapped });
    const units = {
      "x.service": { enabled: true },
      "y.service": { enabled: false },
      "docker.service": { enabled: true },
    };
    const resources = [
      member("b", "worker", secret(connection)),
      member("a", "manager", { ...connection, node: "a" }),
      of("DataDisk", { connection: secret(connection), label: "moorage-data" }),
      // Its outputs are as a refresh has found them.
      of(
        "NodeFilesPart",
        { part: "base", connection: secret(connection), units: { "x.service": { enabled: "partly" } } },
        { part: "base", connection: secret(connection), units },
      ),
      of(
        "NodeFilesPart",
        { part: "proxies", connection, files: { "/a": secret("old") }, units: {} },
        { part: "proxies", connection, files: { "/a": secret("new") }, units: {} },
      ),
      {
        urn: "urn:x",
        type: "random:index/randomPassword:RandomPassword",
        outputs: { result: secret("a password") },
      },
    ];
    const recorded = stackIn(resources);
    expect(recorded.name).toBe("prod");
    expect(recorded.nodes.map(({ name, role, units, outdated }) => [name, role, units, outdated])).toEqual([
      ["a", "manager", ["docker.service"], []],
      ["b", "worker", ["docker.service", "moorage-data.service", "x.service"], ["proxies"]],
    ]);
    expect(recorded.secrets).toEqual(["the private login", "a password"]);
  });

  it("without nodes is one that was never brought up", () => {
    expect(() => stackIn([])).toThrow(/has no nodes in its state: run `pulumi up`/);
  });
});

describe("single findings", () => {
  const unit = {
    ...{ name: "moorage-etcd.service", active: "active", sub: "running", result: "success", restarts: 0 },
    ...{ type: "simple", journal: ["said"] },
  };
  const facts = { data: true, initial: "", active: "active", stale: false, journal: [] };

  const once = { ...unit, type: "oneshot", active: "inactive", sub: "dead" };
  it.each<[string, Parameters<typeof unitCheck>, boolean, string?]>([
    ["a unit that runs", [unit, undefined], true],
    ["etcd with data", [unit, facts], true],
    [
      "etcd without data",
      [unit, { ...facts, data: false }],
      false,
      "its member has no data and waits to be added: `pulumi up --refresh` replaces it",
    ],
    ["etcd without its disk", [unit, { ...facts, data: undefined }], false, "its data disk is not mounted"],
    ["one that runs once and ended well", [once, undefined], true],
    ["one that runs once and failed", [{ ...once, result: "exit-code" }, undefined], false],
    ["one that has ended", [{ ...once, type: "simple" }, undefined], false],
  ])("%s: green or red", (_what, args, green, detail = expect.any(String) as string) => {
    const more = green ? {} : { more: ["said", "more: journalctl -b -u moorage-etcd.service"] };
    expect(unitCheck(...args)).toMatchObject({ green, detail, ...more });
  });

  it("a clock more than five seconds off is red, with its direction", () => {
    expect(clockCheck(4.9).green).toBe(true);
    const detail = expect.stringContaining("3600.0 s behind") as string;
    expect(clockCheck(-3600)).toMatchObject({ green: false, detail });
  });

  it("a certificate is red two weeks before it ends", () => {
    const { cert } = certificate("x", 30);
    const inDays = (days: number) => expiryCheck("x", cert, Date.now() + days * 86_400_000);
    expect(inDays(0).green).toBe(true);
    expect(inDays(20).green).toBe(false);
    expect(inDays(20).detail).toMatch(/^valid for 9 more days, until .*: run `pulumi up`/);
    expect(inDays(40).detail).toMatch(/^expired on/);
  });

  it("a node whose answer is cut short is known by that", () => {
    expect(parseNode("now=1\nunit=docker.service active running success 0 notify\n").complete).toBe(false);
  });

  it("Swarm's nodes are red if they are down, drained or not reachable as a manager", () => {
    const down = swarmNode("b", { Status: { State: "down" } });
    const drained = swarmNode("c", { Spec: { Role: "worker", Availability: "drain" }, ManagerStatus: null });
    const cut = swarmNode("d", { ManagerStatus: { Reachability: "unreachable", Addr: "10.0.2.13:2377" } });
    expect(nodesCheck(rowsOf([cut, drained, down, swarmNode("a")]))).toEqual({
      ...{ name: "nodes", green: false, detail: "1 of 4 ready and active" },
      more: [
        "b is down",
        "c takes no tasks (drain): docker node update --availability active c",
        "d is ready, manager unreachable",
      ],
    });
  });

  it("a service is red with too few tasks, or with none wanted", () => {
    const service = (Name: string, RunningTasks: number, DesiredTasks: number) =>
      ({ Spec: { Name }, ServiceStatus: { RunningTasks, DesiredTasks } }) as SwarmService;
    const checks = serviceChecks([service("b", 3, 4), service("a", 1, 1), service("c", 0, 0)]);
    expect(checks.map(({ name, green, detail }) => `${name} ${green}: ${detail}`)).toEqual([
      "a true: 1 of 1 run",
      "b false: 3 of 4 run",
      "c false: 0 of 0 run",
    ]);
  });

  it("nodes that see different overlays, or none, are told", () => {
    const rest = { subnet: "10.20.1.0/24", encrypted: false, containers: {} };
    const row = (node: string, peers: string[], id = "1") => ({ node, id, peers, ...rest });
    expect(overlayChecks([row("a", ["x"]), row("b", ["x"])], ["a", "b"])).toEqual([
      { name: "overlay", green: true, detail: "10.20.1.0/24, known to 2 nodes" },
    ]);
    expect(overlayChecks([row("a", ["x"]), row("b", [], "2")], ["a", "b", "c"])[0]?.more).toEqual([
      "nodes know different networks: a 1, b 2",
      "a sees x",
      "b sees nobody",
      "c does not know it, though tasks belong there",
    ]);
    expect(overlayChecks([], [])[0]?.green).toBe(false);
  });

  it("what a member sends is read from what it counts", () => {
    const metrics = [
      'etcd_network_peer_sent_bytes_total{To="b"} 2.5e+06',
      'etcd_network_peer_sent_failures_total{To="b"} 3',
      'etcd_network_peer_round_trip_time_seconds_sum{To="b"} 0.02',
      'etcd_network_peer_round_trip_time_seconds_count{To="b"} 4',
      'etcd_network_peer_sent_bytes_total{To="c"} 7',
      'etcd_network_peer_sent_bytes_total{To="d"} 7',
    ].join("\n");
    const names = new Map([
      ["a", "coreos1"],
      ["b", "coreos2"],
      ["c", ""],
    ]);
    expect(parseSends(metrics, names)).toEqual([
      { to: "coreos2", latencyMs: 5, sentBytes: 2_500_000, failed: 3 },
      { to: "c", sentBytes: 7, failed: 0 },
    ]);
  });
});
