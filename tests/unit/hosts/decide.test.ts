import { describe, expect, it } from "vitest";
import { decide, type Decision } from "../../../hosts/src/services/decide";
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
  ...(changes.update && { UpdateStatus: { State: changes.update, Message: "update paused due to failure" } }),
});

let serial = 0;
const task = (
  on: string,
  state: string,
  image = "new",
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
const running = (image = "new") => ["a", "b", "c"].map((name) => task(name, "running", image));

type Row = readonly [string, readonly SwarmTask[], Partial<Record<string, unknown>>];
const waiting = (detail: unknown) => ({ kind: "waiting", detail });

describe("a global service", () => {
  it.each<Row>([
    ["runs everywhere", running(), { kind: "converged", steadySeconds: 2, warnings: [] }],
    [
      "has a task that is starting, and lacks one",
      [task("a", "running"), task("b", "starting")],
      { ...waiting("1 of 3 tasks run (starting on b)"), idle: false },
    ],
    ...["running", "shutdown"].map((desired): Row => [
      `still has a task of the previous spec, which is to be ${desired}`,
      [...running(), task("a", "running", "old", { desired })],
      waiting("3 of 3 tasks run; of the previous spec: running on a"),
    ]),
    [
      "runs by the previous spec alone",
      running("old"),
      waiting("0 of 3 tasks run; of the previous spec: running on a, running on b, running on c"),
    ],
    [
      "has failed before: the tasks have to be steady for longer",
      [...running(), task("a", "failed", "new", { err: "x" })],
      { kind: "converged", steadySeconds: 10 },
    ],
    [
      "has failed twice: the last error is shown",
      [
        task("b", "failed", "new", { err: "task: non-zero exit (1)", at: "2024-01-01T00:00:01Z" }),
        task("c", "rejected", "new", { err: "No such image: new", at: "2024-01-01T00:00:09Z" }),
      ],
      waiting(expect.stringContaining("last task error: c: No such image: new")),
    ],
  ])("%s", (_what, tasks, expected) => {
    expect(decide({ service: service("new"), tasks, nodes })).toMatchObject(expected);
  });

  it("tolerates a node that is down, with a warning", () => {
    const some = [node("a"), node("b"), node("c", { down: true })];
    const tasks = [task("a", "running"), task("b", "running"), task("c", "running", "old")];
    expect(decide({ service: service("new"), tasks, nodes: some })).toMatchObject({
      kind: "converged",
      warnings: ["registry-a has no task on c, which is down or drained"],
    });
  });

  it("shows that a container which ended without an error may have failed its health test", () => {
    const ended = task("b", "complete", "new", { desired: "shutdown" });
    const detail = (one: SwarmTask) =>
      detailOf(decide({ service: service("new"), tasks: [task("a", "running"), one], nodes }));
    expect(detail(ended)).toMatch(/last task error: b: its container ended by itself, without an error$/);
    const checked = { ...ended, Spec: { ContainerSpec: { Healthcheck: { Test: ["CMD", "true"] } } } };
    expect(detail(checked)).toMatch(/error: b: its health test failed, or its container ended by itself/);
  });
});

const detailOf = (decision: Decision) => ("detail" in decision ? decision.detail : decision.kind);

describe("a service pinned to one node", () => {
  const pinned = service("new", { replicas: 1, constraints: ["node.hostname == c"] });
  const pending = task("", "pending", "new", { err: "no suitable node" });

  it.each<readonly [...Row, SwarmNode[]]>([
    [
      "is tolerated while that node is down",
      [task("c", "running", "old", { desired: "shutdown" }), pending],
      { kind: "converged", tasks: [] },
      [node("a"), node("b"), node("c", { down: true })],
    ],
    [
      "waits if no node has that name",
      [pending],
      waiting(
        "0 of 1 tasks run (pending on no node (no suitable node)); last task error: no node: no suitable node",
      ),
      [node("a")],
    ],
    ["ignores a change of its placement alone", [task("c", "running")], { kind: "converged" }, nodes],
  ])("%s", (_what, tasks, expected, all) => {
    expect(decide({ service: pinned, tasks, nodes: all })).toMatchObject(expected);
  });
});

describe("an update of a service", () => {
  it.each(["rollback_started", "rollback_completed", "rollback_paused"])("fails on %s", (update) => {
    const tasks = [...running("old"), task("a", "failed", "new", { err: "unhealthy" })];
    expect(decide({ service: service("old", { update }), tasks, nodes })).toEqual({
      kind: "failed",
      detail:
        "Swarm rolled the update back (update paused due to failure); a: unhealthy. " +
        "Correct the configuration and run again; the same is tried again by pulumi up --refresh",
    });
  });

  it("fails if Swarm paused it", () => {
    const paused = service("new", { update: "paused" });
    expect(decide({ service: paused, tasks: [], nodes })).toMatchObject({ kind: "failed" });
  });

  it("has converged if its tasks came up after Swarm paused it", () => {
    const paused = service("new", { update: "paused" });
    expect(decide({ service: paused, tasks: running(), nodes })).toMatchObject({ kind: "converged" });
  });

  const two = [task("a", "running"), task("b", "running")];
  const old = task("c", "running", "old");
  // Swarm gave up a task whose node was off, and another one runs there by now: it stays pending.
  const givenUp = (image: string, desired = "shutdown") => task("b", "pending", image, { desired });

  it.each<[string, string, SwarmTask[], object]>([
    ["has nothing left to do, and is not over", "updating", running(), { kind: "converged", idle: true }],
    ["has ended", "completed", running(), { kind: "converged", idle: false }],
    ["does not go on", "updating", [...two, old], { kind: "waiting", idle: true }],
    ["has ended, with a task of the previous spec", "completed", [...two, old], { idle: false }],
    ["is stopping a task", "updating", [...two, { ...old, DesiredState: "shutdown" }], { idle: false }],
    ["is starting a task", "updating", [task("a", "running"), task("b", "starting"), old], { idle: false }],
    ["has given up a task", "updating", [...two, old, givenUp("new")], { idle: true }],
    ["is about to start a task", "updating", [...two, old, givenUp("new", "ready")], { idle: false }],
    [
      "has given up a task of the previous spec",
      "updating",
      [...two, old, givenUp("old")],
      { idle: true, detail: "2 of 3 tasks run; of the previous spec: running on c" },
    ],
  ])("that %s", (_what, update, tasks, expected) => {
    expect(decide({ service: service("new", { update }), tasks, nodes })).toMatchObject(expected);
  });

  it("does not show the host port that the previous task still holds as an error", () => {
    const err = "host-mode port already in use on 1 node";
    const tasks = [task("a", "running"), task("b", "pending", "new", { err }), old];
    const detail = (update: string) =>
      detailOf(decide({ service: service("new", { update }), tasks, nodes }));
    expect(detail("updating")).toBe("1 of 3 tasks run (pending on b); of the previous spec: running on c");
    expect(detail("completed")).toContain(`last task error: b: ${err}`);
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

describe("whether a service has to run on a node", () => {
  const on = node("a", { labels: { "moorage.node": "a", "moorage.edge": "true" } });
  const bound = (constraints: string[], replicas?: number) => service("image", { constraints, replicas });

  it.each([
    ["bound to it by name", bound(["node.labels.moorage.node==a"], 1), true],
    ["bound to another one", bound(["node.labels.moorage.node==b"], 1), false],
    ["bound to it, and scaled to none", bound(["node.labels.moorage.node==a"], 0), false],
    ["everywhere", bound([]), true],
    ["everywhere with a role it has", bound(["node.labels.moorage.edge==true"]), true],
    ["everywhere with a role it has not", bound(["node.labels.moorage.storage==true"]), false],
    ["anywhere, which need not be here", bound(["node.labels.moorage.edge==true"], 1), false],
  ])("one %s: %s", (_what, one, expected) => {
    expect(isFor(one, on)).toBe(expected);
  });
});
