/** HTTP over a channel that is already open. */
import { request } from "node:http";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Duplex, Readable } from "node:stream";

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer | Readable;
  /** Ends it, and the reading of its answer. */
  readonly signal?: AbortSignal;
}

/** http expects a socket; a channel lacks the knobs of one, and needs none. */
export function asSocket<Stream extends Duplex>(stream: Stream): Stream {
  const knobs = {
    setKeepAlive: none,
    setNoDelay: none,
    setTimeout: none,
    ref: none,
    unref: none,
    destroySoon: destroy,
  };
  return Object.assign(stream, knobs);
}

function none(this: Duplex): Duplex {
  return this;
}

function destroy(this: Duplex): void {
  this.destroy();
}

/** Sends one request; the answer's body is still to be read. An upgraded connection counts as an answer, 101. */
export function sendRequest(socket: Duplex, wanted: HttpRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { method, path, headers = {}, body, signal } = wanted;
    const length =
      typeof body === "string" || Buffer.isBuffer(body) ? { "Content-Length": Buffer.byteLength(body) } : {};
    const sent = request({
      createConnection: () => asSocket(socket) as never,
      method,
      path,
      headers: { Host: "docker", ...length, ...headers },
      signal,
    });
    sent.on("response", resolve);
    sent.on("upgrade", (message, upgraded, head) => {
      if (head.length > 0) upgraded.unshift(head);
      resolve(message);
    });
    sent.on("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed before the answer")));
    if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) {
      sent.end(body);
      return;
    }
    body.on("error", (error) => sent.destroy(error));
    body.pipe(sent);
  });
}

export async function readBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
