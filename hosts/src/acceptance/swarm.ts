/** Checks of what carries the registry: nodes, services, MinIO's quorum. */
import type { AcceptanceInputs, CheckResult } from "../contract";
import { mc, onSomeStorageNode, storageContainer } from "../storage/mc";
import { listNodes, onManager } from "../swarm/managers";
import type { SwarmNode, SwarmService } from "../swarm/types";

export async function checkNodes({ managers }: AcceptanceInputs): Promise<CheckResult> {
  return judgeNodes(await onManager(managers, "listing nodes", ({ api }) => listNodes(api)));
}

/** A node down, or a manager not reachable, is redundancy lost: the Swarm answered, so it has its quorum. */
export function judgeNodes(nodes: readonly SwarmNode[]): CheckResult {
  const troubles = nodes.flatMap((node) => {
    const { Hostname } = node.Description;
    if (node.Status.State !== "ready") return [`${Hostname} is ${node.Status.State}`];
    if (node.ManagerStatus && node.ManagerStatus.Reachability !== "reachable")
      return [`manager ${Hostname} is not reachable`];
    return node.Spec.Availability === "active"
      ? []
      : [`${Hostname} takes no tasks (${node.Spec.Availability})`];
  });
  return troubles.length === 0
    ? { name: "nodes", status: "ok", detail: `${nodes.length} nodes ready` }
    : { name: "nodes", status: "warning", detail: troubles.join(", ") };
}

export async function checkServices({ managers }: AcceptanceInputs): Promise<CheckResult> {
  const purpose = "listing services";
  const services = await onManager(managers, purpose, ({ api }) =>
    api.get<SwarmService[]>("/services", { query: { status: "true" }, purpose }),
  );
  return judgeServices(services);
}

export function judgeServices(services: readonly SwarmService[]): CheckResult {
  const short = services.flatMap(({ Spec, ServiceStatus }) => {
    const { RunningTasks = 0, DesiredTasks = 0 } = ServiceStatus ?? {};
    return RunningTasks < DesiredTasks ? [`${Spec.Name} runs ${RunningTasks} of ${DesiredTasks}`] : [];
  });
  return short.length === 0
    ? { name: "services", status: "ok", detail: `${services.length} services full` }
    : { name: "services", status: "warning", detail: short.join(", ") };
}

/** MinIO's own health answer: without write quorum no push is kept. */
export async function checkStorage({ nodes, storageServices }: AcceptanceInputs): Promise<CheckResult> {
  const storageNodes = nodes.filter((node) => storageServices[node.node] !== undefined);
  if (storageNodes.length === 0)
    return { name: "storage", status: "ok", detail: "an object store of the site's own" };
  await onSomeStorageNode(storageNodes, storageServices, (storage) =>
    mc(storage, {
      argv: ["ready", "local"],
      purpose: "asking MinIO for its write quorum",
      timeoutSeconds: 20,
    }),
  );
  const running = await Promise.allSettled(
    storageNodes.map((node) => storageContainer(node, storageServices[node.node] ?? "")),
  );
  const missing = storageNodes
    .filter((_node, index) => running[index]?.status === "rejected")
    .map(({ node }) => node);
  return missing.length === 0
    ? {
        name: "storage",
        status: "ok",
        detail: `write quorum, ${storageNodes.length} of ${storageNodes.length} nodes serve`,
      }
    : {
        name: "storage",
        status: "warning",
        detail: `write quorum, but no MinIO runs on ${missing.join(", ")}`,
      };
}
