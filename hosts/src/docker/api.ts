/** Docker's API over an SSH channel to its socket: no token and no password is ever on a command line. */
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { Connection } from "../contract";
import { DockerError, HostError, messageOf } from "../errors";
import { patient } from "../ssh/connect";
import type { Patience } from "../ssh/connect";
import { couldNotAsk, openUnixSocket } from "../ssh/pool";
import { within } from "../time";
import { readBody, sendRequest } from "./http";

export const DOCKER_SOCKET = "/var/run/docker.sock";

export interface DockerRequest {
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: Readable;
  readonly headers?: OutgoingHttpHeaders;
  readonly query?: Readonly<Record<string, unknown>>;
  /** Limit for the answer to begin, and again for it to end; reaching the host has its own. @default 30 */
  readonly timeoutSeconds?: number;
  /** What it is for, in error messages. @default method and path */
  readonly purpose?: string;
  readonly patience?: Patience;
  /** Ends it, and the reading of its answer. */
  readonly signal?: AbortSignal;
}

/** An open answer: read it, then call `close`. */
export interface DockerAnswer {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  close(): void;
}

export interface DockerApi {
  readonly node: string;
  get<T>(path: string, options?: DockerRequest): Promise<T>;
  post<T>(path: string, options?: DockerRequest): Promise<T>;
  delete(path: string, options?: DockerRequest): Promise<void>;
  /** For answers that are streams: the caller reads and closes. */
  open(method: string, path: string, options?: DockerRequest): Promise<DockerAnswer>;
}

/**
 * The Docker Engine of a host.
 * @throws UnreachableError without a session, DockerError for an answer of 400 and above, HostError without an answer.
 */
export function dockerApi(connection: Connection, patience: Patience = patient): DockerApi {
  const json = <T>(method: string, path: string, options: DockerRequest = {}) =>
    jsonRequest<T>(connection, method, path, { patience, ...options });
  return {
    node: connection.node,
    get: (path, options) => json("GET", path, options),
    post: (path, options) => json("POST", path, options),
    delete: async (path, options) => {
      await json("DELETE", path, options);
    },
    open: (method, path, options = {}) => openRequest(connection, method, path, { patience, ...options }),
  };
}

async function jsonRequest<T>(
  connection: Connection,
  method: string,
  path: string,
  options: DockerRequest,
): Promise<T> {
  const { timeoutSeconds = 30, purpose = `${method} ${path}` } = options;
  const answer = await openRequest(connection, method, path, options);
  try {
    const body = readBody(answer.message);
    const late = (): HostError => silent(connection.node, purpose, timeoutSeconds);
    const text = (await within(timeoutSeconds, body, late)).toString("utf8");
    return (text.trim() === "" ? undefined : parsed(connection.node, purpose, text)) as T;
  } finally {
    answer.close();
  }
}

async function openRequest(
  connection: Connection,
  method: string,
  path: string,
  options: DockerRequest,
): Promise<DockerAnswer> {
  const { node } = connection;
  const { purpose = `${method} ${path}`, timeoutSeconds = 30, patience = patient } = options;
  const held = await openUnixSocket(connection, DOCKER_SOCKET, patience).catch((error: unknown) => {
    throw couldNotAsk(error) ? error : notServing(connection, error);
  });
  const close = () => {
    held.channel.destroy();
    held.release();
  };
  try {
    const sent = sendRequest(held.channel, {
      method,
      path: path + queryOf(options.query),
      headers: {
        ...(options.json === undefined ? {} : { "Content-Type": "application/json" }),
        ...options.headers,
      },
      signal: options.signal,
      ...(options.json === undefined ? { body: options.body } : { body: JSON.stringify(options.json) }),
    });
    const message = await within(timeoutSeconds, sent, () => silent(node, purpose, timeoutSeconds)).catch(
      (error: unknown) => {
        throw error instanceof HostError
          ? error
          : new HostError(node, `Docker, ${purpose}: ${messageOf(error)}`);
      },
    );
    const status = message.statusCode ?? 0;
    if (status >= 400) throw await refusal(node, purpose, status, message);
    return { message, socket: held.channel, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function refusal(
  node: string,
  purpose: string,
  status: number,
  message: IncomingMessage,
): Promise<DockerError> {
  const text = await within(5, readBody(message), () => new Error("no body")).then(String, () => "");
  let reason = text.trim();
  try {
    reason = (JSON.parse(text) as { message?: string }).message ?? reason;
  } catch {
    // Not JSON: shown as it is.
  }
  return new DockerError(
    node,
    `Docker, ${purpose}: ${reason || "no reason given"} (${status})`,
    status,
    reason,
  );
}

function queryOf(query: Readonly<Record<string, unknown>> | undefined): string {
  if (query === undefined) return "";
  const parts = Object.entries(query).map(
    ([key, value]) =>
      `${key}=${encodeURIComponent(typeof value === "string" ? value : JSON.stringify(value))}`,
  );
  return `?${parts.join("&")}`;
}

function parsed(node: string, purpose: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HostError(node, `Docker, ${purpose}: the answer is not JSON: ${text.slice(0, 200)}`);
  }
}

/** What to do where Docker does not answer. */
export const SILENT_ADVICE = "see `systemctl status docker` and `journalctl -u docker` there";

function silent(node: string, purpose: string, seconds: number): HostError {
  return new HostError(node, `Docker, ${purpose}: no answer within ${seconds} s; ${SILENT_ADVICE}`);
}

function notServing(connection: Connection, error: unknown): HostError {
  return new HostError(
    connection.node,
    `nothing serves ${DOCKER_SOCKET} for ${connection.user}, so Docker does not run there or may not be used ` +
      `(${messageOf(error)}). Start it (\`systemctl start docker\`; \`journalctl -u docker\` says why it stopped), and run ` +
      "again. If it runs: the user must be root or in group docker, and sshd must allow AllowStreamLocalForwarding.",
  );
}

/** Whether an error means "there is none". */
export function isMissing(error: unknown): error is DockerError {
  return error instanceof DockerError && error.status === 404;
}
