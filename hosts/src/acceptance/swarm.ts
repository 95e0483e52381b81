/** Checks of what carries the registry: nodes, services, MinIO's quorum. */
import type { AcceptanceInputs, CheckResult, Connection } from "../contract";
import { HostError, messageOf } from "../errors";
import { askForWriteQuorum, noneServes, storageContainer } from "../storage/mc";
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

/** What keeps a node's MinIO from taking part in writes, by MinIO's own answer; undefined where nothing does. */
async function unwilling(node: Connection, service: string): Promise<string | undefined> {
  try {
    await askForWriteQuorum(await storageContainer(node, service));
    return undefined;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return messageOf(error);
  }
}

/** Without write quorum no push is kept. It takes all but one of the members, and each is asked for itself. */
export async function checkStorage({ nodes, storageServices }: AcceptanceInputs): Promise<CheckResult> {
  const storageNodes = nodes.filter((node) => storageServices[node.node] !== undefined);
  if (storageNodes.length === 0)
    return { name: "storage", status: "ok", detail: "an object store of the site's own" };
  const reasons = await Promise.all(
    storageNodes.map((node) => unwilling(node, storageServices[node.node] ?? "")),
  );
  const wrong = reasons.filter((reason) => reason !== undefined);
  if (wrong.length === storageNodes.length) throw noneServes(wrong);
  const quorum = `write quorum, ${storageNodes.length - wrong.length} of ${storageNodes.length} nodes serve`;
  return wrong.length === 0
    ? { name: "storage", status: "ok", detail: quorum }
    : { name: "storage", status: "warning", detail: `${quorum}: ${wrong.join("; ")}` };
}
