import * as http from "node:http";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A stand-in for a registry, or for a store: keeps what it was asked, answers with its own name. */
export class Upstream {
  readonly seen: Seen[] = [];
  /** Requests whose client was gone before their body was whole. */
  readonly givenUp: string[] = [];
  /** What it answers; a test may change it. */
  reply: (request: Seen, response: http.ServerResponse) => void;
  private server: http.Server | undefined;

  constructor(
    readonly name: string,
    readonly host: string,
    readonly port: number,
  ) {
    this.reply = (request, response) => {
      response.writeHead(200, { "Docker-Distribution-Api-Version": "registry/2.0", "X-Upstream": this.name });
      response.end(JSON.stringify({ from: this.name, method: request.method, url: request.url }));
    };
  }

  async start(): Promise<this> {
    const server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
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
    this.server = server;
    return this;
  }

  /** Answers otherwise for the time of `work`. */
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
