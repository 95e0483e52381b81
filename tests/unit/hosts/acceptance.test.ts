import { describe, expect, it } from "vitest";
import { acceptance, acceptanceReport } from "../../../hosts/src/acceptance";
import { checkLocation } from "../../../hosts/src/acceptance/registry";
import { judgeNodes, judgeServices } from "../../../hosts/src/acceptance/swarm";
import type { AcceptanceInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import type { SwarmNode, SwarmService } from "../../../hosts/src/swarm/types";
import { verifyStorage } from "../../../hosts/src/verify/swarm";
import { edgePath, startEdgeNode } from "./support/edge-node";
import { frame, startDocker, startManager } from "./support/fake-docker";
import type { FakeDocker, Seen } from "./support/fake-docker";
import { startRegistry } from "./support/fake-registry";
import type { Faults } from "./support/fake-registry";
import { logged, startServer } from "./support/stop";

const VIP = "10.0.2.10";

async function stack(faults: Faults = {}, days?: number) {
  const registry = await startRegistry("registry.test", faults, days);
  const docker: FakeDocker = await startManager("swarm-1");
  docker.on("GET", /^\/services$/, () => ({ json: [] }));
  const server = await startServer({
    env: { PATH: edgePath(VIP) },
    sockets: { [DOCKER_SOCKET]: docker.path },
    addresses: { [`${VIP}:443`]: registry.port },
  });
  const inputs: AcceptanceInputs = {
    fingerprint: "1",
    managers: [server.connection()],
    nodes: [server.connection({ node: "off", port: 1 }), server.connection()],
    edgeNodes: ["swarm-1"],
    registryAddress: VIP,
    registryPort: 443,
    registryName: "registry.test",
    caCertificate: registry.ca,
    username: "check",
    password: "secret",
    repository: "moorage/check",
    storageServices: {},
    timeoutSeconds: 1,
  };
  return { registry, docker, server, inputs };
}

const failed = (inputs: AcceptanceInputs) =>
  acceptance.create(inputs).then(
    () => "passed",
    (error: Error) => error.message,
  );

describe("acceptance", () => {
  it("pushes, pulls and lists through a node that is up, leaves nothing behind, and runs again if the deployment changes", async () => {
    const { registry, docker, inputs } = await stack();
    const { id, outs } = await acceptance.create(inputs);
    expect(id).toBe("acceptance");
    expect(outs.report.map(({ name, status }) => `${name} ${status}`)).toEqual([
      "certificate ok",
      "login ok",
      "push and pull ok",
      "catalog ok",
      "VIP ok",
      "nodes ok",
      "services ok",
      "storage ok",
    ]);
    expect([...registry.stored.keys()].filter((key) => key.startsWith("sha256:"))).toEqual([]);
    const before = registry.connections;
    expect(before).toBeGreaterThan(10);
    const timeoutSeconds = 2;
    expect(await acceptance.update("", outs, { ...inputs, timeoutSeconds })).toEqual({
      ...outs,
      timeoutSeconds,
    });
    expect(registry.connections).toBe(before);

    const down = { Spec: { Availability: "active" }, Status: { State: "down" } };
    docker.on("GET", /^\/nodes$/, () => ({ json: [{ ID: "1", Description: { Hostname: "c" }, ...down }] }));
    const again = await acceptance.update("", outs, { ...inputs, fingerprint: "2" });
    expect(registry.connections).toBeGreaterThan(before);
    // Lost redundancy is a warning.
    expect(again.report.find(({ name }) => name === "nodes")).toEqual({
      name: "nodes",
      status: "warning",
      detail: "c is down",
    });
    expect(logged).toContain("warning: nodes: c is down");
  });

  it("fails if the registry does not do what it should", async () => {
    const faults: { -readonly [Key in keyof Faults]: Faults[Key] } = {};
    const { inputs } = await stack(faults);
    const { registry: other } = await stack();
    const cases: [Faults, Partial<AcceptanceInputs>, RegExp][] = [
      [{ open: true }, {}, /login: GET \/v2\/ without credentials: status 200, not 401/],
      [
        { location: "http://registry-a:5000" },
        {},
        /push and pull: Location leads to http:\/\/registry-a:5000/,
      ],
      [{ pushStatus: 503 }, {}, /push and pull: starting an upload: status 503, not 202 \(no\)/],
      [{ forgetTags: true }, {}, /the pushed tag is not in the list/],
      [{ alter: true }, {}, /what was pulled is not what was pushed/],
      [{}, { password: "wrong-password" }, /login: GET \/v2\/ with credentials: status 401/],
      [{}, { registryName: "other.test" }, /registry: .*(Hostname|altnames)/s],
      [{}, { caCertificate: other.ca }, /registry: .*certificate/s],
      [
        {},
        { registryPort: 444 },
        /registry: .*by way of any node:\n.*off: no SSH connection.*\n.*swarm-1: no connection to 10\.0\.2\.10:444/,
      ],
    ];
    for (const [fault, changes, expected] of cases) {
      for (const key of Object.keys(faults) as (keyof Faults)[]) delete faults[key];
      Object.assign(faults, fault);
      const message = await failed({ ...inputs, ...changes });
      expect(message).toMatch(expected);
      expect(message).not.toContain("wrong-password");
    }
  });

  it("fails if two edge nodes have the VIP, though the registry does what it should", async () => {
    const { inputs } = await stack();
    const other = (await startEdgeNode("swarm-2", VIP)).connection();
    const edgeNodes = ["swarm-1", "swarm-2"];
    const message = await failed({ ...inputs, nodes: [...inputs.nodes, other], edgeNodes });
    expect(message).toMatch(/^acceptance: 1 of 8 checks failed .*\n {2}VIP: 10\.0\.2\.10 is on swarm-1 and/);
    expect(message).toContain("IP protocol 112");
  });

  it("warns of a certificate that ends soon", async () => {
    const { inputs } = await stack({}, 3);
    const report = await acceptanceReport(inputs);
    expect(report[0]).toMatchObject({
      name: "certificate",
      status: "warning",
      detail: expect.stringMatching(/valid for [23] more days, for DNS:registry.test/) as string,
    });
  });
});

interface StorageNode {
  /** Whether SSH can reach it. */
  up: boolean;
  /** Whether a container of MinIO runs there. */
  runs: boolean;
  /** The exit code of `mc ready`. */
  code: number;
}

const commandOf = ({ body }: Seen) => (JSON.parse(body) as { Cmd: string[] }).Cmd.join(" ");

/** A node with MinIO, whose state may change. */
async function storageNode(name: string) {
  const state: StorageNode = { up: true, runs: true, code: 0 };
  const docker = await startDocker();
  const wanted = `com.docker.swarm.service.name=minio-${name}`;
  docker.on("GET", /^\/containers\/json$/, ({ query }) => ({
    json: state.runs && query.get("filters")?.includes(`"${wanted}"`) ? [{ Id: "minio", Created: 1 }] : [],
  }));
  docker.on("POST", /^\/containers\/minio\/exec$/, () => ({ json: { Id: "1" } }));
  docker.on("GET", /^\/exec\/1\/json$/, () => ({ json: { ExitCode: state.code } }));
  docker.onUpgrade = (_seen, socket) =>
    socket.end(state.code === 0 ? frame(1, "The cluster is ready") : frame(2, "The cluster is unhealthy"));
  const server = await startServer({ node: name, sockets: { [DOCKER_SOCKET]: docker.path } });
  return { state, docker, connection: () => server.connection(state.up ? {} : { port: 1 }) };
}

describe("acceptance of the storage", () => {
  const unhealthy = "asking MinIO for its write quorum failed with exit code 1: The cluster is unhealthy";

  it("asks each node's MinIO for the write quorum; one of them is enough", async () => {
    const { inputs } = await stack();
    const one = await storageNode("storage-1");
    const two = await storageNode("storage-2");
    const withStorage = (first: Partial<StorageNode>, second: Partial<StorageNode>): AcceptanceInputs => {
      Object.assign(one.state, { up: true, runs: true, code: 0 }, first);
      Object.assign(two.state, { up: true, runs: true, code: 0 }, second);
      return {
        ...inputs,
        nodes: [...inputs.nodes, one.connection(), two.connection()],
        storageServices: { "storage-1": "minio-storage-1", "storage-2": "minio-storage-2" },
      };
    };
    const storage = async (first: Partial<StorageNode>, second: Partial<StorageNode>) =>
      (await acceptance.create(withStorage(first, second))).outs.report.at(-1);
    expect(await storage({}, {})).toEqual({
      name: "storage",
      status: "ok",
      detail: "write quorum, 2 of 2 nodes serve",
    });
    const asked = [one, two].map(({ docker }) => docker.calls("POST", /\/exec$/).map(commandOf));
    expect(asked).toEqual(Array(2).fill(["mc --quiet --no-color ready local"]));

    const cases: [Partial<StorageNode>, Partial<StorageNode>, string][] = [
      [{}, { runs: false }, "storage-2: no container of minio-storage-2 runs here"],
      [{ runs: false }, {}, "storage-1: no container of minio-storage-1 runs here"],
      [{ up: false }, {}, "storage-1: no SSH connection"],
      [{ code: 1 }, {}, "storage-1: asking MinIO for its write quorum failed"],
    ];
    for (const [first, second, reason] of cases) {
      const { detail, ...result } = (await storage(first, second)) ?? {};
      expect(result).toEqual({ name: "storage", status: "warning" });
      expect(detail).toContain(`write quorum, 1 of 2 nodes serve: ${reason}`);
      expect(logged).toContain(`warning: storage: ${detail}`);
    }
    const without = await failed(withStorage({ code: 1 }, { code: 1 }));
    expect(without).toMatch(/^acceptance: 1 of 8 checks failed/);
    expect(without).toContain(
      `no storage node serves:\n  storage-1: ${unhealthy}\n  storage-2: ${unhealthy}`,
    );
    const unknown = await failed(withStorage({ runs: false }, { up: false }));
    expect(unknown).toContain("storage-1: no container of minio-storage-1 runs here");
    expect(unknown).toMatch(/storage-2: no SSH connection/);

    // `verify` checks each node's MinIO.
    const [first, second] = await verifyStorage(withStorage({}, { code: 1 }));
    expect(first).toEqual({ name: "storage-1", green: true, detail: "MinIO runs, write quorum" });
    expect(second).toMatchObject({ name: "storage-2", green: false });
    expect(second?.detail).toMatch(/: MinIO runs, but has no write quorum: .*The cluster is unhealthy/);
    const [gone] = await verifyStorage(withStorage({ runs: false }, {}));
    expect(gone?.detail).toContain("no container of minio-storage-1 runs here");
  });
});

describe("judgements", () => {
  const node = (name: string, changes: object): SwarmNode =>
    ({
      ID: name,
      Spec: { Availability: "active" },
      Description: { Hostname: name },
      Status: { State: "ready" },
      ...changes,
    }) as SwarmNode;

  it("of nodes", () => {
    expect(judgeNodes([node("a", {})])).toMatchObject({ status: "ok" });
    const troubles = [
      node("a", { ManagerStatus: { Reachability: "unreachable" } }),
      node("b", { Spec: { Availability: "drain" } }),
    ];
    expect(judgeNodes(troubles)).toMatchObject({
      status: "warning",
      detail: "manager a is not reachable, b takes no tasks (drain)",
    });
  });

  it("of services", () => {
    const service = (RunningTasks: number) =>
      ({ Spec: { Name: "web" }, ServiceStatus: { RunningTasks, DesiredTasks: 2 } }) as SwarmService;
    expect(judgeServices([service(2)])).toMatchObject({ status: "ok" });
    expect(judgeServices([service(1)])).toMatchObject({ status: "warning", detail: "web runs 1 of 2" });
  });

  it("of where an answer leads", () => {
    const client = { host: "r.test:8443" };
    expect(checkLocation(client, { headers: { location: "/v2/x?y=1" } })).toBe("/v2/x?y=1");
    expect(checkLocation(client, { headers: { location: "https://r.test:8443/v2/x" } })).toBe("/v2/x");
    expect(() => checkLocation(client, { headers: { location: "https://r.test/v2/x" } })).toThrow(
      /leads to https:\/\/r\.test/,
    );
    expect(() => checkLocation(client, { headers: {} })).toThrow(/without a Location/);
  });
});
