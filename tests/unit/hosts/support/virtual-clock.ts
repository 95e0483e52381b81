/** Virtual time for code that waits: it passes only while that code sleeps. */
import type { Clock } from "../../../../hosts/src/time";

export class VirtualClock implements Clock {
  private milliseconds = 0;

  /**
   * @param meanwhile what happens during each sleep
   * @param pace how many times more time passes than is slept: a wait in vain takes fewer tries
   */
  constructor(
    private readonly meanwhile: () => unknown = () => undefined,
    private readonly pace = 1,
  ) {}

  now(): number {
    return this.milliseconds;
  }

  async sleep(milliseconds: number): Promise<void> {
    this.milliseconds += milliseconds * this.pace;
    await this.meanwhile();
  }
}
