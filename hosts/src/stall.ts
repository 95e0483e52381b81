/** That a transfer in which nothing moves any more comes to an end. */
import type { ReadStream } from "node:fs";
import { HostError } from "./errors";

/** Without more of the file being taken, and then without a word of what is done with it. */
const TAKEN_SECONDS = 120;
const HEARD_SECONDS = 300;
const LOOK_SECONDS = 5;

/** Calls `work` again and again, until what it returns is called. */
export type Every = (seconds: number, work: () => void) => () => void;

const byTimer: Every = (seconds, work) => {
  const timer = setInterval(work, seconds * 1000);
  return () => clearInterval(timer);
};

/** Watches a file on its way to a host, and what the host says of it, which is told to `heard`. */
export class Stall {
  private readonly abort = new AbortController();
  private readonly failure: Promise<never>;
  private seen = 0;
  private quietSeconds = 0;
  /** Ends its looking. */
  readonly end: () => void;

  /** @param advice what to do about a host that stalls */
  constructor(
    node: string,
    purpose: string,
    file: Pick<ReadStream, "bytesRead" | "readableEnded">,
    advice: string,
    every = byTimer,
  ) {
    let fail: (error: Error) => void;
    this.failure = new Promise((_resolve, reject) => (fail = reject));
    // Whoever has nothing left to wait for does not ask either.
    this.failure.catch(() => undefined);
    this.end = every(LOOK_SECONDS, () => {
      const what = this.look(file);
      if (what === undefined) return;
      fail(new HostError(node, `${purpose}: ${what}; ${advice}`));
      this.abort.abort();
      this.end();
    });
  }

  /** Ends what is to be ended with the transfer. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  heard(): void {
    this.quietSeconds = 0;
  }

  /** What `work` gives. @throws HostError as soon as the transfer stalls */
  within<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.failure]);
  }

  /** What is wrong, where nothing has moved for too long. */
  private look(file: Pick<ReadStream, "bytesRead" | "readableEnded">): string | undefined {
    this.quietSeconds = file.bytesRead === this.seen ? this.quietSeconds + LOOK_SECONDS : 0;
    this.seen = file.bytesRead;
    if (!file.readableEnded) {
      return this.quietSeconds < TAKEN_SECONDS ? undefined : `nothing was taken for ${TAKEN_SECONDS} s`;
    }
    if (this.quietSeconds < HEARD_SECONDS) return undefined;
    return `it was taken, and then nothing was heard for ${HEARD_SECONDS} s`;
  }
}
