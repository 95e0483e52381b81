/** Finding a manager that works: any one of them may be off, frozen, or without its Docker. */
import type { Connection } from "../contract";
import { dockerApi } from "../docker/api";
import type { DockerApi } from "../docker/api";
import { DockerError, HostError, messageOf, reasonOf } from "../errors";
import { brief } from "../ssh/connect";
import { couldNotAsk } from "../ssh/pool";
import { Deadline, poll, sleep, systemClock } from "../time";
import type { DockerInfo, SwarmNode } from "./types";

/** How long Docker may take to be back after it, or its node, went down. */
const DOCKER_SECONDS = 60;

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

/** How long a Docker may take that has much to do, before it is believed not to be there. */
const SLOW_SECONDS = 30;

/** The same, with the error as a value where Docker is not there, and so nothing runs that would have to leave. */
export function dockerIfThere(connection: Connection): Promise<DockerInfo | HostError> {
  return dockerInfo(connection, brief, SLOW_SECONDS).catch((error: unknown) => {
    if (error instanceof HostError) return error;
    throw error;
  });
}

/** Until Docker answers; a node of a Swarm must be in it again too, before another one's Docker goes down. */
export async function awaitDocker(connection: Connection): Promise<void> {
  const deadline = new Deadline(DOCKER_SECONDS);
  let last = "";
  const ready = await poll(deadline, 1, async () => {
    try {
      const { Swarm } = await dockerInfo(connection);
      if (Swarm.LocalNodeState !== "pending") return true;
      last = "it has not rejoined its Swarm yet";
    } catch (error) {
      last = messageOf(error);
    }
    return undefined;
  });
  if (!ready)
    throw new HostError(connection.node, `Docker is not back ${DOCKER_SECONDS} s after its restart: ${last}`);
}

/** How long before the next manager is asked as well, while an earlier one has not answered. */
const HEAD_START_MS = 300;
/** How long a manager may take to show the Swarm's state, try by try: one that waits for a leader says nothing. */
const READ_SECONDS = [3, 5, 10];
/** How long a manager that has proved itself is taken at its word. */
const TRUSTED_MS = 2000;

/** On globalThis for the same reason as the connections: one process may load this module more than once. */
function trusted(): Map<string, { manager: Manager; until: number }> {
  const holder = globalThis as unknown as Record<symbol, unknown>;
  const key = Symbol.for("@moorage/hosts/managers");
  return (holder[key] ??= new Map()) as Map<string, { manager: Manager; until: number }>;
}

const keyOf = (managers: readonly Connection[]): string =>
  managers.map(({ node, host, port, user }) => `${node} ${user}@${host}:${port}`).join(",");

/** A manager that answers, but has no leader to show the Swarm's state by: an election passes. */
class UnreadableError extends HostError {
  override readonly name = "UnreadableError";
}

/**
 * The first manager that answers with a Swarm state that can be read, earlier ones preferred. Waits for an
 * election to pass.
 * @param what for the message: "placing labels".
 * @throws HostError that tells of each manager why it does not serve.
 */
export async function workingManager(managers: readonly Connection[], what: string): Promise<Manager> {
  let failures: unknown[] = [];
  for (const seconds of READ_SECONDS) {
    const answer = await firstManager(managers, seconds);
    if ("manager" in answer) {
      trusted().set(keyOf(managers), { manager: answer.manager, until: Date.now() + TRUSTED_MS });
      return answer.manager;
    }
    failures = answer.failures;
    if (!failures.some((failure) => failure instanceof UnreadableError)) break;
    await systemClock.sleep(500);
  }
  const reasons = failures.map((failure) => `\n  ${messageOf(failure)}`).join("");
  throw new HostError("swarm", `no manager in reach for ${what}:${reasons || " none is configured"}`);
}

type Answer = { readonly manager: Manager } | { readonly failures: unknown[] };

async function firstManager(managers: readonly Connection[], seconds: number): Promise<Answer> {
  const asked: Promise<Manager>[] = [];
  let found: Manager | undefined;
  const ask = async (connection: Connection, index: number, earlier: Promise<unknown>): Promise<Manager> => {
    await Promise.race([earlier, sleep(index * HEAD_START_MS)]);
    return (found ??= await askManager(connection, seconds));
  };
  for (const [index, connection] of managers.entries()) {
    asked.push(ask(connection, index, Promise.allSettled([...asked])));
  }
  try {
    return { manager: await Promise.any(asked) };
  } catch (error) {
    return { failures: (error as AggregateError).errors };
  }
}

/**
 * Does `work` by way of a manager that works; once more by another, when the first was taken at its word and
 * failed meanwhile. So `work` must bear being done twice.
 */
export async function onManager<T>(
  managers: readonly Connection[],
  what: string,
  work: (manager: Manager) => Promise<T>,
): Promise<T> {
  const key = keyOf(managers);
  const known = trusted().get(key);
  if (known && known.until > Date.now()) {
    try {
      return await work(known.manager);
    } catch (error) {
      if (!failedItself(error)) throw error;
      trusted().delete(key);
    }
  }
  return work(await workingManager(managers, what));
}

/** Whether the manager failed, not the request. */
function failedItself(error: unknown): boolean {
  return error instanceof DockerError ? error.status >= 500 : error instanceof HostError;
}

async function askManager(connection: Connection, seconds: number): Promise<Manager> {
  const info = await dockerInfo(connection);
  const { Swarm } = info;
  if (!Swarm.ControlAvailable) {
    const state = Swarm.LocalNodeState || "inactive";
    throw new HostError(connection.node, `is no Swarm manager now (its state: ${state})`);
  }
  // Others stand in for a manager that goes away, so nobody waits for this one to come back.
  const api = dockerApi(connection, brief);
  await listNodes(api, seconds).catch((error: unknown) => {
    throw failedItself(error) && !couldNotAsk(error)
      ? new UnreadableError(connection.node, reasonOf(error, connection.node))
      : error;
  });
  return { connection, api, info };
}

export function listNodes(api: DockerApi, timeoutSeconds = 10): Promise<SwarmNode[]> {
  return api.get<SwarmNode[]>("/nodes", {
    timeoutSeconds,
    purpose: "listing the Swarm's nodes",
    patience: brief,
  });
}
