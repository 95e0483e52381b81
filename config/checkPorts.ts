/** That the registry's port is free on the nodes that it is published on. */
import type { Problem } from "./problem";
import type { Understood } from "./understood";

/** Also where Docker's API is off: it may come to be wanted, and the registry's clients know its port by then. */
const always: readonly (readonly [number, string])[] = [
  [22, "SSH"],
  [2376, "Docker's API"],
  [2377, "the Swarm's managers"],
  [7946, "the Swarm's nodes among each other"],
  [4789, "the overlay network"],
];

export function portChecks(config: Understood): Problem[] {
  const { port } = config.edge;
  const used = usedPorts(config).find(([one]) => one === port);
  return port !== undefined && used
    ? [
        {
          path: "edge.port",
          found: String(port),
          wanted: `a port that is free on every node; this one is for ${used[1]}`,
        },
      ]
    : [];
}

function usedPorts({ nodes, os: { containerLinux } }: Understood): (readonly [number, string])[] {
  const { etcd2, insecureDockerApi } = containerLinux ?? {};
  const etcdPorts = [...(etcd2?.clientPorts ?? []), ...(etcd2?.peerPorts ?? [])];
  return [
    ...always,
    ...Object.entries(nodes).flatMap(([name, { address, ssh }]) =>
      // The port of another host is a forward's, and leads to another one of the node's.
      ssh && (ssh.host === undefined || ssh.host === address) ? [[ssh.port, `SSH to ${name}`] as const] : [],
    ),
    ...(insecureDockerApi ? [[2375, "Docker's open API"] as const] : []),
    ...etcdPorts.map((one) => [one, "etcd"] as const),
  ];
}
