import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
import type { Duplex } from "node:stream";
import type { Instance } from "../../lab/instance";

/** Of the proxies in the lab's configuration, on the lab's gateway. */
const port = 3128;

/** An HTTP proxy on the lab's network that records its requests and forwards none. */
export class RecordingProxy {
  /** Everything since the start, or the last `forget`: `CONNECT host:443`, `GET http://host/`. */
  asked: string[] = [];

  private constructor(
    private readonly server: http.Server,
    private readonly way: ChildProcess,
    private readonly socket: string,
  ) {}

  /** Listens in the lab's network only. */
  static async start(instance: Instance): Promise<RecordingProxy> {
    const socket = path.join(instance.dir, "proxy.sock");
    fs.rmSync(socket, { force: true });
    const server = http.createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const listen = `TCP4-LISTEN:${port},bind=${instance.gateway},fork,reuseaddr,backlog=128`;
    const argv = ["netns", "exec", instance.netns, "socat", listen, `UNIX-CONNECT:${socket}`];
    const way = spawn("ip", argv, { stdio: "ignore" });
    const proxy = new RecordingProxy(server, way, socket);
    server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
      proxy.asked.push(`${request.method} ${request.url}`);
      response.writeHead(502).end("recorded\n");
    });
    server.on("connect", (request: http.IncomingMessage, client: Duplex) => {
      proxy.asked.push(`CONNECT ${request.url}`);
      client.on("error", () => undefined);
      client.end("HTTP/1.1 502 recorded\r\n\r\n");
    });
    return proxy;
  }

  forget(): void {
    this.asked = [];
  }

  stop(): void {
    this.way.kill();
    this.server.closeAllConnections();
    this.server.close();
    fs.rmSync(this.socket, { force: true });
  }
}
