/** Finding a manager that works: any one of them may be off, frozen, or without its Docker. */
import type { Connection } from "../contract";
import { dockerApi } from "../docker/api";
import type { DockerApi } from "../docker/api";
import { HostError, messageOf } from "../errors";
import { brief } from "../ssh/connect";
import { sleep } from "../time";
import type { DockerInfo, SwarmNode } from "./types";

export interface Manager {
  readonly connection: Connection;
  readonly api: DockerApi;
  readonly info: DockerInfo;
}

export function dockerInfo(
  connection: Connection,
  patience = brief,
  timeoutSeconds = 10,
): Promise<DockerInfo> {
  return dockerApi(connection).get<DockerInfo>("/info", { patience, timeoutSeconds, purpose: "docker info" });
}

/**
 * The first manager that answers with a Swarm state that can be read; all are asked at once, earlier ones preferred.
 * @param what for the message: "placing labels".
 * @throws HostError that tells of each manager why it does not serve.
 */
export async function workingManager(managers: readonly Connection[], what: string): Promise<Manager> {
  const asked = managers.map((connection) => askManager(connection));
  // Looked at below, some of them only after a while; until then a failure is nobody's business.
  for (const answer of asked) answer.catch(() => undefined);
  const failures: string[] = [];
  const all = asked.map(async (answer, index) => {
    // An earlier manager gets a head start, so that a healthy Swarm is always driven from the same place.
    await Promise.race([Promise.allSettled(asked.slice(0, index)), sleep(index * 300)]);
    return answer.catch((error: unknown) => {
      failures.push(messageOf(error));
      throw error;
    });
  });
  try {
    return await Promise.any(all);
  } catch {
    const reasons =
      failures.length > 0 ? failures.map((line) => `\n  ${line}`).join("") : " none is configured";
    throw new HostError("swarm", `no manager in reach for ${what}:${reasons}`);
  }
}

async function askManager(connection: Connection): Promise<Manager> {
  const info = await dockerInfo(connection);
  const { Swarm } = info;
  if (!Swarm.ControlAvailable) {
    const state = Swarm.LocalNodeState || "inactive";
    throw new HostError(connection.node, `is no Swarm manager now (its state: ${state})`);
  }
  const api = dockerApi(connection);
  await listNodes(api);
  return { connection, api, info };
}

export function listNodes(api: DockerApi): Promise<SwarmNode[]> {
  return api.get<SwarmNode[]>("/nodes", {
    timeoutSeconds: 10,
    purpose: "listing the Swarm's nodes",
    patience: brief,
  });
}
