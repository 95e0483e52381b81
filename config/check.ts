/** What no single value shows: that the parts of a configuration fit each other. */
import { contains, isCidr, isIpv4, overlaps } from "./values";
import type { Problem, StackConfig } from "./stack";
import type { NodeConfig, NodesConfig } from "./nodes";

type Parsed = Partial<StackConfig>;

export function crossChecks(config: Parsed): Problem[] {
  const nodes = config.nodes ?? {};
  return [
    ...(config.nodes ? [...checkRoles(nodes, config), ...duplicateAddresses(nodes)] : []),
    ...(config.nodes && config.platform ? checkPlatform(nodes, config.platform) : []),
    ...checkSubnets(nodes, config),
    ...checkVip(nodes, config),
  ];
}

function withRole(nodes: NodesConfig, role: NodeConfig["roles"][number]): string[] {
  return Object.keys(nodes).filter((name) => nodes[name]?.roles.includes(role));
}

function checkRoles(nodes: NodesConfig, config: Parsed): Problem[] {
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
  for (const [name, node] of Object.entries(nodes)) {
    if (node.roles.includes("manager") === node.roles.includes("worker")) {
      problems.push({
        path: `nodes.${name}.roles`,
        found: node.roles.join(", "),
        wanted: "either manager or worker, not both and not neither",
      });
    }
    if (node.roles.includes("storage") && !node.dataDisk && !node.dataDirectory) {
      problems.push({
        path: `nodes.${name}.dataDisk`,
        found: "nothing",
        wanted:
          config.platform === "existing"
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
  }
  return problems;
}

function checkPlatform(nodes: NodesConfig, platform: StackConfig["platform"]): Problem[] {
  const problems: Problem[] = [];
  for (const [name, node] of Object.entries(nodes)) {
    if (platform !== "existing" && !node.disk) {
      problems.push({ path: `nodes.${name}.disk`, found: "nothing", wanted: "the device to install on" });
    }
    if (platform !== "existing" && !node.installer) {
      problems.push({
        path: `nodes.${name}.installer`,
        found: "nothing",
        wanted: "where the live installer is reached",
      });
    }
    if (platform !== "existing" && node.dataDirectory) {
      problems.push({
        path: `nodes.${name}.dataDirectory`,
        found: node.dataDirectory,
        wanted: "dataDisk: a folder for storage is for platform existing only",
      });
    }
  }
  return problems;
}

function duplicateAddresses(nodes: NodesConfig): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  for (const [name, node] of Object.entries(nodes)) {
    const keys = {
      address: node.address,
      ssh: `${node.ssh.host ?? node.address}:${node.ssh.port}`,
    };
    for (const [key, value] of Object.entries(keys)) {
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

function checkSubnets(nodes: NodesConfig, config: Parsed): Problem[] {
  const network = config.network;
  if (!network || !isCidr(network.subnet)) {
    return [];
  }
  const problems: Problem[] = [];
  if (overlaps(network.subnet, network.overlay.subnet)) {
    problems.push({
      path: "network.overlay.subnet",
      found: network.overlay.subnet,
      wanted: `a subnet that does not overlap network.subnet (${network.subnet})`,
    });
  }
  const inside: [string, string | undefined][] = [
    ["network.gateway", network.gateway],
    ...Object.entries(nodes).map(([name, node]): [string, string] => [`nodes.${name}.address`, node.address]),
  ];
  for (const [path, address] of inside) {
    if (address && isIpv4(address) && !contains(network.subnet, address)) {
      problems.push({ path, found: address, wanted: `an address in network.subnet (${network.subnet})` });
    }
  }
  return problems;
}

function checkVip(nodes: NodesConfig, config: Parsed): Problem[] {
  const vip = config.edge?.vip;
  if (!vip || !config.network) {
    return [];
  }
  const problems: Problem[] = [];
  if (!contains(config.network.subnet, vip)) {
    problems.push({
      path: "edge.vip",
      found: vip,
      wanted: `an address in network.subnet (${config.network.subnet})`,
    });
  }
  const holder = Object.keys(nodes).find((name) => nodes[name]?.address === vip);
  if (holder || config.network.gateway === vip) {
    problems.push({
      path: "edge.vip",
      found: vip,
      wanted: `a free address; this one is ${holder ? `the address of ${holder}` : "the gateway"}`,
    });
  }
  return problems;
}
