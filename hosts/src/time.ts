/** Waiting with an end. */

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Time for code that waits. Tests pass a clock of their own, in virtual time. */
export interface Clock {
  /** Milliseconds since some point in time. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

/** It goes on evenly, whatever becomes of the machine's clock. */
export const systemClock: Clock = { now: () => performance.now(), sleep };

/** Seconds as they are told to somebody: whole, and tenths of less than ten. */
export function told(seconds: number): number {
  return seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds);
}

/** Rejects with what `failure` makes when `work` takes longer than `seconds`; `abandon` may then clean up behind it. */
export async function within<T>(
  seconds: number,
  work: Promise<T>,
  failure: () => Error,
  abandon?: () => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      abandon?.();
      reject(failure());
    }, seconds * 1000);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** A point in time that is waited for at most. */
export class Deadline {
  private readonly start: number;
  private readonly end: number;
  constructor(
    readonly seconds: number,
    readonly clock = systemClock,
  ) {
    this.start = clock.now();
    this.end = this.start + seconds * 1000;
  }
  get passed(): boolean {
    return this.clock.now() >= this.end;
  }
  /** Seconds left, never below `floor`. */
  left(floor = 0): number {
    return Math.max(floor, (this.end - this.clock.now()) / 1000);
  }
  /** Seconds since the start, rounded. */
  get elapsed(): number {
    return Math.round((this.clock.now() - this.start) / 1000);
  }
}

/** Calls `attempt` until it gives a value other than `undefined`; `undefined` when the deadline passes first. */
export async function poll<T>(
  deadline: Deadline,
  everySeconds: number,
  attempt: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (deadline.left() <= everySeconds) return undefined;
    await deadline.clock.sleep(everySeconds * 1000);
  }
}
