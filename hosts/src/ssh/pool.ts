/** One connection per host, shared by all operations of the process. */
import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import type { ClientChannel } from "ssh2";
import type { Connection } from "../contract";
import { HostError, HostKeyError, LoginError, UnreachableError, messageOf } from "../errors";
import { Semaphore } from "../locks";
import { within } from "../time";
import { connect, patient } from "./connect";
import type { Patience, Session } from "./connect";
import { count } from "./stats";

/** sshd's MaxSessions is 10 by default. */
const SESSIONS = 8;
const FORWARDS = 128;
const IDLE_SECONDS = 60;
const OPEN_SECONDS = 15;
/** How long a host that could not be reached is taken to be unreachable by those who try briefly. */
const REMEMBER_FAILURE_SECONDS = 15;

export type ChannelKind = "session" | "forward";

/** A channel and the place it holds among those of its host. */
export interface Held<Channel> {
  readonly channel: Channel;
  readonly release: () => void;
}

class Host {
  private session: Promise<Session> | undefined;
  private failure: { at: number; error: HostError } | undefined;
  private idle: NodeJS.Timeout | undefined;
  private users = 0;
  private readonly limits = { session: new Semaphore(SESSIONS), forward: new Semaphore(FORWARDS) };

  /** Opens a channel; a connection found dead is replaced once, as nothing has been run by then. */
  async open<Channel>(
    connection: Connection,
    kind: ChannelKind,
    start: (session: Session) => Promise<Channel>,
    patience: Patience,
  ): Promise<Held<Channel>> {
    const leave = await this.limits[kind].acquire();
    const release = this.enter(leave);
    try {
      const known = this.session !== undefined;
      try {
        return { channel: await this.opened(connection, start, patience), release };
      } catch (error) {
        if (!(known && error instanceof DeadConnection)) throw error;
        return { channel: await this.opened(connection, start, patience), release };
      }
    } catch (error) {
      release();
      throw error instanceof DeadConnection ? new UnreachableError(connection.node, error.message) : error;
    }
  }

  private async opened<Channel>(
    connection: Connection,
    start: (session: Session) => Promise<Channel>,
    patience: Patience,
  ): Promise<Channel> {
    const session = await this.connected(connection, patience);
    const seconds = Math.min(OPEN_SECONDS, patience.timeoutSeconds);
    return within(
      seconds,
      start(session).catch((error: unknown) => {
        throw this.isDead(error) ? new DeadConnection(messageOf(error)) : error;
      }),
      () => new DeadConnection(`the connection gave no new channel within ${seconds} s`),
      () => this.drop(),
    );
  }

  private isDead(error: unknown): boolean {
    // ssh2 says "Not connected" when the socket is gone, and fails open channels without a reason when it goes.
    return error instanceof Error && !("reason" in error);
  }

  private async connected(connection: Connection, patience: Patience): Promise<Session> {
    const shared = this.session;
    if (shared) {
      try {
        return await this.waitedFor(connection, shared, patience);
      } catch (error) {
        // Somebody else's attempt may have been briefer than this one is to be.
        if (!(error instanceof UnreachableError) || patience.attempts === 1) throw error;
      }
      if (this.session !== undefined && this.session !== shared) return this.connected(connection, patience);
    }
    const { failure } = this;
    const trusting = patience.attempts === 1 && patience.forgetful !== true;
    if (failure && trusting && performance.now() - failure.at < REMEMBER_FAILURE_SECONDS * 1000)
      throw failure.error;
    return this.begin(connection, patience);
  }

  /** Waits for a connection that somebody else began, no longer than for one of one's own. */
  private waitedFor(connection: Connection, session: Promise<Session>, patience: Patience): Promise<Session> {
    const seconds = patience.attempts * (patience.timeoutSeconds + patience.pauseSeconds);
    const { node, host, port } = connection;
    return within(
      seconds,
      session,
      () => new UnreachableError(node, `no SSH connection to ${host}:${port} within ${seconds} s`),
    );
  }

  private begin(connection: Connection, patience: Patience): Promise<Session> {
    const session = connect(connection, patience);
    this.session = session;
    session.then(
      (made) => this.watch(session, made),
      (error: unknown) => {
        if (this.session === session) this.session = undefined;
        if (error instanceof UnreachableError) this.failure = { at: performance.now(), error };
      },
    );
    return session;
  }

  private watch(session: Promise<Session>, { client, socket }: Session): void {
    this.failure = undefined;
    const gone = () => {
      if (this.session === session) this.session = undefined;
    };
    client.on("close", gone);
    client.on("error", () => {
      gone();
      socket.destroy();
    });
    if (this.users === 0) this.rest();
  }

  /** While nobody uses the connection it neither keeps the process alive nor stays for ever. */
  private enter(leave: () => void): () => void {
    clearTimeout(this.idle);
    this.users += 1;
    void this.session?.then(({ socket }) => socket.ref()).catch(() => undefined);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.users -= 1;
      leave();
      if (this.users === 0) this.rest();
    };
  }

  private rest(): void {
    void this.session
      ?.then(({ socket }) => {
        if (this.users === 0) socket.unref();
      })
      .catch(() => undefined);
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.drop(), IDLE_SECONDS * 1000);
    this.idle.unref();
  }

  /** Closes the connection; the next use opens another. */
  drop(): void {
    const { session } = this;
    this.session = undefined;
    this.failure = undefined;
    clearTimeout(this.idle);
    void session
      ?.then(({ client, socket }) => {
        client.end();
        socket.destroySoon();
      })
      .catch(() => undefined);
  }
}

class DeadConnection extends Error {}

interface Shared {
  readonly hosts: Map<string, Host>;
}

/** On globalThis: a provider process may load this module more than once, and still has one pool. */
function shared(): Shared {
  const holder = globalThis as unknown as Record<symbol, unknown>;
  const key = Symbol.for("@moorage/hosts/pool");
  holder[key] ??= { hosts: new Map<string, Host>() } satisfies Shared;
  return holder[key] as Shared;
}

function keyOf(connection: Connection): string {
  const { host, port, user, hostKey, privateKey, identityFile } = connection;
  const secret = createHash("sha256")
    .update(privateKey ?? `file:${identityFile ?? "agent"}`)
    .digest("hex");
  return JSON.stringify([host, port, user, hostKey ?? "", secret]);
}

function hostOf(connection: Connection): Host {
  const { hosts } = shared();
  const key = keyOf(connection);
  let host = hosts.get(key);
  if (!host) hosts.set(key, (host = new Host()));
  return host;
}

/** Runs `work` with the shared connection to a host open; for callers that want to fail early. */
export async function withHost<T>(
  connection: Connection,
  work: (connection: Connection) => Promise<T>,
  patience: Patience = patient,
): Promise<T> {
  const probe = await hostOf(connection).open(
    connection,
    "forward",
    () => Promise.resolve(undefined),
    patience,
  );
  try {
    return await work(connection);
  } finally {
    probe.release();
  }
}

type Callback<Channel> = (error: Error | undefined, channel: Channel) => void;

function counted<Channel>(
  node: string,
  kind: "commands" | "forwards",
  start: (callback: Callback<Channel>) => void,
): Promise<Channel> {
  return new Promise((resolve, reject) =>
    start((error, channel) => {
      if (error) return reject(error);
      count(kind, node);
      resolve(channel);
    }),
  );
}

/** Starts a command line on the host. */
export function openSession(
  connection: Connection,
  line: string,
  patience = patient,
): Promise<Held<ClientChannel>> {
  const start = ({ client }: Session) =>
    counted<ClientChannel>(connection.node, "commands", (callback) => client.exec(line, callback));
  return hostOf(connection).open(connection, "session", start, patience);
}

/** Opens a channel to a Unix socket on the host. */
export function openUnixSocket(
  connection: Connection,
  path: string,
  patience = patient,
): Promise<Held<Duplex>> {
  const start = ({ client }: Session) =>
    counted<Duplex>(connection.node, "forwards", (callback) =>
      client.openssh_forwardOutStreamLocal(path, callback),
    );
  return hostOf(connection).open(connection, "forward", start, patience);
}

/** Opens a channel from the host to a TCP address that it can reach. */
export function openTcp(
  connection: Connection,
  host: string,
  port: number,
  patience = patient,
): Promise<Held<Duplex>> {
  const start = ({ client }: Session) =>
    counted<Duplex>(connection.node, "forwards", (callback) =>
      client.forwardOut("127.0.0.1", 0, host, port, callback),
    );
  return hostOf(connection).open(connection, "forward", start, patience);
}

/** Forgets the connection to a host that is about to go away, such as one that reboots. */
export function dropConnection(connection: Connection): void {
  hostOf(connection).drop();
}

/** Closes all connections. */
export function closeConnections(): void {
  for (const host of shared().hosts.values()) host.drop();
  shared().hosts.clear();
}

/** Whether an error only says that a host could not be asked. */
export function couldNotAsk(error: unknown): error is HostError {
  return error instanceof UnreachableError || error instanceof HostKeyError || error instanceof LoginError;
}
