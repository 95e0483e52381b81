/** The mark that a member of our Swarm leaves on its host, and what tells a member of ours from a stranger's by it. */
import { X509Certificate } from "node:crypto";
import type { Connection } from "../contract";
import { dockerApi } from "../docker/api";
import { HostError } from "../errors";
import { readNoted, removeNoted, writeNoted } from "../noted";
import { parseMark } from "../preflight/parse";
import type { Mark } from "../preflight/parse";
import { SWARM_MARK } from "../preflight/script";
import { listNodes } from "./managers";
import { findNode } from "./nodes";
import type { DockerInfo } from "./types";

export async function readMark(connection: Connection): Promise<Mark> {
  return parseMark(await readNoted(connection, SWARM_MARK));
}

/**
 * Written before a node joins and after: an interruption in between leaves a member that is known to be ours. It names
 * the cluster that is joined; the one that a founder starts has no id before.
 */
export function writeMark(connection: Connection, mark: Mark): Promise<void> {
  return writeNoted(connection, SWARM_MARK, mark);
}

export function removeMark(connection: Connection): Promise<void> {
  return removeNoted(connection, SWARM_MARK);
}

/**
 * The cluster that the node is in, by its certificate's organization where Docker does not name it: on a worker, and
 * on a manager without a leader. Empty where it has no certificate, and so is in none.
 */
async function clusterOf(connection: Connection, { Swarm, DockerRootDir }: DockerInfo): Promise<string> {
  if (Swarm.Cluster?.ID) return Swarm.Cluster.ID;
  const certificate = await readNoted(connection, `${DockerRootDir}/swarm/certificates/swarm-node.crt`);
  if (certificate.trim() === "") return "";
  try {
    return /^O=(.+)$/m.exec(new X509Certificate(certificate).subject)?.[1] ?? "unknown";
  } catch {
    return "unknown";
  }
}

/** The Swarm that a host is in, in words, where neither its mark nor a manager of `managers` has the node in ours. */
export async function foreignSwarm(
  connection: Connection,
  managers: readonly Connection[],
  info: DockerInfo,
): Promise<string | undefined> {
  const { NodeID } = info.Swarm;
  const [mark, cluster] = [await readMark(connection), await clusterOf(connection, info)];
  // An attempt to join that never got in.
  if (NodeID === "" && cluster === "") return undefined;
  if ((NodeID !== "" && mark.node === NodeID) || (cluster !== "" && mark.cluster === cluster))
    return undefined;
  try {
    if (await findNode(managers, NodeID)) return undefined;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    // There is no other Swarm to be ours.
    if (await isJustFounded(connection, mark)) return undefined;
  }
  return `${cluster || "unknown"}, as node ${NodeID || "unknown"}`;
}

/** A founder that was cut off before its mark named its Swarm is alone in it, and nothing runs there. */
async function isJustFounded(connection: Connection, mark: Mark): Promise<boolean> {
  if (!mark.joining || mark.cluster !== undefined) return false;
  const api = dockerApi(connection);
  try {
    const nodes = await listNodes(api);
    const services = await api.get<unknown[]>("/services", { purpose: "listing services" });
    return nodes.length === 1 && services.length === 0;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return false;
  }
}
