/** A Docker Engine's API on a Unix socket, answering what a test tells it to. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { join } from "node:path";
import { afterwards, temporaryFolder } from "./stop";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
}

export interface FakeAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  /** The beginning of an answer that has no end. */
  readonly hang?: string;
  /** No more than the head of an answer. */
  readonly head?: true;
  /** Takes what says more of such an answer; an empty text ends it. */
  readonly onward?: (write: (text: string) => void) => void;
}

/** Answers with a status and JSON; a function may answer by itself. */
export type Handler = (seen: Seen) => FakeAnswer | undefined;

export class FakeDocker {
  readonly seen: Seen[] = [];
  readonly path: string;
  private readonly server: Server;
  private readonly handlers: [string, RegExp, Handler][] = [];
  /** Answers nothing at all, as a frozen engine does. */
  frozen = false;
  /** Ends every request, as where no engine runs. */
  down = false;
  /** Connections now. */
  open = 0;
  onUpgrade: ((seen: Seen, socket: Duplex) => void) | undefined;

  constructor() {
    this.path = join(temporaryFolder(), "docker.sock");
    this.server = createServer((request, response) => void this.answer(request, response));
    this.server.on("connection", (socket: Duplex) => {
      this.open += 1;
      socket.on("close", () => (this.open -= 1));
    });
    this.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // The body of an upgrading request is left to whoever takes it over.
      const seen = this.note(request, head.toString("utf8"));
      socket.write(
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
      );
      this.onUpgrade?.(seen, socket);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(this.path, resolve));
    afterwards(() => {
      this.server.closeAllConnections();
      this.server.close();
    });
    return this;
  }

  on(method: string, path: RegExp, handler: Handler): this {
    this.handlers.unshift([method, path, handler]);
    return this;
  }

  calls(method: string, path: RegExp): Seen[] {
    return this.seen.filter((seen) => seen.method === method && path.test(seen.path));
  }

  private note(request: IncomingMessage, body: string): Seen {
    const url = new URL(request.url ?? "/", "http://docker");
    const seen = { method: request.method ?? "", path: url.pathname, query: url.searchParams, body };
    this.seen.push(seen);
    return seen;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.down) return void request.socket.destroy();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const seen = this.note(request, Buffer.concat(chunks).toString("utf8"));
    if (this.frozen) return;
    const handler = this.handlers.find(
      ([method, path]) => method === seen.method && path.test(seen.path),
    )?.[2];
    const answer = handler?.(seen) ?? {
      status: 404,
      json: { message: `no such thing: ${seen.method} ${seen.path}` },
    };
    response.writeHead(answer.status ?? 200, { "Content-Type": "application/json", ...answer.headers });
    if (answer.head) return response.flushHeaders();
    if (answer.hang !== undefined) {
      response.write(answer.hang);
      return answer.onward?.((text) => void (text === "" ? response.end() : response.write(text)));
    }
    response.end(answer.text ?? (answer.json === undefined ? "" : JSON.stringify(answer.json)));
  }
}

/** A frame of Docker's stream of a command's outputs: 1 is standard output, 2 standard error. */
export function frame(kind: 1 | 2, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = kind;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

export const startDocker = (): Promise<FakeDocker> => new FakeDocker().start();

/** An engine that is a manager with a readable state. */
export async function startManager(name: string): Promise<FakeDocker> {
  const docker = await startDocker();
  return docker
    .on("GET", /^\/_ping$/, () => ({ text: "OK", headers: { "Api-Version": "1.41" } }))
    .on("GET", /^\/info$/, () => ({
      json: {
        Name: name,
        ServerVersion: "28.5.0",
        Swarm: {
          NodeID: `id-${name}`,
          LocalNodeState: "active",
          ControlAvailable: true,
          Error: "",
          RemoteManagers: [{ NodeID: `id-${name}`, Addr: "10.0.2.11:2377" }],
          Cluster: { ID: "cluster-1" },
        },
      },
    }))
    .on("GET", /^\/nodes$/, () => ({ json: [] }));
}
