/**
 * An SSH server on a socket of this machine, whose `docker system dial-stdio` speaks Docker's API. The socket's folder
 * is the operator's alone, so it asks for no login.
 */
import * as http from "node:http";
import * as net from "node:net";
import type { Duplex } from "node:stream";
import { Server, utils } from "ssh2";
import type { Connection as Client } from "ssh2";

/** Answers a request. @param left is aborted once its client is gone */
export type Answering = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  left: AbortSignal,
) => void;

/** As much as Docker takes. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** A server that is yet to listen. `changed` is told how many clients are connected whenever that changes. */
export function sshServer(answer: Answering, changed: (clients: number) => void): net.Server {
  // Of ed25519 keys, ssh2 makes one in some hundreds that it cannot read.
  const { private: hostKey } = utils.generateKeyPairSync("ecdsa", { bits: 256 });
  const docker = dockerServer(answer);
  const ssh = new Server({ hostKeys: [hostKey] }, (client) => serve(client, docker));
  let clients = 0;
  // ssh2 tells of a client only when that has spoken; one that is about to has come as well.
  return net.createServer((socket) => {
    changed((clients += 1));
    socket.on("close", () => changed((clients -= 1)));
    ssh.injectSocket(socket);
  });
}

/** Takes the channel of a client as its connection. */
type Serve = (channel: Duplex, left: AbortSignal) => void;

/** It listens nowhere, and ends no connection by itself: Docker's client keeps those that are quiet. */
function dockerServer(answer: Answering): Serve {
  const signals = new WeakMap<Duplex, AbortSignal>();
  const options = { keepAliveTimeout: 0, requestTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES };
  const server = http.createServer(options, (request, response) => {
    const left = signals.get(request.socket);
    if (left) answer(request, response, left);
  });
  // A client may end its side once it has asked.
  Object.assign(server, { httpAllowHalfOpen: true });
  return (channel, left) => {
    signals.set(channel, left);
    server.emit("connection", channel);
  };
}

function serve(client: Client, docker: Serve): void {
  const left = new AbortController();
  client.on("close", () => left.abort());
  client.on("authentication", (context) => context.accept());
  client.on("error", () => client.end());
  client.on("session", (accept) => {
    const session = accept();
    session.on("exec", (acceptExec, reject, { command }) => {
      if (!/(^|[\s/])docker\s(.*\s)?system dial-stdio\s*$/.test(command)) {
        reject();
        return;
      }
      const channel = acceptExec();
      // What goes wrong is told by Docker's answers. A channel that ends takes no status any more, so it has it at once.
      channel.exit(0);
      docker(channel, left.signal);
    });
    for (const refused of ["shell", "sftp", "subsystem"]) {
      session.on(refused as "shell", (_accept, reject) => reject?.());
    }
  });
}
