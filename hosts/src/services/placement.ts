/** Which nodes a service's constraints allow, as Swarm's scheduler reads them. Pure. */
import type { SwarmNode, SwarmService } from "../swarm/types";

/** Whether a node satisfies all constraints, such as `node.hostname == a` and `node.labels.region != dc1`. */
export function satisfies(node: SwarmNode, constraints: readonly string[]): boolean {
  return constraints.every((constraint) => {
    const match = /^\s*([^=!\s]+)\s*(==|!=)\s*(.*?)\s*$/.exec(constraint);
    if (!match) return true;
    const [, key = "", operator, wanted = ""] = match;
    const same = valueOf(node, key).toLowerCase() === wanted.toLowerCase();
    return operator === "==" ? same : !same;
  });
}

/** Whether a service has a task on this very node: it is global, or bound to the node by name. */
export function isFor(service: SwarmService, node: SwarmNode): boolean {
  const { Global } = service.Spec.Mode;
  return (Global !== undefined || isBound(service)) && satisfies(node, constraintsOf(service));
}

/** Whether a service has a task on one node, named by its constraints, and on no other. */
export function isBound(service: SwarmService): boolean {
  const byName = /^\s*(node\.labels\.moorage\.node|node\.hostname)\s*==/;
  const replicas = service.Spec.Mode.Replicated?.Replicas ?? 0;
  return replicas > 0 && constraintsOf(service).some((each) => byName.test(each));
}

/** Whether a service is part of a stack, as the label says that all of these carry. */
export function isOfStack({ Spec }: SwarmService): boolean {
  return Spec.Labels?.["moorage.stack"] !== undefined;
}

const constraintsOf = ({ Spec }: SwarmService): string[] => Spec.TaskTemplate.Placement?.Constraints ?? [];

function valueOf(node: SwarmNode, key: string): string {
  const label = (prefix: string, labels: Record<string, string> | null | undefined) =>
    labels?.[key.slice(prefix.length)] ?? "";
  if (key.startsWith("node.labels.")) return label("node.labels.", node.Spec.Labels);
  if (key.startsWith("engine.labels.")) return label("engine.labels.", node.Description.Engine?.Labels);
  switch (key) {
    case "node.id":
      return node.ID;
    case "node.hostname":
      return node.Description.Hostname;
    case "node.role":
      return node.Spec.Role;
    case "node.platform.os":
      return node.Description.Platform?.OS ?? "";
    case "node.platform.arch":
      return node.Description.Platform?.Architecture ?? "";
    case "node.ip":
      return node.Status.Addr ?? "";
    default:
      return "";
  }
}
