/** The Docker provider's way into the Swarm, by any manager that works. */
import * as fs from "node:fs";
import type { Connection } from "../contract";
import { messageOf } from "../errors";
import { closeConnections } from "../ssh/pool";
import { ManagerChoice } from "./choose";
import type { Watch } from "./choose";
import { recordedSwarm } from "./managers";
import { removeMark } from "./mark";
import { sshServer } from "./server";
import { errorFile, writeWhole } from "./socket";

/** How long the way stays open while nobody uses it: an update's pauses are shorter. */
const IDLE_SECONDS = 20;
/** How long it is still there, once it cannot be found any more, for those who had just found it. */
const FAREWELL_MS = 250;

export interface DockerProxyOptions {
  /** The stack whose Swarm it is, as `pulumi --stack` takes it. */
  readonly stack: string;
  /** Path of the Unix socket to listen on, in a folder that is the operator's alone. */
  readonly socket: string;
  /** Where the managers are taken from. @default the stack's state */
  readonly managers?: () => Promise<Connection[]>;
  /** @default 20 */
  readonly idleSeconds?: number;
  /** How often the manager in use is looked at, and how long it may take to answer. @default 5 s and 10 s */
  readonly watch?: Watch;
}

/**
 * Serves until nobody has used it for a while; one connection to each manager is shared by all clients. Returns
 * the exit code: 1 when no manager is in reach, which is told in the file beside the socket.
 */
export async function runDockerProxy(options: DockerProxyOptions): Promise<number> {
  const { stack, socket, idleSeconds = IDLE_SECONDS } = options;
  const managers = options.managers ?? (async () => (await recordedSwarm(stack)).managers);
  try {
    const choice = new ManagerChoice(await managers());
    await choice.current();
    const watch = choice.watch(options.watch);
    await untilIdle(socket, choice, idleSeconds * 1000).finally(() => watch.stop());
    return 0;
  } catch (error) {
    writeWhole(errorFile(socket), messageOf(error).replaceAll("\n", "; "));
    removeMark(socket);
    return 1;
  } finally {
    closeConnections();
  }
}

function untilIdle(socket: string, choice: ManagerChoice, idleMs: number): Promise<void> {
  // Made under another name, so that it takes the place of one that was left behind in one step.
  const own = `${socket}.${process.pid}`;
  return new Promise((resolve, reject) => {
    let inode: bigint | undefined;
    let leaving = false;
    let idle: NodeJS.Timeout | undefined;
    const rest = () => (idle = leaving ? setTimeout(close, FAREWELL_MS) : setTimeout(leave, idleMs));
    const leave = () => {
      leaving = true;
      if (inode !== undefined && inodeOf(socket) === inode) fs.rmSync(socket, { force: true });
      rest();
    };
    const close = () => {
      server.close();
      resolve();
    };
    const server = sshServer(
      () => choice.stream(),
      (clients) => {
        clearTimeout(idle);
        if (clients === 0) rest();
      },
    );
    server.on("error", reject);
    fs.rmSync(own, { force: true });
    server.listen(own, () => {
      inode = inodeOf(own);
      fs.renameSync(own, socket);
      fs.rmSync(errorFile(socket), { force: true });
      removeMark(socket);
      rest();
    });
  });
}

function inodeOf(file: string): bigint | undefined {
  return fs.lstatSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}
