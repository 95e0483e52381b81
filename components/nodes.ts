import type { Role } from "@moorage/render";
import type { FleetNode } from "./machine/fleet";

export type Nodes = Readonly<Record<string, FleetNode>>;

export function nodesWithRole(nodes: Nodes, role: Role): Nodes {
  return Object.fromEntries(Object.entries(nodes).filter(([, { config }]) => config.roles.includes(role)));
}

/** The storage nodes, with the host folder that is MinIO's drive there. */
export function storageNodes(nodes: Nodes) {
  return Object.fromEntries(
    Object.entries(nodesWithRole(nodes, "storage")).map(([name, { machine }]) => [
      name,
      { connection: machine.connection, folder: machine.drive },
    ]),
  );
}

/** A command for each node that opens a shell on it; `-i KEY` stands for wherever the key was put. */
export function sshCommandsOf(nodes: Nodes): Record<string, string> {
  return Object.fromEntries(
    Object.entries(nodes).map(([name, { config, machine }]) => [
      name,
      // From the configuration alone, so that it is a text and no output.
      `ssh -p ${config.ssh.port} ${config.ssh.user ?? "core"}@${String(machine.connection.host)}`,
    ]),
  );
}

/** What the stack tells about its nodes. */
export function describeNodes(nodes: Nodes) {
  return Object.fromEntries(
    Object.entries(nodes).map(([name, { config, machine }]) => [
      name,
      {
        address: config.address,
        roles: config.roles,
        labels: config.labels,
        hostKey: machine.connection.hostKey,
        installHash: machine.installHash,
      },
    ]),
  );
}
