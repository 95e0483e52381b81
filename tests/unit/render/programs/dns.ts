import * as dgram from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** A name server on loopback that knows what `names` holds at the moment. */
export class NameServer {
  readonly names = new Map<string, string>();
  /** No answers at all, as a black hole gives none. */
  silent = false;
  /** Names about which it says nothing, not even that it does not know them. */
  readonly untold = new Set<string>();
  private readonly socket = dgram.createSocket("udp4");

  /** Waits until it is asked once more. */
  async nextQuery(): Promise<void> {
    await once(this.socket, "message");
  }

  static async start(): Promise<NameServer> {
    const server = new NameServer();
    server.socket.on("message", (query, from) => {
      const answer = server.silent ? undefined : server.answer(query);
      if (answer) server.socket.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve) => server.socket.bind(0, "127.0.0.1", resolve));
    return server;
  }

  get address(): string {
    return `127.0.0.1:${(this.socket.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.socket.close();
  }

  private answer(query: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    while (query[at] !== 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + query[at]));
      at += query[at] + 1;
    }
    const question = query.subarray(12, at + 5);
    const isA = query.readUInt16BE(at + 1) === 1;
    const name = labels.join(".");
    if (this.untold.has(name)) return undefined;
    const known = this.names.get(name);
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(known === undefined ? 0x8583 : 0x8580, 2);
    header.writeUInt16BE(1, 4);
    if (known === undefined || !isA) return Buffer.concat([header, question]);
    header.writeUInt16BE(1, 6);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...known.split(".").map(Number)]);
    return Buffer.concat([header, question, record]);
  }
}
