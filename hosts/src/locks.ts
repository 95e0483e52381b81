/** Locks and limits within this process, which serves all resources of an update. */

/** At most `limit` holders at a time, first come first served. */
export class Semaphore {
  private held = 0;
  private readonly waiting: (() => void)[] = [];
  constructor(private readonly limit: number) {}

  async acquire(): Promise<() => void> {
    if (this.held < this.limit) this.held += 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.waiting.shift();
      if (next) next();
      else this.held -= 1;
    };
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.acquire();
    try {
      return await work();
    } finally {
      release();
    }
  }
}

/** One manager joins or leaves at a time: each changes the raft quorum. */
export const membershipLock = new Semaphore(1);

/** One node's Docker restarts, or one node reboots, at a time: two at once may cost a quorum. */
export const disruptionLock = new Semaphore(1);
