/** MinIO's own client, run inside a MinIO container on a storage node. */
import type { Connection, Store } from "../contract";
import { dockerApi } from "../docker/api";
import { execInContainer } from "../docker/exec";
import type { ContainerResult } from "../docker/exec";
import { HostError, messageOf } from "../errors";
import { brief } from "../ssh/connect";
import { Deadline, poll } from "../time";

/** Its root user. */
export interface Root {
  readonly rootUser: string;
  readonly rootPassword: string;
}

export interface StorageContainer {
  readonly connection: Connection;
  readonly container: string;
}

/** The running MinIO container of a storage node. @throws HostError when there is none. */
export async function storageContainer(connection: Connection, service: string): Promise<StorageContainer> {
  const found = await findStorageContainer(connection, service);
  if (!found) throw new HostError(connection.node, `no container of ${service} runs here`);
  return found;
}

/** The same, where there is one. @throws HostError where that cannot be told. */
export async function findStorageContainer(
  connection: Connection,
  service: string,
): Promise<StorageContainer | undefined> {
  const containers = await dockerApi(connection).get<{ Id: string; Created: number }[]>("/containers/json", {
    query: { filters: { label: [`com.docker.swarm.service.name=${service}`], status: ["running"] } },
    purpose: `looking for a container of ${service}`,
    patience: brief,
    timeoutSeconds: 10,
  });
  const newest = [...containers].sort((a, b) => b.Created - a.Created)[0];
  return newest && { connection, container: newest.Id };
}

/** Runs `work` on the first storage node where it succeeds; fails with every node's reason. */
export async function onSomeStorageNode<T>(
  nodes: readonly Connection[],
  services: Readonly<Record<string, string>>,
  work: (storage: StorageContainer) => Promise<T>,
): Promise<T> {
  const reasons: string[] = [];
  for (const connection of nodes) {
    const service = services[connection.node];
    if (service === undefined) continue;
    try {
      return await work(await storageContainer(connection, service));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      reasons.push(messageOf(error));
    }
  }
  throw noneServes(reasons);
}

/** What is said where no storage node does what it is asked to, with each one's reason. */
export function noneServes(reasons: readonly string[]): HostError {
  const each = reasons.map((reason) => `\n  ${reason}`).join("");
  return new HostError("storage", `no storage node serves:${each || " none is configured"}`);
}

/** The same, tried until it succeeds; gives the seconds that it took. */
export async function onceStorageServes(
  { storageNodes, services, timeoutSeconds }: Store & { readonly timeoutSeconds: number },
  failure: string,
  work: (storage: StorageContainer, secondsLeft: number) => Promise<void>,
): Promise<number> {
  const deadline = new Deadline(timeoutSeconds);
  let last = "";
  const done = await poll(deadline, 3, async () => {
    try {
      await onSomeStorageNode(storageNodes, services, (storage) => work(storage, deadline.left(5)));
      return true;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      last = messageOf(error);
      return undefined;
    }
  });
  if (!done) throw new HostError("storage", `${failure} within ${timeoutSeconds} s: ${last}`);
  return deadline.elapsed;
}

export interface McCommand {
  readonly argv: readonly string[];
  /** Key pair that alias `local` logs in with; without one, anonymously. */
  readonly keys?: { readonly access: string; readonly secret: string };
  readonly stdin?: string;
  readonly purpose: string;
  readonly secrets?: readonly string[];
  readonly timeoutSeconds?: number;
  /** Seconds after which the command itself ends, with code 124. */
  readonly endsAfter?: number;
  readonly accept?: readonly number[];
}

/** Runs `mc`; its credentials are in the command's environment, never in its arguments. */
export function mc(
  { connection, container }: StorageContainer,
  command: McCommand,
): Promise<ContainerResult> {
  const { argv, keys, secrets = [], endsAfter, ...rest } = command;
  const limit = endsAfter === undefined ? [] : ["timeout", String(endsAfter)];
  const login = keys === undefined ? "" : `${plain("rootUser", keys.access)}:${plain("a key", keys.secret)}@`;
  return execInContainer(connection, {
    ...rest,
    container,
    argv: [...limit, "mc", "--quiet", "--no-color", ...argv],
    env: { MC_CONFIG_DIR: "/tmp/.mc", MC_HOST_local: `http://${login}127.0.0.1:9000` },
    secrets: keys === undefined ? secrets : [keys.secret, ...secrets],
  });
}

/** Runs `mc` as the root user. */
export function asRoot(
  storage: StorageContainer,
  { rootUser, rootPassword }: Root,
  command: Omit<McCommand, "keys">,
): Promise<ContainerResult> {
  return mc(storage, { ...command, keys: { access: rootUser, secret: rootPassword } });
}

/** What a command about one thing says; nothing where there is no such thing. */
export async function unlessMissing(
  storage: StorageContainer,
  root: Root,
  argv: readonly string[],
  purpose: string,
): Promise<string | undefined> {
  const { code, stderr, stdout } = await asRoot(storage, root, { argv, purpose, accept: [0, 1] });
  if (code === 0) return stdout;
  const said = `${stderr} ${stdout}`.replace(/\s+/g, " ").trim();
  if (/not exist|no ?such/i.test(said)) return undefined;
  throw new HostError(storage.connection.node, `${purpose}: ${said}`);
}

/** mc takes its alias from a URL in which it decodes nothing. */
function plain(what: string, value: string): string {
  if (!/^[\w.~!*+=-]+$/.test(value)) {
    throw new Error(`${what} of the object store may hold letters, digits and ._~!*+=- only`);
  }
  return value;
}

/** Asks a member of MinIO whether it reaches enough others to write. @throws HostError where it does not */
export async function askForWriteQuorum(storage: StorageContainer): Promise<void> {
  await mc(storage, {
    argv: ["ready", "local"],
    purpose: "asking MinIO for its write quorum",
    timeoutSeconds: 20,
  });
}
