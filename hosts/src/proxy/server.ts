/**
 * An SSH server on a socket of this machine: `docker system dial-stdio` leads to the Docker socket of a manager
 * that works. The socket's folder is the operator's alone, so it asks for no login.
 */
import * as net from "node:net";
import type { Duplex } from "node:stream";
import { Server, utils } from "ssh2";
import type { Connection as Client, ServerChannel } from "ssh2";
import { messageOf } from "../errors";

export type OpenStream = () => Promise<{ channel: Duplex; release: () => void }>;

/** A server that is yet to listen. `changed` is told how many clients are connected whenever that changes. */
export function sshServer(open: OpenStream, changed: (clients: number) => void): net.Server {
  // Of ed25519 keys, ssh2 makes one in some hundreds that it cannot read.
  const { private: hostKey } = utils.generateKeyPairSync("ecdsa", { bits: 256 });
  const ssh = new Server({ hostKeys: [hostKey] }, (client) => serve(client, open));
  let clients = 0;
  // ssh2 tells of a client only when that has spoken; one that is about to has come as well.
  return net.createServer((socket) => {
    changed((clients += 1));
    socket.on("close", () => changed((clients -= 1)));
    ssh.injectSocket(socket);
  });
}

function serve(client: Client, open: OpenStream): void {
  client.on("authentication", (context) => context.accept());
  client.on("error", () => client.end());
  client.on("session", (accept) => {
    const session = accept();
    session.on("exec", (acceptExec, reject, { command }) => {
      if (!/(^|[\s/])docker\s(.*\s)?system dial-stdio\s*$/.test(command)) {
        reject();
        return;
      }
      void bridge(acceptExec(), open);
    });
    for (const refused of ["shell", "sftp", "subsystem"]) {
      session.on(refused as "shell", (_accept, reject) => reject?.());
    }
  });
}

/** Joins one dial-stdio to one Docker connection; either end closes both. */
async function bridge(channel: ServerChannel, open: OpenStream): Promise<void> {
  try {
    const { channel: docker, release } = await open();
    const end = (code: number) => {
      release();
      if (!channel.writableEnded) {
        channel.exit(code);
        channel.end();
      }
    };
    docker.on("close", () => end(0));
    docker.on("error", () => end(1));
    // Also where the client gave up while a manager was looked for: a channel closes once it is read.
    channel.on("close", () => docker.destroy());
    channel.on("error", () => docker.destroy());
    channel.pipe(docker);
    docker.pipe(channel, { end: false });
    docker.on("end", () => end(0));
  } catch (error) {
    channel.stderr.write(`${messageOf(error)}\n`);
    channel.exit(1);
    channel.end();
  }
}
