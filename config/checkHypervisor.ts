/** That a hypervisor's settings fit the nodes'. */
import type { Problem } from "./problem";
import type { Understood } from "./understood";
import { firstAddress } from "./values";

export function checkHypervisor(config: Understood): Problem[] {
  const { platform, nodes, hypervisor } = config;
  if (platform === undefined) return [];
  if (platform === "virtualbox")
    return [
      ...checkDistribution(config),
      ...checkPorts(config),
      ...checkAddresses(config),
      ...checkIso(config),
    ];
  const stray = [
    ...(hypervisor ? [{ path: "hypervisor", found: "a hypervisor" }] : []),
    ...Object.entries(nodes)
      .filter(([, { guest }]) => guest)
      .map(([name]) => ({ path: `nodes.${name}.guest`, found: "a guest" })),
  ];
  return stray.map((one) => ({ ...one, wanted: `platform virtualbox; this stack's is ${platform}` }));
}

/** First contact is by a config drive with a cloud-config, which the live system has to read. */
function checkDistribution({ os: { distribution } }: Understood): Problem[] {
  if (distribution === undefined || distribution === "flatcar") return [];
  const reads = distribution === "coreos" ? "was never tried with" : "does not read";
  return [
    {
      path: "os.distribution",
      found: distribution,
      wanted: `flatcar on platform virtualbox: the live system of ${distribution} ${reads} the config drive that a new guest is told its keys by. On platform metal it can be installed`,
    },
  ];
}

/** Every node, and the registry, has a port of the hypervisor for itself. */
function checkPorts({ nodes, hypervisor }: Understood): Problem[] {
  const problems: Problem[] = [];
  const taken = new Map<number, string>([[hypervisor?.registryPort ?? 8443, "the registry"]]);
  for (const [name, { ssh, installer }] of Object.entries(nodes)) {
    if (installer) {
      problems.push({
        path: `nodes.${name}.installer`,
        found: "an endpoint",
        wanted: "nothing: on platform virtualbox the live installer is reached as the installed system is",
      });
    }
    const port = ssh?.port ?? 22;
    const other = taken.get(port);
    if (port === 22 || other) {
      problems.push({
        path: `nodes.${name}.ssh.port`,
        found: other ? `${port}, which is ${other}'s` : `${port}, which is the hypervisor's own`,
        wanted: "a port of the hypervisor that leads to this node alone, such as 2011",
      });
    }
    taken.set(port, name);
  }
  return problems;
}

/** The first address of a NAT network is its gateway, whatever one would like. */
function checkAddresses({ nodes, network: { subnet, gateway }, edge }: Understood): Problem[] {
  if (!subnet) return [];
  const first = firstAddress(subnet);
  const problems: Problem[] = [];
  if (gateway && gateway !== first) {
    problems.push({
      path: "network.gateway",
      found: gateway,
      wanted: `${first}, which VirtualBox gives the gateway of a NAT network`,
    });
  }
  const addresses = [
    ...Object.entries(nodes).map(([name, { address }]) => [`nodes.${name}.address`, address] as const),
    ["edge.vip", edge.vip] as const,
  ];
  for (const [path, address] of addresses) {
    if (address === first && gateway !== first)
      problems.push({
        path,
        found: address,
        wanted: "another address: this one is the NAT network's gateway",
      });
  }
  return problems;
}

function checkIso({ hypervisor }: Understood): Problem[] {
  if (!hypervisor?.iso?.url || !hypervisor.iso.path) return [];
  return [
    { path: "hypervisor.iso.path", found: hypervisor.iso.path, wanted: "either url or path, not both" },
  ];
}
