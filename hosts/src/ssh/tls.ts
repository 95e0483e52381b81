/** TLS over a channel that is already open. */
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { asSocket } from "../docker/http";

export interface TlsOptions {
  /** The one authority that is trusted. */
  readonly ca: string;
  /** Name or address that the other side's certificate must be for. */
  readonly name: string;
  /** A client's own certificate and key, where it needs one. */
  readonly cert?: string;
  readonly key?: string;
}

export function secured(channel: Duplex, { ca, name, cert, key }: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: asSocket(channel),
      ca,
      host: name,
      ...(isIP(name) ? {} : { servername: name }),
      ...(cert === undefined ? {} : { cert, key }),
    });
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed during the TLS handshake")));
  });
}
