/** Whether a service runs as its spec says: a pure decision from what a manager shows. */
import type { SwarmNode, SwarmService, SwarmTask } from "../swarm/types";
import { satisfies } from "./placement";
import { digestOf, sameSpec } from "./spec";

export interface ServiceView {
  readonly service: SwarmService;
  readonly tasks: readonly SwarmTask[];
  readonly nodes: readonly SwarmNode[];
}

export type Decision =
  | {
      readonly kind: "converged";
      readonly tasks: readonly string[];
      /** Of the spec by which they run, as `digestOf` has it. */
      readonly spec: string;
      /** How long the same tasks must be seen running before that counts. */
      readonly steadySeconds: number;
      readonly warnings: readonly string[];
      /** As below: there is nothing left to do. */
      readonly idle?: boolean;
    }
  | {
      readonly kind: "waiting";
      readonly detail: string;
      /** Swarm says that it updates the service, and does nothing. */
      readonly idle?: boolean;
    }
  | { readonly kind: "failed"; readonly detail: string };

const STEADY_SECONDS = 2;
/** Where tasks of this spec have failed before. */
const STEADY_SECONDS_AFTER_FAILURE = 10;

/** Task states from which nothing comes any more. */
const ENDED = new Set(["complete", "shutdown", "failed", "rejected", "remove", "orphaned"]);
/** Task states of which a node knows nothing yet. */
const NEVER_BEGUN = new Set(["new", "allocated", "pending"]);

/**
 * Converged: on nodes that are up, as many tasks of this very spec run as the spec wants, and none of another.
 * Swarm calls a task running only once its container is healthy. Nodes that are down are tolerated, with a warning.
 */
export function decide({ service, tasks: all, nodes }: ServiceView): Decision {
  const byId = new Map(nodes.map((node) => [node.ID, node]));
  const isUp = (node: SwarmNode | undefined) => node?.Status.State === "ready";
  const updating = service.UpdateStatus?.State === "updating";
  const tasks = updating ? all.map(withoutRoom) : all;
  const trouble = lastTrouble(tasks, byId);
  const failure = updateFailure(service);
  const failed = (why: UpdateFailure): Decision => ({
    kind: "failed",
    detail: [why.what, trouble].filter(Boolean).join("; ") + why.remedy,
  });
  if (failure && !failure.isPaused) return failed(failure);

  const live = tasks.filter(
    (task) => task.NodeID === undefined || task.NodeID === "" || isUp(byId.get(task.NodeID)),
  );
  const ofSpec = (task: SwarmTask) => sameSpec(task.Spec, service.Spec.TaskTemplate);
  const running = live.filter(
    (task) => task.DesiredState === "running" && task.Status.State === "running" && ofSpec(task),
  );
  const old = live.filter(
    (task) =>
      !ofSpec(task) && !ENDED.has(task.Status.State) && !isGivenUp(task) && task.DesiredState !== "remove",
  );
  const { wanted, warnings } = wantedTasks(service, nodes);
  const suffix = trouble ? `; last task error: ${trouble}` : "";
  const previous = old.length > 0 ? `; of the previous spec: ${places(old, byId)}` : "";
  const idle = updating && old.length > 0 && live.every(isSettled);
  const oldRuns = old.some((task) => task.DesiredState === "running" || task.Status.State === "running");
  if (running.length < wanted || oldRuns) {
    if (failure) return failed(failure);
    return {
      kind: "waiting",
      detail: `${running.length} of ${wanted} tasks run${starting(live, byId)}${previous}${suffix}`,
      idle,
    };
  }
  const shaky = tasks.some(
    (task) => ofSpec(task) && (task.Status.State === "failed" || task.Status.State === "rejected"),
  );
  return {
    kind: "converged",
    tasks: running.map((task) => task.ID).sort(),
    spec: digestOf(service),
    steadySeconds: shaky ? STEADY_SECONDS_AFTER_FAILURE : STEADY_SECONDS,
    warnings,
    idle: updating,
  };
}

/** Neither on its way up nor on its way down. */
function isSettled(task: SwarmTask): boolean {
  const { DesiredState, Status } = task;
  return DesiredState === "running" ? Status.State === "running" : ENDED.has(Status.State) || isGivenUp(task);
}

/** Given up before a node knew of it: it stays so, as the scheduler goes on looking for room for it. */
function isGivenUp({ DesiredState, Status }: SwarmTask): boolean {
  return DesiredState === "shutdown" && NEVER_BEGUN.has(Status.State);
}

/** While the task before it stops, a task's host port is taken: no error. */
function withoutRoom(task: SwarmTask): SwarmTask {
  if (!/^host-mode port already in use/.test(task.Status.Err ?? "")) return task;
  return { ...task, Status: { ...task.Status, Err: "" } };
}

interface UpdateFailure {
  readonly what: string;
  readonly remedy: string;
  /** The new spec stays, and its tasks may have come up since. */
  readonly isPaused: boolean;
}

/** Swarm gave up on the update, or took it back; which the stack's state does not have before a refresh. */
function updateFailure({ UpdateStatus }: SwarmService): UpdateFailure | undefined {
  const state = UpdateStatus?.State ?? "";
  const why = `(${UpdateStatus?.Message ?? state})`;
  const remedy = ". Correct the configuration and run again";
  if (state === "paused") return { what: `Swarm paused the update ${why}`, remedy, isPaused: true };
  if (!state.startsWith("rollback")) return undefined;
  return {
    what: `Swarm rolled the update back ${why}`,
    remedy: `${remedy}; the same is tried again by pulumi up --refresh`,
    isPaused: false,
  };
}

function wantedTasks(
  { Spec }: SwarmService,
  nodes: readonly SwarmNode[],
): { wanted: number; warnings: string[] } {
  const { Constraints, MaxReplicas } = Spec.TaskTemplate.Placement ?? {};
  const eligible = nodes.filter((node) => satisfies(node, Constraints ?? []));
  const usable = eligible.filter(
    (node) => node.Status.State === "ready" && node.Spec.Availability !== "drain",
  );
  const absent = eligible.filter((node) => !usable.includes(node)).map((node) => node.Description.Hostname);
  const warnings =
    absent.length > 0
      ? [
          `${Spec.Name} has no task on ${absent.join(", ")}, which ${absent.length === 1 ? "is" : "are"} down or drained`,
        ]
      : [];
  if (Spec.Mode.Global) return { wanted: usable.length, warnings };
  const replicas = Spec.Mode.Replicated?.Replicas ?? 1;
  if (absent.length > 0 && usable.length === 0) return { wanted: 0, warnings };
  const limit = MaxReplicas ? usable.length * MaxReplicas : replicas;
  // Where no node at all is eligible the service waits for one that will never come: not converged.
  return {
    wanted: Math.min(replicas, limit),
    warnings: usable.length < eligible.length && limit < replicas ? warnings : [],
  };
}

function starting(tasks: readonly SwarmTask[], nodes: ReadonlyMap<string, SwarmNode>): string {
  const some = tasks.filter((task) => task.DesiredState === "running" && task.Status.State !== "running");
  return some.length > 0 ? ` (${places(some, nodes)})` : "";
}

function places(tasks: readonly SwarmTask[], nodes: ReadonlyMap<string, SwarmNode>): string {
  const said = tasks.map((task) => {
    const why = task.Status.Err ? ` (${task.Status.Err})` : "";
    return `${task.Status.State} on ${hostname(task, nodes)}${why}`;
  });
  return [...new Set(said)].join(", ");
}

function hostname(task: SwarmTask, nodes: ReadonlyMap<string, SwarmNode>): string {
  return nodes.get(task.NodeID ?? "")?.Description.Hostname ?? "no node";
}

/**
 * A service's container is never meant to end, and one that ends without an error is none that Swarm wanted to stop.
 * Docker stops one that is not healthy, and where that ends well Swarm says nothing of it.
 */
function errorOf({ Status, Spec }: SwarmTask): string {
  if (Status.Err || Status.State !== "complete") return Status.Err ?? "";
  const ended = "its container ended by itself, without an error";
  return Spec.ContainerSpec?.["Healthcheck"] ? `its health test failed, or ${ended}` : ended;
}

/** The last error of any of the service's tasks, with its node. */
export function lastTrouble(
  tasks: readonly SwarmTask[],
  nodes: ReadonlyMap<string, SwarmNode>,
): string | undefined {
  const failed = tasks
    .filter((task) => errorOf(task) !== "")
    .sort((a, b) => b.Status.Timestamp.localeCompare(a.Status.Timestamp));
  const last = failed[0];
  return last && `${hostname(last, nodes)}: ${errorOf(last)}`;
}
