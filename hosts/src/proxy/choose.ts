/** Which manager the Docker provider talks to: the first that shows a Swarm state that can be read. */
import type { Duplex } from "node:stream";
import type { Connection } from "../contract";
import { DOCKER_SOCKET, dockerApi } from "../docker/api";
import { HostError, messageOf } from "../errors";
import { dropConnection, openUnixSocket } from "../ssh/pool";
import type { Patience } from "../ssh/connect";
import { dockerInfo } from "../swarm/managers";
import { sleep, within } from "../time";

/** How long a manager may take to prove itself; the second round is for hosts that are only busy. */
const ROUNDS = [2, 10];
/** Longer than an ordinary proof takes, as each that is begun costs a connection. */
const HEAD_START_MS = 1000;
/** Seconds between two looks at the manager in use, and how many it may take to answer one. */
export interface Watch {
  readonly everySeconds: number;
  readonly patienceSeconds: number;
}
const WATCH: Watch = { everySeconds: 5, patienceSeconds: 10 };
/** A new channel on a machine that is busy takes its time; giving it up would cost all other channels as well. */
const OPEN_SECONDS = 10;

export class ManagerChoice {
  private chosen: Connection | undefined;
  private choosing: Promise<Connection> | undefined;
  constructor(private readonly managers: readonly Connection[]) {}

  /** A stream to the Docker socket of a manager that works. @throws an error that names every manager and its fault. */
  async stream(): Promise<{ channel: Duplex; release: () => void }> {
    for (let attempt = 1; ; attempt += 1) {
      const connection = await this.current();
      try {
        const patience = { attempts: 1, timeoutSeconds: OPEN_SECONDS, pauseSeconds: 0 };
        return await openUnixSocket(connection, DOCKER_SOCKET, patience);
      } catch (error) {
        this.forget(connection);
        if (attempt === 2) throw error;
      }
    }
  }

  /** The manager in use; the first that proves itself when there is none. */
  current(): Promise<Connection> {
    if (this.chosen) return Promise.resolve(this.chosen);
    this.choosing ??= this.choose().finally(() => (this.choosing = undefined));
    return this.choosing;
  }

  /** Looks at the manager in use from time to time, and forgets one that does not answer. Ends with `stop`. */
  watch({ everySeconds, patienceSeconds }: Watch = WATCH): { stop: () => void } {
    const timer = setInterval(() => {
      const { chosen } = this;
      if (chosen) prove(chosen, patienceSeconds).catch(() => this.forget(chosen));
    }, everySeconds * 1000);
    return { stop: () => clearInterval(timer) };
  }

  /** Its streams end with its connection, so that whoever waits for an answer is told. */
  private forget(connection: Connection): void {
    if (this.chosen !== connection) return;
    this.chosen = undefined;
    dropConnection(connection);
  }

  private async choose(): Promise<Connection> {
    let reasons: string[] = [];
    for (const seconds of ROUNDS) {
      reasons = [];
      let proved = false;
      const proofs: Promise<Connection>[] = [];
      for (const [index, connection] of this.managers.entries()) {
        const proof = async () => {
          // Asked in order, each when the one before has failed, or has had its head start.
          await Promise.race([proofs[index - 1]?.catch(() => undefined), sleep(index * HEAD_START_MS)]);
          if (proved) throw new Error("not asked: another has answered");
          await prove(connection, seconds).catch((error: unknown) => {
            reasons.push(
              error instanceof HostError ? messageOf(error) : `${connection.node}: ${messageOf(error)}`,
            );
            throw error;
          });
          proved = true;
          return connection;
        };
        proofs.push(proof());
      }
      try {
        const connection = await Promise.any(proofs);
        this.chosen = connection;
        return connection;
      } catch {
        // All failed; the next round gives them longer.
      }
    }
    throw new Error(
      `no Swarm manager in reach: ${reasons.map((reason) => reason.split("\n")[0]).join("; ") || "the stack has none yet"}`,
    );
  }
}

async function prove(connection: Connection, seconds: number): Promise<void> {
  const patience: Patience = { attempts: 1, timeoutSeconds: seconds, pauseSeconds: 0, forgetful: true };
  const proof = async () => {
    const { Swarm } = await dockerInfo(connection, patience, seconds);
    if (!Swarm.ControlAvailable)
      throw new HostError(connection.node, `is no Swarm manager now (${Swarm.LocalNodeState || "inactive"})`);
    await dockerApi(connection).get("/nodes", {
      patience,
      timeoutSeconds: seconds,
      purpose: "reading the Swarm's state",
    });
  };
  await within(
    seconds,
    proof(),
    () => new HostError(connection.node, `no readable Swarm state within ${seconds} s`),
  );
}
