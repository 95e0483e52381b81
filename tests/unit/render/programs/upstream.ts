import * as http from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A stand-in for a registry, a store or a balancer: it records requests and answers with its own name. */
export class Upstream {
  /** Requests that came as a whole. */
  readonly seen: Seen[] = [];
  /** Requests whose headers came. */
  readonly begun: string[] = [];
  /** Requests whose client left before their body was complete. */
  readonly givenUp: string[] = [];
  /** What it answers; a test may change it. */
  reply: (request: Seen, response: http.ServerResponse) => void;
  private server: http.Server | undefined;

  /**
   * @param host on loopback. One that is not 127.0.0.1 is never taken by a client's port while the stand-in is stopped
   * @param port from the kernel by default, and the same after each start
   */
  constructor(
    readonly name: string,
    readonly host: string,
    public port = 0,
  ) {
    this.reply = (request, response) => {
      response.writeHead(200, { "Docker-Distribution-Api-Version": "registry/2.0", "X-Upstream": this.name });
      response.end(JSON.stringify({ from: this.name, method: request.method, url: request.url }));
    };
  }

  async start(): Promise<this> {
    const server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      this.begun.push(`${request.method} ${request.url}`);
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("close", () => {
        if (!request.complete) this.givenUp.push(`${request.method} ${request.url}`);
      });
      request.on("end", () => {
        const seen = {
          method: request.method ?? "",
          url: request.url ?? "",
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        };
        this.seen.push(seen);
        this.reply(seen, response);
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, this.host, resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  /** Answers differently while `work` runs. */
  async answering<T>(reply: Upstream["reply"], work: () => Promise<T>): Promise<T> {
    const before = this.reply;
    this.reply = reply;
    try {
      return await work();
    } finally {
      this.reply = before;
    }
  }

  async stop(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }
}
