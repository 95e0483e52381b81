/** The Swarm: its nodes, its services, the object store on it, and whether all see one overlay. */
import type { AcceptanceInputs, Connection } from "../contract";
import { HostError } from "../errors";
import { askForWriteQuorum, storageContainer } from "../storage/mc";
import { listNodes, onManager } from "../swarm/managers";
import type { SwarmNode, SwarmService } from "../swarm/types";
import { asked, attempt } from "./attempt";
import type { Check, OverlayRow, SwarmRow } from "./report";

export interface SwarmFindings {
  readonly checks: readonly Check[];
  readonly nodes: readonly SwarmRow[];
}

export async function verifySwarm(managers: readonly Connection[]): Promise<SwarmFindings> {
  let nodes: SwarmRow[] = [];
  const listing = await attempt("nodes", async () => {
    nodes = rowsOf(await onManager(managers, "listing nodes", ({ api }) => listNodes(api)));
    return nodesCheck(nodes);
  });
  return { checks: [listing], nodes };
}

export function rowsOf(nodes: readonly SwarmNode[]): SwarmRow[] {
  const rows = nodes.map((node) => ({
    id: node.ID,
    name: node.Description.Hostname,
    // A manager that leads shows 0.0.0.0 as its status' address.
    address: node.ManagerStatus?.Addr.replace(/:\d+$/, "") ?? node.Status.Addr ?? "",
    role: node.Spec.Role,
    leader: node.ManagerStatus?.Leader === true,
    availability: node.Spec.Availability,
    state: stateOf(node),
    labels: node.Spec.Labels ?? {},
  }));
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function stateOf({ Status, ManagerStatus }: SwarmNode): string {
  const unreachable = ManagerStatus && ManagerStatus.Reachability !== "reachable";
  return unreachable ? `${Status.State}, manager ${ManagerStatus.Reachability}` : Status.State;
}

export function nodesCheck(rows: readonly SwarmRow[]): Check {
  const troubles = rows.flatMap(({ name, state, availability }) => [
    ...(state === "ready" ? [] : [`${name} is ${state}`]),
    ...(availability === "active"
      ? []
      : [`${name} takes no tasks (${availability}): docker node update --availability active ${name}`]),
  ]);
  const detail = `${rows.length - new Set(troubles.map((each) => each.split(" ")[0])).size} of ${rows.length} ready and active`;
  return troubles.length === 0
    ? { name: "nodes", green: true, detail }
    : { name: "nodes", green: false, detail, more: troubles };
}

export async function verifyServices(managers: readonly Connection[]): Promise<Check[]> {
  let checks: Check[] = [];
  const listing = await attempt("services", async () => {
    const purpose = "listing services";
    const services = await onManager(managers, purpose, ({ api }) =>
      api.get<SwarmService[]>("/services", { query: { status: "true" }, purpose }),
    );
    checks = serviceChecks(services);
    return { name: "services", green: true, detail: "" };
  });
  return listing.green ? checks : [listing];
}

export function serviceChecks(services: readonly SwarmService[]): Check[] {
  const checks = services.map(({ Spec, ServiceStatus }) => {
    const { RunningTasks = 0, DesiredTasks = 0 } = ServiceStatus ?? {};
    const green = RunningTasks >= DesiredTasks && DesiredTasks > 0;
    const detail = `${RunningTasks} of ${DesiredTasks} run`;
    const more = [`more: docker service ps --no-trunc ${Spec.Name}`];
    return { name: Spec.Name, green, detail, ...(green ? {} : { more }) };
  });
  return checks.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Each node's MinIO, asked by its own client: it runs, and sees a write quorum. */
export function verifyStorage({ nodes, storageServices }: AcceptanceInputs): Promise<Check[]> {
  const storageNodes = nodes.filter(({ node }) => storageServices[node] !== undefined);
  return Promise.all(
    storageNodes.map((node) =>
      attempt(node.node, async () => {
        const container = await storageContainer(node, storageServices[node.node] ?? "");
        const trouble = await asked(() => askForWriteQuorum(container));
        if (trouble !== undefined)
          throw new HostError(node.node, `MinIO runs, but has no write quorum: ${trouble}`);
        return { name: node.node, green: true, detail: "MinIO runs, write quorum" };
      }),
    ),
  );
}

/** Nodes that know the overlay must know the same one; each sees those as its peers that have tasks on it. */
export function overlayChecks(rows: readonly OverlayRow[], expected: readonly string[]): Check[] {
  if (rows.length === 0)
    return [{ name: "overlay", green: false, detail: "no node knows the network `services`" }];
  const ids = new Set(rows.map(({ id }) => id));
  const peers = rows.map(({ node, peers: seen }) => [node, seen.join(", ")] as const);
  const known = new Set(peers.map(([, seen]) => seen));
  const unknown = expected.filter((node) => !rows.some((row) => row.node === node));
  const troubles = [
    ...(ids.size > 1
      ? [`nodes know different networks: ${rows.map(({ node, id }) => `${node} ${id}`).join(", ")}`]
      : []),
    ...(known.size > 1 ? peers.map(([node, seen]) => `${node} sees ${seen || "nobody"}`) : []),
    ...unknown.map((node) => `${node} does not know it, though tasks belong there`),
  ];
  const [first] = rows;
  const detail = `${first?.subnet ?? ""}${first?.encrypted ? ", encrypted" : ""}, known to ${rows.length} nodes`;
  const green = troubles.length === 0;
  return [{ name: "overlay", green, detail, ...(green ? {} : { more: troubles }) }];
}
