/** What no single value shows: that the parts of a configuration fit each other. */
import { addressChecks } from "./checkAddresses";
import { checkEtcd } from "./checkEtcd";
import { checkHypervisor } from "./checkHypervisor";
import { interfaceChecks } from "./checkInterfaces";
import { osChecks } from "./checkOs";
import { portChecks } from "./checkPorts";
import { checkNames } from "./names";
import type { GivenNode } from "./nodes";
import type { Problem } from "./problem";
import type { Understood } from "./understood";

type Nodes = Understood["nodes"];

export function crossChecks(config: Understood): Problem[] {
  const { nodes, platform } = config;
  return [
    ...countRoles(nodes),
    ...Object.entries(nodes).flatMap(([name, node]) => [
      ...checkRoles(name, node, platform),
      ...(platform ? checkPlatform(name, node, platform) : []),
    ]),
    ...addressChecks(config),
    ...portChecks(config),
    ...interfaceChecks(config),
    ...osChecks(config),
    ...checkEtcd(config),
    ...checkHypervisor(config),
    ...checkNames(config),
  ];
}

function withRole(nodes: Nodes, role: GivenNode["roles"][number]): string[] {
  return Object.keys(nodes).filter((name) => nodes[name]?.roles?.includes(role));
}

function countRoles(nodes: Nodes): Problem[] {
  const all = Object.values(nodes);
  // A role that is misspelt may be the very one that is missed.
  if (all.length === 0 || all.some(({ roles }) => roles === undefined)) return [];
  const problems: Problem[] = [];
  const managers = withRole(nodes, "manager");
  if (managers.length % 2 === 0) {
    problems.push({
      path: "nodes",
      found: `${managers.length} managers${managers.length > 0 ? ` (${managers.join(", ")})` : ""}`,
      wanted: "an odd number of managers, three or more to survive the loss of one",
    });
  }
  const storage = withRole(nodes, "storage");
  if (storage.length !== 4) {
    problems.push({
      path: "nodes",
      found: `${storage.length} storage nodes${storage.length > 0 ? ` (${storage.join(", ")})` : ""}`,
      wanted: "exactly four nodes with role storage, one drive of the erasure set each",
    });
  }
  for (const role of ["registry", "edge"] as const) {
    if (withRole(nodes, role).length === 0) {
      problems.push({
        path: "nodes",
        found: `no node with role ${role}`,
        wanted: "at least one, better two",
      });
    }
  }
  return problems;
}

function checkRoles(name: string, node: Partial<GivenNode>, platform: Understood["platform"]): Problem[] {
  const problems: Problem[] = [];
  const { roles = [] } = node;
  if (node.roles && roles.includes("manager") === roles.includes("worker")) {
    problems.push({
      path: `nodes.${name}.roles`,
      found: roles.join(", "),
      wanted: "either manager or worker, not both and not neither",
    });
  }
  if (roles.includes("storage") && !node.dataDisk && !node.dataDirectory) {
    problems.push({
      path: `nodes.${name}.dataDisk`,
      found: "nothing",
      wanted:
        platform === "existing"
          ? "dataDisk or dataDirectory, as the node has role storage"
          : "a device, as the node has role storage",
    });
  }
  for (const key of ["wipeDataDiskSerial", "adoptDiskSerial"] as const) {
    const found = node[key];
    if (found === undefined || node.dataDisk) continue;
    problems.push({ path: `nodes.${name}.${key}`, found, wanted: "nothing, as the node has no `dataDisk`" });
  }
  if (node.disk && node.disk === node.dataDisk) {
    problems.push({
      path: `nodes.${name}.dataDisk`,
      found: node.dataDisk,
      wanted: "another disk than `disk`",
    });
  }
  return problems;
}

function checkPlatform(
  name: string,
  node: Partial<GivenNode>,
  platform: NonNullable<Understood["platform"]>,
): Problem[] {
  if (platform === "existing") {
    return (["disk", "erasableDisk", "installer"] as const)
      .filter((key) => node[key] !== undefined)
      .map((key) => ({
        path: `nodes.${name}.${key}`,
        found: key === "installer" ? "an endpoint" : String(node[key]),
        wanted: "nothing: a host that ran before (platform existing) is not installed",
      }));
  }
  const problems: Problem[] = [];
  if (!node.disk) {
    problems.push({ path: `nodes.${name}.disk`, found: "nothing", wanted: "the device to install on" });
  }
  if (!node.installer && platform === "metal") {
    problems.push({
      path: `nodes.${name}.installer`,
      found: "nothing",
      wanted: "where the live installer is reached",
    });
  }
  if (node.dataDirectory) {
    problems.push({
      path: `nodes.${name}.dataDirectory`,
      found: node.dataDirectory,
      wanted: "dataDisk: a folder for storage is for platform existing only",
    });
  }
  return problems;
}
