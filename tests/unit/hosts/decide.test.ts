import { describe, expect, it } from "vitest";
import { decide } from "../../../hosts/src/services/decide";
import { isFor, satisfies } from "../../../hosts/src/services/placement";
import type { SwarmNode, SwarmService, SwarmTask, TaskSpec } from "../../../hosts/src/swarm/types";

const node = (
  name: string,
  changes: { down?: boolean; drain?: boolean; labels?: Record<string, string> } = {},
): SwarmNode => ({
  ID: `id-${name}`,
  Version: { Index: 1 },
  Spec: { Role: "worker", Availability: changes.drain ? "drain" : "active", Labels: changes.labels ?? {} },
  Description: { Hostname: name, Platform: { OS: "linux", Architecture: "x86_64" } },
  Status: { State: changes.down ? "down" : "ready", Addr: "10.0.2.11" },
});

const spec = (image: string, constraints: string[] = []): TaskSpec => ({
  ContainerSpec: { Image: image, Isolation: "default" },
  Resources: {},
  Placement: { Constraints: constraints },
  ForceUpdate: 0,
});

const service = (
  image: string,
  changes: { replicas?: number; constraints?: string[]; update?: string } = {},
): SwarmService => ({
  ID: "s1",
  Version: { Index: 1 },
  Spec: {
    Name: "registry-a",
    TaskTemplate: { ...spec(image, changes.constraints), Runtime: "container" },
    Mode: changes.replicas === undefined ? { Global: {} } : { Replicated: { Replicas: changes.replicas } },
  },
  ...(changes.update
    ? { UpdateStatus: { State: changes.update, Message: "update paused due to failure" } }
    : {}),
});

let serial = 0;
const task = (
  on: string,
  state: string,
  image: string,
  changes: { desired?: string; err?: string; at?: string } = {},
): SwarmTask => ({
  ID: `t${(serial += 1)}`,
  ServiceID: "registry-a",
  NodeID: on === "" ? undefined : `id-${on}`,
  Spec: spec(image),
  DesiredState:
    changes.desired ?? (["failed", "rejected", "shutdown"].includes(state) ? "shutdown" : "running"),
  Status: {
    State: state,
    Timestamp: changes.at ?? "2024-01-01T00:00:00Z",
    ...(changes.err ? { Err: changes.err } : {}),
  },
});

const nodes = [node("a"), node("b"), node("c")];

describe("a global service", () => {
  it("has converged when every node runs its task", () => {
    const tasks = nodes.map(({ Description }) => task(Description.Hostname, "running", "new"));
    expect(decide({ service: service("new"), tasks, nodes })).toMatchObject({
      kind: "converged",
      steadySeconds: 2,
      warnings: [],
    });
  });

  it("waits for a task that is starting, and for one that is not there yet", () => {
    const tasks = [task("a", "running", "new"), task("b", "starting", "new")];
    expect(decide({ service: service("new"), tasks, nodes })).toEqual({
      kind: "waiting",
      detail: "1 of 3 tasks run (starting on b)",
      idle: false,
    });
  });

  it("waits while a task of the previous spec still runs, also when it is told to stop", () => {
    const fresh = nodes.map(({ Description }) => task(Description.Hostname, "running", "new"));
    for (const desired of ["running", "shutdown"]) {
      const tasks = [...fresh, task("a", "running", "old", { desired })];
      expect(decide({ service: service("new"), tasks, nodes })).toMatchObject({
        kind: "waiting",
        detail: "3 of 3 tasks run; of the previous spec: running on a",
      });
    }
  });

  it("does not take running tasks of the previous spec for its own", () => {
    const tasks = nodes.map(({ Description }) => task(Description.Hostname, "running", "old"));
    expect(decide({ service: service("new"), tasks, nodes })).toMatchObject({
      kind: "waiting",
      detail: "0 of 3 tasks run; of the previous spec: running on a, running on b, running on c",
    });
  });

  it("tolerates a node that is down, with a warning, whatever its task is said to do", () => {
    const some = [node("a"), node("b"), node("c", { down: true })];
    const tasks = [task("a", "running", "new"), task("b", "running", "new"), task("c", "running", "old")];
    expect(decide({ service: service("new"), tasks, nodes: some })).toMatchObject({
      kind: "converged",
      warnings: ["registry-a has no task on c, which is down or drained"],
    });
  });
});

describe("a service pinned to one node", () => {
  const pinned = service("new", { replicas: 1, constraints: ["node.hostname == c"] });

  it("is tolerated while that node is down", () => {
    const some = [node("a"), node("b"), node("c", { down: true })];
    const tasks = [
      task("c", "running", "old", { desired: "shutdown" }),
      task("", "pending", "new", { err: "no suitable node" }),
    ];
    expect(decide({ service: pinned, tasks, nodes: some })).toMatchObject({ kind: "converged", tasks: [] });
  });

  it("waits when no node of that name exists at all", () => {
    expect(
      decide({
        service: pinned,
        tasks: [task("", "pending", "new", { err: "no suitable node" })],
        nodes: [node("a")],
      }),
    ).toEqual({
      kind: "waiting",
      detail:
        "0 of 1 tasks run (pending on no node (no suitable node)); last task error: no node: no suitable node",
      idle: false,
    });
  });

  it("ignores a change of its placement alone", () => {
    expect(decide({ service: pinned, tasks: [task("c", "running", "new")], nodes })).toMatchObject({
      kind: "converged",
    });
  });
});

describe("failures", () => {
  it("name the node and the error of the last task", () => {
    const tasks = [
      task("b", "failed", "new", { err: "task: non-zero exit (1)", at: "2024-01-01T00:00:01Z" }),
      task("c", "rejected", "new", { err: "No such image: new", at: "2024-01-01T00:00:09Z" }),
    ];
    expect(decide({ service: service("new"), tasks, nodes })).toMatchObject({
      kind: "waiting",
      detail: expect.stringContaining("last task error: c: No such image: new"),
    });
  });

  it.each(["rollback_started", "rollback_completed", "rollback_paused"])(
    "%s is told as rolled back",
    (update) => {
      const tasks = [
        ...nodes.map(({ Description }) => task(Description.Hostname, "running", "old")),
        task("a", "failed", "new", { err: "unhealthy" }),
      ];
      expect(decide({ service: service("old", { update }), tasks, nodes })).toEqual({
        kind: "failed",
        detail:
          "Swarm rolled the update back (update paused due to failure); a: unhealthy. " +
          "Correct the configuration and run again; the same is tried again by pulumi up --refresh",
      });
    },
  );

  it("a paused update fails", () => {
    expect(decide({ service: service("new", { update: "paused" }), tasks: [], nodes })).toMatchObject({
      kind: "failed",
    });
  });

  it("after failures it has to be seen steady for longer", () => {
    const tasks = [
      ...nodes.map(({ Description }) => task(Description.Hostname, "running", "new")),
      task("a", "failed", "new", { err: "x" }),
    ];
    expect(decide({ service: service("new", { update: "completed" }), tasks, nodes })).toMatchObject({
      kind: "converged",
      steadySeconds: 10,
    });
  });

  it("an update that has nothing left to do, and is not over, is idle", () => {
    const tasks = nodes.map(({ Description }) => task(Description.Hostname, "running", "new"));
    for (const [update, idle] of [
      ["updating", true],
      ["completed", false],
    ] as const)
      expect(decide({ service: service("new", { update }), tasks, nodes })).toMatchObject({
        kind: "converged",
        idle,
      });
  });

  it("an update in which nothing moves any more is idle", () => {
    const idle = (...tasks: SwarmTask[]) =>
      decide({ service: service("new", { update: "updating" }), tasks, nodes });
    const [a, b, old] = [
      task("a", "running", "new"),
      task("b", "running", "new"),
      task("c", "running", "old"),
    ];
    expect(idle(a, b, old)).toMatchObject({ kind: "waiting", idle: true });
    expect(idle(a, b, { ...old, DesiredState: "shutdown" })).toMatchObject({ idle: false });
    expect(idle(a, task("b", "starting", "new"), old)).toMatchObject({ idle: false });
    // One that was to run on a node which was off, and another one runs there by now: it stays so for good.
    const givenUp = task("b", "pending", "new", { desired: "shutdown" });
    expect(idle(a, b, old, givenUp)).toMatchObject({ idle: true });
    expect(idle(a, b, old, { ...givenUp, DesiredState: "ready" })).toMatchObject({ idle: false });
    const before = task("b", "pending", "old", { desired: "shutdown" });
    expect(idle(a, b, old, before)).toMatchObject({
      idle: true,
      detail: "2 of 3 tasks run; of the previous spec: running on c",
    });
    expect(
      decide({ service: service("new", { update: "completed" }), tasks: [a, b, old], nodes }),
    ).toMatchObject({ idle: false });
  });

  it("a host port that the task before still holds is no error of an update", () => {
    const err = "host-mode port already in use on 1 node";
    const tasks = [
      task("a", "running", "new"),
      task("b", "pending", "new", { err }),
      task("c", "running", "old"),
    ];
    const detail = (update?: string) => {
      const decision = decide({ service: service("new", { update }), tasks, nodes });
      return decision.kind === "waiting" ? decision.detail : decision.kind;
    };
    expect(detail("updating")).toBe("1 of 3 tasks run (pending on b); of the previous spec: running on c");
    expect(detail("completed")).toContain(`last task error: b: ${err}`);
  });

  it("says of a container that ended without an error that it may have been stopped as unhealthy", () => {
    const ended = task("b", "complete", "new", { desired: "shutdown" });
    const detail = (one: SwarmTask) => {
      const decision = decide({ service: service("new"), tasks: [task("a", "running", "new"), one], nodes });
      return decision.kind === "waiting" ? decision.detail : decision.kind;
    };
    expect(detail(ended)).toMatch(/last task error: b: its container ended by itself, without an error$/);
    const looked = { ...ended, Spec: { ContainerSpec: { Healthcheck: { Test: ["CMD", "true"] } } } };
    expect(detail(looked)).toMatch(
      /last task error: b: its health test failed, or its container ended by itself/,
    );
  });
});

describe("constraints", () => {
  const a = node("a", { labels: { region: "dc1" } });
  it.each([
    ["node.hostname == a", true],
    ["node.hostname==A", true],
    ["node.hostname != a", false],
    ["node.labels.region == dc1", true],
    ["node.labels.region != dc1", false],
    ["node.labels.zone != x", true],
    ["node.role == manager", false],
    ["node.platform.os == linux", true],
    ["node.id == id-a", true],
  ])("%s", (constraint, wanted) => {
    expect(satisfies(a, [constraint])).toBe(wanted);
  });
});

describe("the services that a node is waited for with", () => {
  const on = node("a", { labels: { "moorage.node": "a", "moorage.edge": "true" } });
  const bound = (constraints: string[], replicas = 1) => service("image", { constraints, replicas });
  const everywhere = (constraints: string[]): SwarmService => {
    const { Spec, ...rest } = bound(constraints);
    return { ...rest, Spec: { ...Spec, Mode: { Global: {} } } };
  };

  it.each([
    ["bound to it by name", bound(["node.labels.moorage.node==a"]), true],
    ["bound to another one", bound(["node.labels.moorage.node==b"]), false],
    ["bound to it, and scaled to none", bound(["node.labels.moorage.node==a"], 0), false],
    ["everywhere", everywhere([]), true],
    ["everywhere with a role it has", everywhere(["node.labels.moorage.edge==true"]), true],
    ["everywhere with a role it has not", everywhere(["node.labels.moorage.storage==true"]), false],
    ["anywhere, which need not be here", bound(["node.labels.moorage.edge==true"]), false],
  ])("one %s: %s", (_what, one, expected) => {
    expect(isFor(one, on)).toBe(expected);
  });
});
