import { describe, expect, it } from "vitest";
import { acceptance, acceptanceReport } from "../../../hosts/src/acceptance";
import { checkLocation } from "../../../hosts/src/acceptance/registry";
import { judgeNodes, judgeServices } from "../../../hosts/src/acceptance/swarm";
import type { AcceptanceInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import type { SwarmNode, SwarmService } from "../../../hosts/src/swarm/types";
import { verifyStorage } from "../../../hosts/src/verify/swarm";
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
    sockets: { [DOCKER_SOCKET]: docker.path },
    addresses: { [`${VIP}:443`]: registry.port },
  });
  const inputs: AcceptanceInputs = {
    fingerprint: "1",
    managers: [server.connection()],
    nodes: [server.connection({ node: "off", port: 1 }), server.connection()],
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
  it("pushes, pulls and lists through a node that is up, and leaves nothing behind", async () => {
    const { registry, inputs } = await stack();
    const { id, outs } = await acceptance.create(inputs);
    expect(id).toBe("acceptance");
    expect(outs.report.map(({ name, status }) => `${name} ${status}`)).toEqual([
      "certificate ok",
      "login ok",
      "push and pull ok",
      "catalog ok",
      "nodes ok",
      "services ok",
      "storage ok",
    ]);
    expect([...registry.stored.keys()].filter((key) => key.startsWith("sha256:"))).toEqual([]);
    expect(registry.connections).toBeGreaterThan(10);
  });

  it.each<[string, Faults, RegExp]>([
    ["a registry open to all", { open: true }, /login: GET \/v2\/ without credentials: status 200, not 401/],
    [
      "a Location that leads inside",
      { location: "http://registry-a:5000" },
      /push and pull: Location leads to http:\/\/registry-a:5000/,
    ],
    ["a push refused", { pushStatus: 503 }, /push and pull: starting an upload: status 503, not 202 \(no\)/],
    ["a tag that is not listed", { forgetTags: true }, /the pushed tag is not in the list/],
    ["blobs that come back altered", { alter: true }, /what was pulled is not what was pushed/],
  ])("fails on %s", async (_name, faults, wanted) => {
    const { inputs } = await stack(faults);
    expect(await failed(inputs)).toMatch(wanted);
  });

  it("fails on a wrong password, without showing it", async () => {
    const { inputs } = await stack();
    const message = await failed({ ...inputs, password: "wrong-password" });
    expect(message).toMatch(/login: GET \/v2\/ with credentials: status 401/);
    expect(message).not.toContain("wrong-password");
  });

  it("fails on a certificate of another name or another CA", async () => {
    const { inputs } = await stack();
    expect(await failed({ ...inputs, registryName: "other.test" })).toMatch(
      /registry: .*(Hostname|altnames)/s,
    );
    const { registry } = await stack();
    expect(await failed({ ...inputs, caCertificate: registry.ca })).toMatch(/registry: .*certificate/s);
  });

  it("warns of a certificate that ends soon", async () => {
    const { inputs } = await stack({}, 3);
    const report = await acceptanceReport(inputs);
    expect(report[0]).toMatchObject({
      name: "certificate",
      status: "warning",
      detail: expect.stringMatching(/valid for [23] more days, for DNS:registry.test/),
    });
  });

  it("names every node when none leads to the registry", async () => {
    const { inputs } = await stack();
    const message = await failed({ ...inputs, registryPort: 444 });
    expect(message).toMatch(/registry: .*by way of any node/);
    expect(message).toMatch(/off: no SSH connection/);
    expect(message).toMatch(/swarm-1: no connection to 10\.0\.2\.10:444/);
  });

  it("lets lost redundancy pass with a warning", async () => {
    const { docker, inputs } = await stack();
    docker.on("GET", /^\/nodes$/, () => ({
      json: [
        {
          ID: "1",
          Spec: { Availability: "active" },
          Description: { Hostname: "c" },
          Status: { State: "down" },
        },
      ],
    }));
    const { outs } = await acceptance.create(inputs);
    expect(outs.report.find(({ name }) => name === "nodes")).toEqual({
      name: "nodes",
      status: "warning",
      detail: "c is down",
    });
    expect(logged).toContain("warning: nodes: c is down");
  });

  it("runs only when the digest of what is deployed changes", async () => {
    const { registry, inputs } = await stack();
    const { outs } = await acceptance.create(inputs);
    const before = registry.connections;
    expect(await acceptance.update("", outs, { ...inputs, timeoutSeconds: 2 })).toEqual({
      ...outs,
      timeoutSeconds: 2,
    });
    expect(registry.connections).toBe(before);
    await acceptance.update("", outs, { ...inputs, fingerprint: "2" });
    expect(registry.connections).toBeGreaterThan(before);
  });
});

interface StorageNode {
  /** Whether SSH can reach it. @default true */
  readonly up?: boolean;
  /** Whether a container of MinIO runs there. @default true */
  readonly runs?: boolean;
  /** What `mc ready` ends with. @default 0 */
  readonly code?: number;
}

const commandOf = ({ body }: Seen) => (JSON.parse(body) as { Cmd: string[] }).Cmd.join(" ");

/** A node with MinIO, and what was run in its container. */
async function storageNode(name: string, { up = true, runs = true, code = 0 }: StorageNode) {
  const docker = await startDocker();
  const wanted = `com.docker.swarm.service.name=minio-${name}`;
  docker.on("GET", /^\/containers\/json$/, ({ query }) => ({
    json: runs && query.get("filters")?.includes(`"${wanted}"`) ? [{ Id: "minio", Created: 1 }] : [],
  }));
  docker.on("POST", /^\/containers\/minio\/exec$/, () => ({ json: { Id: "1" } }));
  docker.on("GET", /^\/exec\/1\/json$/, () => ({ json: { ExitCode: code } }));
  docker.onUpgrade = (_seen, socket) =>
    socket.end(code === 0 ? frame(1, "The cluster is ready") : frame(2, "The cluster is unhealthy"));
  const server = await startServer({ node: name, sockets: { [DOCKER_SOCKET]: docker.path } });
  return {
    connection: server.connection(up ? {} : { port: 1 }),
    commands: () => docker.calls("POST", /\/exec$/).map(commandOf),
  };
}

/** The stack with MinIO on its nodes storage-1 and storage-2. */
async function stored(first: StorageNode, second: StorageNode) {
  const { inputs } = await stack();
  const one = await storageNode("storage-1", first);
  const two = await storageNode("storage-2", second);
  return {
    one,
    two,
    inputs: {
      ...inputs,
      nodes: [...inputs.nodes, one.connection, two.connection],
      storageServices: { "storage-1": "minio-storage-1", "storage-2": "minio-storage-2" },
    },
  };
}

describe("acceptance of the storage", () => {
  const asking = "mc --quiet --no-color ready local";
  const found = async (inputs: AcceptanceInputs) => (await acceptance.create(inputs)).outs.report.at(-1);

  it("asks each node's MinIO for the write quorum", async () => {
    const { one, two, inputs } = await stored({}, {});
    expect(await found(inputs)).toEqual({
      name: "storage",
      status: "ok",
      detail: "write quorum, 2 of 2 nodes serve",
    });
    expect([one.commands(), two.commands()]).toEqual([[asking], [asking]]);
  });

  it("is what verify looks at, too: each node's MinIO for itself", async () => {
    const { inputs } = await stored({}, { code: 1 });
    const [first, second] = await verifyStorage(inputs);
    expect(first).toEqual({ name: "storage-1", green: true, detail: "MinIO runs, write quorum" });
    expect(second).toMatchObject({ name: "storage-2", green: false });
    expect(second?.detail).toMatch(/: MinIO runs, but has no write quorum: .*The cluster is unhealthy/);
    const gone = await stored({ runs: false }, {});
    expect((await verifyStorage(gone.inputs))[0]).toMatchObject({
      green: false,
      detail: expect.stringContaining("no container of minio-storage-1 runs here") as string,
    });
  });

  it.each<[string, StorageNode, StorageNode, string]>([
    [
      "the second's MinIO is gone",
      {},
      { runs: false },
      "storage-2: no container of minio-storage-2 runs here",
    ],
    [
      "the first's MinIO is gone",
      { runs: false },
      {},
      "storage-1: no container of minio-storage-1 runs here",
    ],
    ["the first node is off", { up: false }, {}, "storage-1: no SSH connection"],
    [
      "the first node's MinIO reaches too few",
      { code: 1 },
      {},
      "storage-1: asking MinIO for its write quorum failed",
    ],
  ])("warns, and passes, where %s", async (_name, first, second, reason) => {
    const { inputs } = await stored(first, second);
    const { detail, ...result } = (await found(inputs)) ?? {};
    expect(result).toEqual({ name: "storage", status: "warning" });
    expect(detail).toContain(`write quorum, 1 of 2 nodes serve: ${reason}`);
    expect(logged).toContain(`warning: storage: ${detail}`);
  });

  it("fails without a write quorum, with what each node says", async () => {
    const { inputs } = await stored({ code: 1 }, { code: 1 });
    const said = "asking MinIO for its write quorum failed with exit code 1: The cluster is unhealthy";
    const message = await failed(inputs);
    expect(message).toMatch(/^acceptance: 1 of 7 checks failed/);
    expect(message).toContain(`no storage node serves:\n  storage-1: ${said}\n  storage-2: ${said}`);
  });

  it("fails where no MinIO can be asked", async () => {
    const { inputs } = await stored({ runs: false }, { up: false });
    const message = await failed(inputs);
    expect(message).toMatch(/^acceptance: 1 of 7 checks failed/);
    expect(message).toContain("storage-1: no container of minio-storage-1 runs here");
    expect(message).toMatch(/storage-2: no SSH connection/);
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
