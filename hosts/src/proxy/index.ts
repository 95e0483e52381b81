/** The Docker provider's way into the Swarm, by any manager that works. */
import * as fs from "node:fs";
import { messageOf } from "../errors";
import { closeConnections } from "../ssh/pool";
import { recordedState, type RecordedResource } from "../state";
import type { Clock } from "../time";
import { answering } from "./answers";
import { ManagerChoice } from "./choose";
import type { Watch } from "./choose";
import { managersIn } from "./managers";
import { removeMark } from "./mark";
import { RecordedAnswers } from "./recorded";
import { sshServer, type Answering } from "./server";
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
  /** The stack's state with its secrets. @default what `pulumi stack export` gives */
  readonly state?: () => Promise<RecordedResource[]>;
  /** @default 20 */
  readonly idleSeconds?: number;
  /** How often the manager in use is looked at, and how long it may take to answer. @default 5 s and 10 s */
  readonly watch?: Watch;
  /** Ends it at once, whoever uses it. */
  readonly signal?: AbortSignal;
  /** How long it still serves once its socket is removed. @default 250 */
  readonly farewellMs?: number;
  /** For the pauses between attempts. */
  readonly clock?: Clock;
}

/**
 * Serves until nobody has used it for a while; one connection to each manager is shared by all clients. Returns
 * the exit code: 1 when no manager is recorded, which is told in the file beside the socket.
 */
export async function runDockerProxy(options: DockerProxyOptions): Promise<number> {
  const { stack, socket } = options;
  const state = options.state ?? (() => recordedState(stack, true));
  try {
    const managers = managersIn(await state());
    if (managers.length === 0) throw new Error("no Swarm manager in reach: the stack has none yet");
    const choice = new ManagerChoice(managers, options.watch, options.clock);
    const watch = choice.watch();
    const answer = answering(choice, new RecordedAnswers(state));
    await untilIdle(socket, answer, options).finally(() => watch.stop());
    return 0;
  } catch (error) {
    writeWhole(errorFile(socket), messageOf(error).replaceAll("\n", "; "));
    removeMark(socket);
    return 1;
  } finally {
    closeConnections();
  }
}

function untilIdle(socket: string, answer: Answering, options: DockerProxyOptions): Promise<void> {
  const { idleSeconds = IDLE_SECONDS, farewellMs = FAREWELL_MS, signal } = options;
  // Made under another name, so that it takes the place of one that was left behind in one step.
  const own = `${socket}.${process.pid}`;
  return new Promise((resolve, reject) => {
    let inode: bigint | undefined;
    let leaving = false;
    let idle: NodeJS.Timeout | undefined;
    const rest = () =>
      (idle = leaving ? setTimeout(close, farewellMs) : setTimeout(leave, idleSeconds * 1000));
    const removeSocket = () => {
      leaving = true;
      if (inode !== undefined && inodeOf(socket) === inode) fs.rmSync(socket, { force: true });
    };
    const leave = () => {
      removeSocket();
      rest();
    };
    const close = () => {
      server.close();
      resolve();
    };
    signal?.addEventListener("abort", () => {
      clearTimeout(idle);
      removeSocket();
      close();
    });
    const server = sshServer(answer, (clients) => {
      clearTimeout(idle);
      if (clients === 0) rest();
    });
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
