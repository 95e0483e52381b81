/** One SSH connection: made, proved to be the right host, and watched. */
import { Socket } from "node:net";
import { Client } from "ssh2";
import type { Connection } from "../contract";
import { HostError, HostKeyError, LoginError, UnreachableError, messageOf } from "../errors";
import { systemClock } from "../time";
import { credentialsOf, hostKeyAlgorithms, hostKeyProblem, otherKindOfKey, parsePublicKey } from "./keys";
import { count } from "./stats";

/** How hard to try to reach a host. */
export interface Patience {
  readonly attempts: number;
  /** Limit of each attempt, from the first packet to the login. */
  readonly timeoutSeconds: number;
  /** Pause after a failed attempt, doubled each time, at most 10. */
  readonly pauseSeconds: number;
  /** Tries even where an attempt has failed a moment ago. @default false */
  readonly forgetful?: boolean;
}

/** For work that needs this very host. */
export const patient: Patience = { attempts: 4, timeoutSeconds: 15, pauseSeconds: 1 };
const UNREACHABLE_ADVICE =
  "Switch it on, or see on its console what it hangs in, and run again: what is done already stays.";
/** For a host that may be off, and that others can stand in for. */
export const brief: Patience = { attempts: 1, timeoutSeconds: 6, pauseSeconds: 0 };

export interface Session {
  readonly client: Client;
  readonly socket: Socket;
}

/**
 * Connects and logs in.
 * @throws HostKeyError and LoginError at once; UnreachableError when all attempts are used up.
 */
export async function connect(connection: Connection, patience: Patience): Promise<Session> {
  if (connection.hostKey !== undefined) parsePublicKey(connection.node, connection.hostKey);
  let last: unknown;
  for (let attempt = 1; attempt <= patience.attempts; attempt += 1) {
    try {
      return await attemptConnect(connection, patience.timeoutSeconds);
    } catch (error) {
      if (error instanceof HostKeyError || error instanceof LoginError) throw error;
      last = error;
      if (attempt < patience.attempts)
        await systemClock.sleep(Math.min(10, patience.pauseSeconds * 2 ** (attempt - 1)) * 1000);
    }
  }
  const { node, user, host, port } = connection;
  const tries = patience.attempts === 1 ? "1 attempt" : `${patience.attempts} attempts`;
  // Who tries once can do without this host, and says so in other words.
  const advice = patience.attempts === 1 ? "" : `\n${UNREACHABLE_ADVICE}`;
  throw new UnreachableError(
    node,
    `no SSH connection to ${user}@${host}:${port} after ${tries}: ${reasonOf(last)}${advice}`,
  );
}

/** Forwards and balancers accept a connection first, and close it when the host behind them is silent. */
function reasonOf(error: unknown): string {
  const text = messageOf(error);
  return /before handshake/i.test(text)
    ? "the connection was closed before SSH began (the host is off or hangs, or no SSH server runs there)"
    : text;
}

function attemptConnect(connection: Connection, timeoutSeconds: number): Promise<Session> {
  const { node, user, host, port } = connection;
  const { credentials, described, publicKey } = credentialsOf(connection);
  const algorithms = hostKeyAlgorithms(connection);
  return new Promise((resolve, reject) => {
    const client = new Client();
    const socket = new Socket();
    let refused: HostError | undefined;
    let settled = false;
    const fail = (error: Error) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      client.destroy();
      socket.destroy();
      reject(refused ?? error);
    };
    const timer = setTimeout(
      () =>
        fail(
          new Error(
            `no answer within ${timeoutSeconds} s (the host is off, frozen, or a firewall drops packets)`,
          ),
        ),
      timeoutSeconds * 1000,
    );
    client.on("ready", () => {
      settled = true;
      clearTimeout(timer);
      count("connections", node);
      watchOver(client, socket);
      resolve({ client, socket });
    });
    client.on("error", (error: Error & { level?: string }) => {
      if (error.level === "client-authentication") refused = loginRefused(connection, described, publicKey);
      if (/no matching host key/i.test(error.message)) refused = otherKindOfKey(connection);
      fail(error);
    });
    client.on("close", () => fail(new Error("the connection was closed before the login")));
    // What fails a connection reaches it by the client; the socket's own errors must only not go unheard.
    socket.on("error", () => undefined);
    // The socket must be connecting by the time ssh2 sees it, or it takes it for connected.
    socket.setNoDelay(true);
    socket.connect({ host, port });
    client.connect({
      sock: socket,
      username: user,
      ...credentials,
      readyTimeout: 0,
      ...(algorithms ? { algorithms: { serverHostKey: algorithms as never } } : {}),
      hostVerifier: (key: Buffer) => {
        refused = hostKeyProblem(connection, key);
        return refused === undefined;
      },
    });
  });
}

const PING_SECONDS = 5;
const SILENCE_SECONDS = 20;

/**
 * Keepalive. ssh2's own holds the process open, so a global request that changes nothing (taking back a
 * forward that was never asked for) is sent instead, by a timer that does not.
 */
function watchOver(client: Client, socket: Socket): void {
  let answered = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - answered > SILENCE_SECONDS * 1000) {
      socket.destroy(new Error(`the host has not answered for ${SILENCE_SECONDS} s`));
      return;
    }
    try {
      client.unforwardIn("", 0, () => (answered = performance.now()));
    } catch {
      clearInterval(timer);
    }
  }, PING_SECONDS * 1000);
  timer.unref();
  client.on("close", () => clearInterval(timer));
}

function loginRefused(
  { node, user, host, port }: Connection,
  described: string,
  publicKey: string | undefined,
): LoginError {
  return new LoginError(
    node,
    `${host}:${port} refuses the login as ${user} with ${described}. ` +
      `Its public key ${publicKey === undefined ? "" : `(${publicKey}) `}must be in ~${user}/.ssh/authorized_keys there, ` +
      "and the user name must be right.",
  );
}
