import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const listening = `
  const server = require("node:net").createServer();
  server.listen({ host: process.argv[1], port: Number(process.argv[2]), backlog: 1 }, () => {
    require("node:fs").writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 180_000);
  });`;

/** An address on loopback on which connections hang for three minutes, as they do towards a container that is gone. */
export class SilentAddress {
  private child: ChildProcess | undefined;
  private readonly waiting: net.Socket[] = [];

  /** @param port from the kernel by default */
  constructor(
    readonly host: string,
    public port = 0,
  ) {}

  async start(): Promise<this> {
    const child = spawn(process.execPath, ["-e", listening, this.host, String(this.port)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.child = child;
    const [port] = (await once(child.stdout, "data")) as [Buffer];
    this.port = Number(String(port));
    // Nothing accepts: once the queue is full, the next connection waits.
    for (let tries = 0; tries < 10; tries++) {
      const socket = net.connect(this.port, this.host).on("error", () => undefined);
      this.waiting.push(socket);
      if (!(await Promise.race([once(socket, "connect"), sleep(300)]))) return this;
    }
    throw new Error(`${this.host}:${this.port} accepts connections`);
  }

  stop(): void {
    for (const socket of this.waiting) socket.destroy();
    this.child?.kill();
  }
}
