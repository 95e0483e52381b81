import { describe, expect, it } from "vitest";
import type { Connection, ConvergedOutputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { converged } from "../../../hosts/src/services/converged";
import { isFoundChanged } from "../../../hosts/src/services/found";
import { startManager } from "./support/fake-docker";
import { startServer } from "./support/stop";

const mounts = [
  { Type: "bind", Source: "/var/lib/web", Target: "/data" },
  { Type: "tmpfs", Target: "/tmp" },
];
const template = { ContainerSpec: { Image: "web:1", Mounts: mounts }, ForceUpdate: 0 };

const task = (ID: string, State: string, Err?: string) => ({
  ID,
  NodeID: "n2",
  Spec: template,
  DesiredState: State === "failed" ? "shutdown" : "running",
  Status: { State, Timestamp: `2026-01-01T00:00:0${ID}Z`, ...(Err && { Err }) },
});

const spec = { Name: "web", Mode: { Replicated: { Replicas: 1 } }, TaskTemplate: template };

async function startTwoNodes() {
  const docker = await startManager("coreos1");
  const nodes = [["n1", "coreos1"] as const, ["n2", "coreos2"] as const].map(([ID, Hostname]) => ({
    ID,
    Spec: { Role: "manager", Availability: "active", Labels: {} },
    Description: { Hostname },
    Status: { State: "ready" },
    ManagerStatus: { Reachability: "reachable" },
  }));
  docker.on("GET", /^\/nodes$/, () => ({ json: nodes }));
  return docker;
}

it("fails a service that was never healthy with its node and its last task's error, once its time is up", async () => {
  const docker = await startTwoNodes();
  // A first creation: there is no update that Swarm could roll back.
  docker.on("GET", /^\/services\/web$/, () => ({ json: { ID: "s1", Spec: spec } }));
  docker.on("GET", /^\/tasks$/, () => ({
    json: [
      task("1", "failed", "an older one"),
      task("2", "failed", "task: non-zero exit (1): dockerexec: unhealthy container"),
      task("3", "starting"),
    ],
  }));
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const inputs = { managers: [server.connection()], service: "web", fingerprint: "f", timeoutSeconds: 2 };
  await expect(converged.create(inputs)).rejects.toThrow(
    "service web is not up after 2 s: 0 of 1 tasks run (starting on coreos2); last task error: coreos2: task: non-zero exit (1): dockerexec: unhealthy container",
  );
}, 20_000);

it("takes an update that Swarm has not ended for done once it is started over and has ended", async () => {
  const docker = await startTwoNodes();
  let state = "updating";
  /** Whether each change set the label, and what Swarm said of the update then. */
  const changes: { label: boolean; state: string }[] = [];
  docker.on("GET", /^\/services\/web$/, () => {
    const now = state;
    // Swarm takes its time for an update that it has begun anew.
    if (changes.length === 1) state = "completed";
    return { json: { ID: "s1", Version: { Index: 1 }, Spec: spec, UpdateStatus: { State: now } } };
  });
  docker.on("POST", /^\/services\/s1\/update$/, ({ body }) => {
    const { Labels = {} } = JSON.parse(body) as { Labels?: Record<string, string> };
    changes.push({ label: "moorage.resumed" in Labels, state });
    return { json: {} };
  });
  docker.on("GET", /^\/tasks$/, () => ({ json: [task("1", "running")] }));
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const inputs = { managers: [server.connection()], service: "web", fingerprint: "f", timeoutSeconds: 2 };
  await expect(converged.create(inputs)).rejects.toThrow(
    "service web is up, but Swarm has not ended its update after 2 s",
  );
  expect(changes).toEqual([]);
  await converged.create({ ...inputs, timeoutSeconds: 60 });
  // Taken away earlier, it would have Swarm begin with another node beside the one that it is at.
  expect(changes).toEqual([
    { label: true, state: "updating" },
    { label: false, state: "completed" },
  ]);
}, 60_000);

describe("a refresh of a service that was seen to run", () => {
  type Shown = { Spec: typeof spec } | undefined;

  /** Waits for the service, has it shown as `later`, and refreshes. */
  async function refreshed(later: Shown, change: Partial<ConvergedOutputs> = {}) {
    const docker = await startTwoNodes();
    let shown: Shown = { Spec: spec };
    docker.on("GET", /^\/services\/web$/, () =>
      shown ? { json: { ID: "s1", ...shown } } : { status: 404, json: { message: "service web not found" } },
    );
    docker.on("GET", /^\/tasks$/, () => ({ json: [task("1", "running")] }));
    const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
    const inputs = { managers: [server.connection()], service: "web", fingerprint: "f", timeoutSeconds: 60 };
    const { id, outs } = await converged.create(inputs);
    shown = later;
    const found = await converged.read(id, { ...outs, ...change });
    if (found === undefined) throw new Error("a refresh has forgotten the service");
    const mend = (): Promise<ConvergedOutputs> => {
      shown = { Spec: spec };
      return converged.update(id, found.outs, inputs);
    };
    const isKnown = isFoundChanged("web");
    return {
      found: found.outs,
      isKnown,
      waitsAnew: converged.diff(found.outs, inputs).changes,
      inputs,
      mend,
    };
  }

  const withContainer = (change: Partial<typeof template.ContainerSpec>) => ({
    Spec: {
      ...spec,
      TaskTemplate: { ...template, ContainerSpec: { ...template.ContainerSpec, ...change } },
    },
  });
  const other = withContainer({ Image: "web:0" });

  const elsewhere = {
    Spec: { ...spec, TaskTemplate: { ...template, Placement: { Constraints: ["node.role==worker"] } } },
  };

  it("finds nothing where it runs by the same spec, were it started anew", async () => {
    const byClient = {
      Runtime: "container",
      Resources: {},
      Placement: { Platforms: [{ OS: "linux" }] },
      ContainerSpec: { ...template.ContainerSpec, Mounts: mounts.toReversed() },
    };
    const forced = { Spec: { ...spec, TaskTemplate: { ...template, ...byClient, ForceUpdate: 1 } } };
    for (const later of [{ Spec: spec }, forced]) {
      const { found, isKnown, waitsAnew } = await refreshed(later);
      expect(found.fingerprint).toBe("f");
      expect(isKnown).toBe(false);
      expect(waitsAnew).toBe(false);
    }
  });

  it.each([
    ["it was changed by hand", other],
    ["it lost a mount", withContainer({ Mounts: mounts.slice(1) })],
    ["it was placed elsewhere", elsewhere],
    ["it was scaled", { Spec: { ...spec, Mode: { Replicated: { Replicas: 2 } } } }],
    ["it is gone", undefined],
  ])("has the update that mends it wait for it where %s", async (_what, later) => {
    const { mend, ...rest } = await refreshed(later);
    expect(rest).toMatchObject({ found: { fingerprint: "" }, isKnown: true, waitsAnew: true });
    await mend();
    expect(isFoundChanged("web")).toBe(false);
  });

  it("leaves what an earlier version of Moorage has recorded as it is", async () => {
    expect(await refreshed(other, { spec: undefined })).toMatchObject({
      found: { fingerprint: "f" },
      waitsAnew: false,
    });
  });

  it("leaves it as it is where no manager can be asked", async () => {
    const managers = [{ ...(await refreshed(other)).inputs.managers[0], port: 1 } as Connection];
    expect(await refreshed(other, { managers })).toMatchObject({ found: { fingerprint: "f" } });
  });
});
