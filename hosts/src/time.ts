/** Waiting with an end. */

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

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

/** A point in time that is waited for at most, whatever becomes of the machine's clock meanwhile. */
export class Deadline {
  private readonly start = performance.now();
  private readonly end: number;
  constructor(readonly seconds: number) {
    this.end = this.start + seconds * 1000;
  }
  get passed(): boolean {
    return performance.now() >= this.end;
  }
  /** Seconds left, never below `floor`. */
  left(floor = 0): number {
    return Math.max(floor, (this.end - performance.now()) / 1000);
  }
  /** Seconds since the start, rounded. */
  get elapsed(): number {
    return Math.round((performance.now() - this.start) / 1000);
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
    await sleep(everySeconds * 1000);
  }
}
