/** A real SSH server in the test's own process: commands run on this machine, sockets lead where the test says. */
import { spawn } from "node:child_process";
import { connect as netConnect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Server, utils } from "ssh2";
import type { Connection as ServerConnection } from "ssh2";
import type { Connection } from "../../../../hosts/src/contract";

export interface KeyPair {
  readonly private: string;
  readonly public: string;
}

/** Of ed25519 keys, ssh2 makes one in some hundreds that it cannot read. */
export function keyPair(): KeyPair {
  for (;;) {
    const pair = utils.generateKeyPairSync("ed25519");
    if (!(utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}

export interface TestServerOptions {
  readonly node?: string;
  readonly hostKey?: KeyPair;
  readonly userKey?: KeyPair;
  /** Environment of commands, added to this process's. */
  readonly env?: Record<string, string>;
  /** Accepts connections and never says a word. */
  readonly mute?: boolean;
  /** Connections closed at once before the first is served. */
  readonly refuseFirst?: number;
  /** Where a Unix socket asked for leads. */
  readonly sockets?: Record<string, string>;
  /** Where a TCP address asked for, `host:port`, leads. */
  readonly addresses?: Record<string, number>;
  readonly port?: number;
  /** A command that commands are run by, with the command line as its last argument. */
  readonly wrap?: string[];
}

export class TestServer {
  connections = 0;
  logins = 0;
  commands: string[] = [];
  open = 0;
  mostOpen = 0;
  readonly hostKey: KeyPair;
  readonly userKey: KeyPair;
  private readonly server: Server;
  private readonly clients = new Set<ServerConnection>();
  private readonly raw = new Set<Socket>();
  private port = 0;
  private stopping = false;

  constructor(private readonly options: TestServerOptions = {}) {
    this.hostKey = options.hostKey ?? keyPair();
    this.userKey = options.userKey ?? keyPair();
    this.server = new Server({ hostKeys: [this.hostKey.private] });
    const tcp = (this.server as unknown as { _srv: import("node:net").Server })._srv;
    const serve = tcp.listeners("connection")[0] as (socket: Socket) => void;
    tcp.removeAllListeners("connection");
    tcp.on("connection", (socket: Socket) => {
      this.connections += 1;
      socket.setNoDelay(true);
      if (this.stopping) return void socket.destroy();
      this.raw.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.raw.delete(socket));
      if (options.mute) return;
      if (this.connections <= (options.refuseFirst ?? 0)) socket.destroy();
      else serve.call(tcp, socket);
    });
    this.server.on("connection", (client) => this.serve(client));
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(options);
    await new Promise<void>((resolve) => server.server.listen(options.port ?? 0, "127.0.0.1", resolve));
    server.port = (server.server.address() as AddressInfo).port;
    return server;
  }

  /** The connection with everything right. */
  connection(changes: Partial<Connection> = {}): Connection {
    return {
      node: this.options.node ?? "swarm-1",
      host: "127.0.0.1",
      port: this.port,
      user: "core",
      hostKey: this.hostKey.public.split(" ").slice(0, 2).join(" "),
      privateKey: this.userKey.private,
      ...changes,
    };
  }

  /** Cuts all connections, as a host that loses power does not, but one that resets does. */
  cut(): void {
    for (const socket of this.raw) socket.destroy();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private serve(client: ServerConnection): void {
    this.clients.add(client);
    client.on("error", () => undefined);
    client.on("close", () => this.clients.delete(client));
    client.on("authentication", (context) => {
      const wanted = utils.parseKey(this.userKey.public);
      if (wanted instanceof Error || Array.isArray(wanted)) throw new Error("bad key");
      if (context.method !== "publickey" || !context.key.data.equals(wanted.getPublicSSH()))
        return context.reject(["publickey"]);
      if (
        context.signature &&
        context.blob &&
        wanted.verify(context.blob, context.signature, context.hashAlgo) !== true
      ) {
        return context.reject(["publickey"]);
      }
      context.accept();
    });
    client.on("ready", () => (this.logins += 1));
    client.on("session", (accept) => {
      const session = accept();
      this.opened(session);
      session.on("exec", (acceptExec, _reject, { command }) => {
        this.commands.push(command);
        const channel = acceptExec();
        const [program = "sh", ...args] = [...(this.options.wrap ?? ["sh", "-c"]), command];
        const child = spawn(program, args, { env: { ...process.env, ...this.options.env } });
        channel.pipe(child.stdin);
        child.stdin.on("error", () => undefined);
        child.stdout.pipe(channel, { end: false });
        child.stderr.pipe(channel.stderr, { end: false });
        channel.on("close", () => child.kill("SIGKILL"));
        child.on("close", (code, signal) => {
          if (signal) channel.exit(signal.slice(3) as never, false, "");
          else channel.exit(code ?? 0);
          channel.end();
        });
      });
    });
    const leadTo = (
      accept: () => import("ssh2").ServerChannel,
      reject: () => void,
      target: number | string | undefined,
    ) => {
      if (target === undefined) return reject();
      const socket =
        typeof target === "string"
          ? netConnect({ path: target, allowHalfOpen: true } as never)
          : netConnect({ port: target, host: "127.0.0.1", allowHalfOpen: true } as never);
      let accepted = false;
      socket.on("error", () => (accepted ? undefined : reject()));
      socket.on("connect", () => {
        accepted = true;
        const channel = accept();
        channel.pipe(socket).pipe(channel);
        channel.on("error", () => socket.destroy());
        channel.on("close", () => socket.destroy());
        socket.on("error", () => channel.end());
      });
    };
    client.on("openssh.streamlocal", (accept, reject, { socketPath }) =>
      leadTo(accept as never, reject as never, this.options.sockets?.[socketPath]),
    );
    client.on("tcpip", (accept, reject, { destIP, destPort }) =>
      leadTo(accept as never, reject as never, this.options.addresses?.[`${destIP}:${destPort}`]),
    );
  }

  private opened(session: { on(event: "close", listener: () => void): unknown }): void {
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    session.on("close", () => (this.open -= 1));
  }
}
