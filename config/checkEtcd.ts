/** That etcd's settings fit each other and the rest. */
import { heartbeatsPerElection } from "./etcd";
import type { Problem } from "./problem";
import type { Understood } from "./understood";

export function checkEtcd(config: Understood): Problem[] {
  const { etcd, etcdImage } = config;
  if (!etcd.enabled) return [];
  return [
    ...(etcdImage
      ? []
      : [{ path: "images.etcd", found: "nothing", wanted: "an image of etcd, as etcd.enabled is true" }]),
    ...checkElection(etcd),
    ...checkPorts(config),
  ];
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
