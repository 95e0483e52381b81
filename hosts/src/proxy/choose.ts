/** Which manager the Docker provider talks to: the first that shows a Swarm state that can be read. */
import type { Duplex } from "node:stream";
import type { Connection } from "../contract";
import { DOCKER_SOCKET, dockerApi } from "../docker/api";
import { HostError, messageOf } from "../errors";
import { dropConnection, openUnixSocket, type Held } from "../ssh/pool";
import type { Patience } from "../ssh/connect";
import { dockerInfo } from "../swarm/managers";
import { sleep, systemClock, within, type Clock } from "../time";

/** How long a manager may take to prove itself; the second round is for hosts that are only busy. */
const ROUNDS = [2, 10];
/** The same, where a manager answers and has no state to show: an election passes, of 20 s at most. */
const ELECTION_ROUNDS = [...ROUNDS, 10, 10];
/** Longer than an ordinary proof takes, as each that is begun costs a connection. */
const HEAD_START_MS = 1000;
/** Between two rounds. */
const PAUSE_MS = 500;
/** Seconds between two looks at the manager in use, and how many it may take to answer one. */
export interface Watch {
  readonly everySeconds: number;
  readonly patienceSeconds: number;
}
const WATCH: Watch = { everySeconds: 5, patienceSeconds: 10 };
/** A failure this fresh is not tried again: every resource of an update asks. */
const FRESH_MS = 5_000;
/** A new channel on a machine that is busy takes its time; giving it up would cost all other channels as well. */
const OPEN_SECONDS = 10;

/** A stream to the Docker socket of a manager. */
export interface DockerStream extends Held<Duplex> {
  readonly manager: Connection;
}

export class ManagerChoice {
  private chosen: Connection | undefined;
  private choosing: Promise<Connection> | undefined;
  private readonly looks = new Map<Connection, Promise<void>>();
  private failure: { readonly at: number; readonly error: Error } | undefined;
  constructor(
    private readonly managers: readonly Connection[],
    private readonly watched: Watch = WATCH,
    readonly clock: Clock = systemClock,
  ) {}

  /** A stream to a manager that works. @throws an error that names every manager and its fault. */
  async stream(): Promise<DockerStream> {
    for (let attempt = 1; ; attempt += 1) {
      const manager = await this.current();
      try {
        const patience = { attempts: 1, timeoutSeconds: OPEN_SECONDS, pauseSeconds: 0 };
        return { manager, ...(await openUnixSocket(manager, DOCKER_SOCKET, patience)) };
      } catch (error) {
        this.forget(manager);
        if (attempt === 2) throw error;
      }
    }
  }

  /** Looks at the manager in use from time to time. Ends with `stop`. */
  watch(): { stop: () => void } {
    const timer = setInterval(() => {
      if (this.chosen) void this.doubt(this.chosen);
    }, this.watched.everySeconds * 1000);
    return { stop: () => clearInterval(timer) };
  }

  /** Looks whether a manager works, and forgets it where it does not. */
  async doubt(manager: Connection): Promise<void> {
    if (this.chosen !== manager) return;
    let look = this.looks.get(manager);
    if (look === undefined) {
      look = prove(manager, this.watched.patienceSeconds)
        .catch(() => this.forget(manager))
        .finally(() => this.looks.delete(manager));
      this.looks.set(manager, look);
    }
    await look;
  }

  /** The manager in use; the first that proves itself when there is none. */
  private current(): Promise<Connection> {
    if (this.chosen) return Promise.resolve(this.chosen);
    const { failure } = this;
    if (failure && performance.now() - failure.at < FRESH_MS) return Promise.reject(failure.error);
    this.choosing ??= this.choose().finally(() => (this.choosing = undefined));
    return this.choosing;
  }

  /** Its streams end with its connection, so that whoever waits for an answer is told. */
  private forget(manager: Connection): void {
    if (this.chosen !== manager) return;
    this.chosen = undefined;
    dropConnection(manager);
  }

  private async choose(): Promise<Connection> {
    let round: Round = { failures: [], hasAnswer: false };
    for (const [index, seconds] of ELECTION_ROUNDS.entries()) {
      if (index >= ROUNDS.length && !round.hasAnswer) break;
      if (index > 0) await this.clock.sleep(PAUSE_MS);
      round = await firstProved(this.managers, seconds);
      if (round.manager) {
        this.failure = undefined;
        return (this.chosen = round.manager);
      }
    }
    const reasons = round.failures.map((failure) => failure.split("\n")[0]).join("; ");
    const error = new Error(`no Swarm manager in reach: ${reasons}`);
    this.failure = { at: performance.now(), error };
    throw error;
  }
}

/** What came of asking all managers. */
interface Round {
  readonly manager?: Connection;
  readonly failures: string[];
  /** Whether one of them is a manager, though it does not show the Swarm's state. */
  readonly hasAnswer: boolean;
}

/** Asks in order, each when the one before has failed, or has had its head start. */
async function firstProved(managers: readonly Connection[], seconds: number): Promise<Round> {
  const failures: string[] = [];
  let proved = false;
  let hasAnswer = false;
  const proofs: Promise<Connection>[] = [];
  const proof = async (manager: Connection, index: number): Promise<Connection> => {
    await Promise.race([proofs[index - 1]?.catch(() => undefined), sleep(index * HEAD_START_MS)]);
    if (proved) throw new Error("not asked: another has answered");
    try {
      await prove(manager, seconds, () => (hasAnswer = true));
    } catch (error) {
      failures.push(error instanceof HostError ? messageOf(error) : `${manager.node}: ${messageOf(error)}`);
      throw error;
    }
    proved = true;
    return manager;
  };
  for (const [index, manager] of managers.entries()) proofs.push(proof(manager, index));
  const manager = await Promise.any(proofs).catch(() => undefined);
  return { manager, failures, hasAnswer };
}

/** @param answered is told once it says that it is a manager. */
async function prove(connection: Connection, seconds: number, answered?: () => void): Promise<void> {
  const patience: Patience = { attempts: 1, timeoutSeconds: seconds, pauseSeconds: 0, forgetful: true };
  const proof = async () => {
    const { Swarm } = await dockerInfo(connection, patience, seconds);
    if (!Swarm.ControlAvailable)
      throw new HostError(connection.node, `is no Swarm manager now (${Swarm.LocalNodeState || "inactive"})`);
    answered?.();
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
