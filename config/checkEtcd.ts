/** That etcd's settings fit each other and the rest. */
import { heartbeatsPerElection } from "./etcd";
import { addressesOf, everyAddress, loopback } from "./etcdAddresses";
import type { Problem } from "./problem";
import type { Understood } from "./understood";

export function checkEtcd(config: Understood): Problem[] {
  const { etcd, etcdImage } = config;
  const addresses = checkAddresses(config);
  if (!etcd.enabled) return addresses;
  return [
    ...addresses,
    ...(etcdImage
      ? []
      : [{ path: "images.etcd", found: "nothing", wanted: "an image of etcd, as etcd.enabled is true" }]),
    ...checkElection(etcd),
    ...checkPorts(config),
  ];
}

/** A member listens where others look for it, and nowhere that is not the node's. */
function checkAddresses({ nodes, given, etcd: { enabled } }: Understood): Problem[] {
  return Object.entries(nodes).flatMap(([name, node]) => {
    const own = addressesOf(node);
    // What is given and not understood has a mistake of its own.
    const { address, etcd = {} } = node;
    const standard = (enabled ? node.advertiseAddr : undefined) ?? address;
    if (given[name]?.includes("advertiseAddr") && node.advertiseAddr === undefined) return [];
    return (["Client", "Peer"] as const).flatMap((who) => {
      const listened = etcd[`listen${who}Addrs`];
      const advertised = etcd[`advertise${who}Addr`] ?? standard;
      if (!listened || advertised === undefined) return [];
      const wanted = listenWanted(listened, advertised, own);
      return wanted === undefined
        ? []
        : [{ path: `nodes.${name}.etcd.listen${who}Addrs`, found: listened.join(", "), wanted }];
    });
  });
}

function listenWanted(
  listened: readonly string[],
  advertised: string,
  own: readonly string[],
): string | undefined {
  if (listened.includes(everyAddress)) {
    return listened.length > 1 ? `${everyAddress} alone, as it is every address` : undefined;
  }
  if (new Set(listened).size < listened.length) return "each address once";
  if (listened.some((each) => each !== loopback && !own.includes(each)))
    return `addresses of the node (${own.join(", ")}), ${loopback}, or ${everyAddress} alone`;
  return listened.includes(advertised)
    ? undefined
    : `${advertised} as well, which others reach it at, or ${everyAddress} alone`;
}

function checkElection({ heartbeatMs, electionMs }: Understood["etcd"]): Problem[] {
  if (!heartbeatMs || !electionMs || electionMs >= heartbeatsPerElection * heartbeatMs) return [];
  const wanted = `${heartbeatsPerElection * heartbeatMs} or more, ${heartbeatsPerElection} times etcd.heartbeatMs`;
  return [{ path: "etcd.electionMs", found: String(electionMs), wanted }];
}

/** What else listens on a manager, or may. */
function checkPorts({ nodes, etcd, edge, swarm }: Understood): Problem[] {
  const onFront = Object.values(nodes).some(
    ({ roles = [] }) => roles.includes("manager") && roles.includes("edge"),
  );
  const taken = new Map<number, string>([
    [2377, "Swarm"],
    [7946, "Swarm"],
    ...(swarm.dockerApi ? [[2376, "Docker's API"] as const] : []),
    ...(onFront && edge.port ? [[edge.port, "edge.port"] as const] : []),
  ]);
  const problems: Problem[] = [];
  for (const key of ["clientPort", "peerPort"] as const) {
    const port = etcd[key];
    if (port === undefined) continue;
    const holder = taken.get(port);
    if (holder) {
      problems.push({
        path: `etcd.${key}`,
        found: String(port),
        wanted: `another port than that of ${holder}`,
      });
    }
    taken.set(port, `etcd.${key}`);
  }
  return problems;
}
