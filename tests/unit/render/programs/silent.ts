import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const listening = `
  const server = require("node:net").createServer();
  server.listen({ host: process.argv[1], port: Number(process.argv[2]), backlog: 1 }, () => {
    require("node:fs").writeSync(1, "listening");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 180_000);
  });`;

/** An address on loopback on which connections hang, as they do towards a container that is gone. Accepts them after three minutes. */
export class SilentAddress {
  private child: ChildProcess | undefined;
  private readonly waiting: net.Socket[] = [];

  constructor(
    readonly host: string,
    readonly port: number,
  ) {}

  async start(): Promise<this> {
    const child = spawn(process.execPath, ["-e", listening, this.host, String(this.port)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.child = child;
    await once(child.stdout, "data");
    // Nobody accepts: once the queue is full, whoever comes next waits.
    for (let tries = 0; tries < 10; tries++) {
      const socket = net.connect(this.port, this.host).on("error", () => undefined);
      this.waiting.push(socket);
      if (!(await Promise.race([once(socket, "connect"), sleep(300)]))) return this;
    }
    throw new Error(`${this.host}:${this.port} takes connections`);
  }

  stop(): void {
    for (const socket of this.waiting) socket.destroy();
    this.child?.kill();
  }
}
