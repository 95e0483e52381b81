/** The Docker provider's way into the Swarm, by any manager that works. */
import * as fs from "node:fs";
import type { Connection } from "../contract";
import { messageOf } from "../errors";
import { closeConnections } from "../ssh/pool";
import { ManagerChoice } from "./choose";
import { managersOfStack } from "./managers";
import { sshServer } from "./server";
import { errorFile } from "./socket";

/** How long the way stays open while nobody uses it: an update's pauses are shorter. */
const IDLE_SECONDS = 20;

export interface DockerProxyOptions {
  /** The stack whose Swarm it is, as `pulumi --stack` takes it. */
  readonly stack: string;
  /** Path of the Unix socket to listen on, in a folder that is the operator's alone. */
  readonly socket: string;
  /** Where the managers are taken from. @default the stack's state */
  readonly managers?: () => Promise<Connection[]>;
  /** @default 20 */
  readonly idleSeconds?: number;
}

/**
 * Serves until nobody has used it for a while; one connection to each manager is shared by all clients. Returns
 * the exit code: 1 when no manager is in reach, which is told in the file beside the socket.
 */
export async function runDockerProxy(options: DockerProxyOptions): Promise<number> {
  const { stack, socket, managers, idleSeconds = IDLE_SECONDS } = options;
  try {
    const choice = new ManagerChoice(await (managers ?? (() => managersOfStack(stack)))());
    await choice.current();
    const watch = choice.watch();
    await untilIdle(socket, choice, idleSeconds * 1000).finally(() => watch.stop());
    return 0;
  } catch (error) {
    fs.writeFileSync(errorFile(socket), messageOf(error).replaceAll("\n", "; "), { mode: 0o600 });
    return 1;
  } finally {
    closeConnections();
  }
}

function untilIdle(socket: string, choice: ManagerChoice, idleMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const close = (): void => {
      server.close();
      fs.rmSync(socket, { force: true });
      resolve();
    };
    let idle = setTimeout(close, idleMs);
    const server = sshServer(
      () => choice.stream(),
      (clients) => {
        clearTimeout(idle);
        if (clients === 0) idle = setTimeout(close, idleMs);
      },
    );
    server.on("error", reject);
    fs.rmSync(socket, { force: true });
    server.listen(socket, () => fs.rmSync(errorFile(socket), { force: true }));
  });
}
