/** What no single value shows: that the parts of a configuration fit each other. */
import { checkEtcd } from "./checkEtcd";
import { checkHypervisor } from "./checkHypervisor";
import { interfaceChecks } from "./checkInterfaces";
import { osChecks } from "./checkOs";
import type { GivenNode } from "./nodes";
import type { Problem } from "./problem";
import type { Understood } from "./understood";
import { contains, overlaps } from "./values";

type Nodes = Understood["nodes"];

export function crossChecks(config: Understood): Problem[] {
  const { nodes, platform } = config;
  return [
    ...countRoles(nodes),
    ...Object.entries(nodes).flatMap(([name, node]) => [
      ...checkRoles(name, node, platform),
      ...(platform ? checkPlatform(name, node, platform) : []),
    ]),
    ...duplicateAddresses(nodes),
    ...checkSubnets(config),
    ...checkVip(config),
    ...interfaceChecks(config),
    ...osChecks(config),
    ...checkEtcd(config),
    ...checkHypervisor(config),
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
  if (platform === "existing") return [];
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

function duplicateAddresses(nodes: Nodes): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  for (const [name, node] of Object.entries(nodes)) {
    const { address, ssh } = node;
    // Where no host is named it is the address, which is compared already.
    const keys = { address, ssh: ssh?.host && `${ssh.host}:${ssh.port}` };
    for (const [key, value] of Object.entries(keys)) {
      if (!value) continue;
      const other = seen.get(`${key} ${value}`);
      if (other) {
        problems.push({
          path: `nodes.${name}.${key}`,
          found: value,
          wanted: `another than that of ${other}`,
        });
      }
      seen.set(`${key} ${value}`, name);
    }
  }
  return problems;
}

function checkSubnets({ nodes, network, edge }: Understood): Problem[] {
  const { subnet, overlay, gateway } = network;
  if (!subnet) {
    return [];
  }
  const problems: Problem[] = [];
  if (overlay && overlaps(subnet, overlay.subnet)) {
    problems.push({
      path: "network.overlay.subnet",
      found: overlay.subnet,
      wanted: `a subnet that does not overlap network.subnet (${subnet})`,
    });
  }
  const inside: (readonly [string, string | undefined])[] = [
    ["network.gateway", gateway],
    ...Object.entries(nodes).map(([name, { address }]) => [`nodes.${name}.address`, address] as const),
    ["edge.vip", edge.vip],
  ];
  for (const [path, address] of inside) {
    if (address && !contains(subnet, address)) {
      problems.push({ path, found: address, wanted: `an address in network.subnet (${subnet})` });
    }
  }
  return problems;
}

function checkVip({ nodes, network, edge: { vip } }: Understood): Problem[] {
  if (!vip) {
    return [];
  }
  const holder = Object.keys(nodes).find((name) => nodes[name]?.address === vip);
  if (!holder && network.gateway !== vip) {
    return [];
  }
  return [
    {
      path: "edge.vip",
      found: vip,
      wanted: `a free address; this one is ${holder ? `the address of ${holder}` : "the gateway"}`,
    },
  ];
}
