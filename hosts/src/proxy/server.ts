/**
 * An SSH server on standard input and output, for OpenSSH's ProxyCommand: `docker system dial-stdio`
 * leads to the Docker socket of a manager that works. The pipe is local, so it asks for no login.
 */
import { Duplex } from "node:stream";
import type { Readable, Writable } from "node:stream";
import { Server, utils } from "ssh2";
import type { ServerChannel } from "ssh2";
import { messageOf } from "../errors";

export type OpenStream = () => Promise<{ channel: Duplex; release: () => void }>;

/** Serves until the other side goes away. */
export function serveSsh(input: Readable, output: Writable, open: OpenStream): Promise<void> {
  const { private: hostKey } = utils.generateKeyPairSync("ed25519");
  const pipe = Duplex.from({ readable: input, writable: output });
  return new Promise((resolve) => {
    const server = new Server({ hostKeys: [hostKey] }, (client) => {
      client.on("authentication", (context) => context.accept());
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
      client.on("error", () => resolve());
      client.on("close", () => resolve());
    });
    pipe.on("error", () => resolve());
    input.on("end", () => resolve());
    // The server takes anything that looks like a socket.
    server.injectSocket(Object.assign(pipe, { setNoDelay: () => pipe, remoteAddress: "127.0.0.1" }) as never);
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
