import { describe, expect, it } from "vitest";
import type { Connection, ConvergedInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { convergedBy } from "../../../hosts/src/services/converged";
import { digestOf } from "../../../hosts/src/services/spec";
import type { SwarmService } from "../../../hosts/src/swarm/types";
import { startManager } from "./support/fake-docker";
import { logged, startServer } from "./support/stop";
import { VirtualClock } from "./support/virtual-clock";

const mounts = [
  { Type: "bind", Source: "/var/lib/web", Target: "/data" },
  { Type: "tmpfs", Target: "/tmp" },
];
const template = { ContainerSpec: { Image: "web:1", Mounts: mounts }, ForceUpdate: 0 };
const spec = { Name: "web", Mode: { Replicated: { Replicas: 1 } }, TaskTemplate: template };

const task = (ID: string, State: string, Err?: string) => ({
  ID,
  NodeID: "n2",
  Spec: template,
  DesiredState: State === "failed" ? "shutdown" : "running",
  Status: { State, Timestamp: `2026-01-01T00:00:0${ID}Z`, ...(Err && { Err }) },
});

/** A Swarm with one service, as `shown`, and its tasks. */
async function swarm(tasks: readonly object[], shown: () => object | undefined) {
  const docker = await startManager("coreos1");
  const nodes = [["n1", "coreos1"] as const, ["n2", "coreos2"] as const].map(([ID, Hostname]) => ({
    ID,
    Spec: { Role: "manager", Availability: "active", Labels: {} },
    Description: { Hostname },
    Status: { State: "ready" },
    ManagerStatus: { Reachability: "reachable" },
  }));
  docker.on("GET", /^\/nodes$/, () => ({ json: nodes }));
  docker.on("GET", /^\/tasks$/, () => ({ json: tasks }));
  docker.on("GET", /^\/services\/web$/, () => {
    const service = shown();
    return service
      ? { json: { ID: "s1", Version: { Index: 1 }, ...service } }
      : { status: 404, json: { message: "service web not found" } };
  });
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const inputs: ConvergedInputs = {
    managers: [server.connection()],
    service: "web",
    fingerprint: "f",
    timeoutSeconds: 60,
  };
  return { docker, inputs };
}

describe("waiting for a service", () => {
  it("fails with the node and the last task's error once its time is up", async () => {
    // A first creation: there is no update that Swarm could roll back.
    const { inputs } = await swarm(
      [
        task("1", "failed", "an older one"),
        task("2", "failed", "task: non-zero exit (1): dockerexec: unhealthy container"),
        task("3", "starting"),
      ],
      () => ({ Spec: spec }),
    );
    await expect(convergedBy(new VirtualClock()).create(inputs)).rejects.toThrow(
      "service web is not up after 60 s: 0 of 1 tasks run (starting on coreos2); last task error: coreos2: task: non-zero exit (1): dockerexec: unhealthy container",
    );
  });

  it("starts over an update that Swarm does not end, and removes its label after it", async () => {
    let state = "updating";
    /** Whether each change set the label, and the update's state then. */
    const changes: { label: boolean; state: string }[] = [];
    const { docker, inputs } = await swarm([task("1", "running")], () => {
      const now = state;
      // Swarm takes its time for an update that it has begun anew.
      if (changes.length === 1) state = "completed";
      return { Spec: spec, UpdateStatus: { State: now } };
    });
    docker.on("POST", /^\/services\/s1\/update$/, ({ body }) => {
      const { Labels = {} } = JSON.parse(body) as { Labels?: Record<string, string> };
      changes.push({ label: "moorage.resumed" in Labels, state });
      return { json: {} };
    });
    const converged = convergedBy(new VirtualClock());
    await expect(converged.create({ ...inputs, timeoutSeconds: 10 })).rejects.toThrow(
      "service web is up, but Swarm has not ended its update after 10 s",
    );
    expect(changes).toEqual([]);
    await converged.create(inputs);
    // Removed earlier, Swarm would begin with another node beside the current one.
    expect(changes).toEqual([
      { label: true, state: "updating" },
      { label: false, state: "completed" },
    ]);
  });
});

describe("a refresh of a service", () => {
  const converged = convergedBy(new VirtualClock());
  const other = { ...spec, Mode: { Replicated: { Replicas: 2 } } };

  /** Waits for the service, shows it as `later`, and refreshes. */
  async function refreshed(later: object | undefined, change: object = {}) {
    let shown: object | undefined = { Spec: spec };
    const { inputs } = await swarm([task("1", "running")], () => shown);
    const { id, outs } = await converged.create(inputs);
    shown = later;
    const found = await converged.read(id, { ...outs, ...change });
    if (found === undefined) throw new Error("a refresh has forgotten the service");
    shown = { Spec: spec };
    return { id, inputs, found: found.outs };
  }

  it("finds no change where it runs by the same spec", async () => {
    const { found, inputs } = await refreshed({ Spec: spec });
    expect(found.fingerprint).toBe("f");
    expect(converged.diff(found, inputs).changes).toBe(false);
  });

  it.each([
    ["was changed by hand", { Spec: other }],
    ["is gone", undefined],
  ])("has the update wait for it again if it %s", async (_what, later) => {
    const { found, inputs } = await refreshed(later);
    expect(found.fingerprint).toBe("");
    expect(converged.diff(found, inputs).changes).toBe(true);
  });

  it("says in a preview what a change interrupts, and only for a change", async () => {
    const { found, inputs } = await refreshed({ Spec: spec });
    const interrupting = { ...inputs, interrupts: "pushes get 503" };
    expect(converged.diff(found, interrupting).changes).toBe(false);
    expect(logged.join()).not.toContain("503");
    converged.diff(found, { ...interrupting, fingerprint: "f2" });
    expect(logged).toContain("web: this update: pushes get 503");
  });

  it("keeps the state of an earlier version, and the state if no manager answers", async () => {
    expect(await refreshed({ Spec: other }, { spec: undefined })).toMatchObject({
      found: { fingerprint: "f" },
    });
    const { inputs } = await refreshed({ Spec: spec });
    const managers = [{ ...inputs.managers[0], port: 1 } as Connection];
    expect(await refreshed({ Spec: other }, { managers })).toMatchObject({ found: { fingerprint: "f" } });
  });
});

describe("the digest of a service's spec", () => {
  const digest = (taskTemplate: object, mode: object = spec.Mode) =>
    digestOf({
      ID: "s1",
      Version: { Index: 1 },
      Spec: { Name: "web", Mode: mode, TaskTemplate: taskTemplate },
    } as SwarmService);
  const container = (change: object) => ({
    ...template,
    ContainerSpec: { ...template.ContainerSpec, ...change },
  });
  const byClient = {
    ...container({ Mounts: mounts.toReversed() }),
    Runtime: "container",
    Resources: {},
    Placement: { Platforms: [{ OS: "linux" }] },
  };

  it.each<[string, string, boolean]>([
    ["what Docker's client adds to any update", digest(byClient), true],
    ["a forced restart", digest({ ...template, ForceUpdate: 1 }), true],
    ["another image", digest(container({ Image: "web:0" })), false],
    ["a mount less", digest(container({ Mounts: mounts.slice(1) })), false],
    ["another placement", digest({ ...template, Placement: { Constraints: ["node.role==worker"] } }), false],
    ["another number of tasks", digest(template, { Replicated: { Replicas: 2 } }), false],
  ])("with %s", (_what, found, isSame) => {
    expect(found === digest(template)).toBe(isSame);
  });
});
