/** The registry as its users see it: HTTPS over an SSH channel from a node, checked against the stack's own CA. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { AcceptanceInputs, Connection } from "../contract";
import { readBody, sendRequest } from "../docker/http";
import { HostError, messageOf } from "../errors";
import { brief } from "../ssh/connect";
import { openTcp } from "../ssh/pool";
import { secured } from "../ssh/tls";
import { within } from "../time";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** @default true */
  readonly login?: boolean;
}

const CALL_SECONDS = 60;

export class RegistryClient {
  readonly host: string;
  constructor(
    private readonly inputs: AcceptanceInputs,
    readonly node: Connection,
  ) {
    const { registryName, registryPort } = inputs;
    this.host = registryPort === 443 ? registryName : `${registryName}:${registryPort}`;
  }

  /** One request on a connection of its own, so that requests may reach different backends. */
  async call(path: string, options: CallOptions = {}): Promise<Answer> {
    const { method = "GET", headers = {}, body, login = true } = options;
    const { username, password } = this.inputs;
    const authorization = login
      ? { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` }
      : {};
    return this.connected(async (socket) => {
      const message = await sendRequest(socket, {
        method,
        path,
        headers: { Host: this.host, Connection: "close", ...authorization, ...headers },
        ...(body === undefined ? {} : { body }),
      });
      return { status: message.statusCode ?? 0, headers: message.headers, body: await readBody(message) };
    }, `${method} ${path}`);
  }

  /** The certificate that the registry shows; it has been checked by then. */
  certificate(): Promise<PeerCertificate> {
    return this.connected(
      (socket) => Promise.resolve(socket.getPeerCertificate()),
      "reading the certificate",
    );
  }

  private async connected<T>(work: (socket: TLSSocket) => Promise<T>, what: string): Promise<T> {
    const { registryAddress, registryPort, registryName, caCertificate } = this.inputs;
    const held = await openTcp(this.node, registryAddress, registryPort, brief).catch((error: unknown) => {
      throw error instanceof HostError
        ? error
        : new HostError(
            this.node.node,
            `no connection to ${registryAddress}:${registryPort}: ${messageOf(error)}`,
          );
    });
    try {
      const opened = secured(held.channel, { ca: caCertificate, name: registryName });
      const failure = () =>
        new HostError(this.node.node, `registry, ${what}: no answer within ${CALL_SECONDS} s`);
      return await within(CALL_SECONDS, opened.then(work), failure);
    } catch (error) {
      throw error instanceof HostError
        ? error
        : new HostError(this.node.node, `registry, ${what}: ${messageOf(error)}`);
    } finally {
      held.channel.destroy();
      held.release();
    }
  }
}

/** A tag no other check uses. */
export function uniqueTag(): string {
  return `check-${randomBytes(6).toString("hex")}`;
}
