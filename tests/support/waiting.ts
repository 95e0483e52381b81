/** How tests wait: for a condition, never for a time. */
import * as fs from "node:fs";
import * as os from "node:os";

export interface Net {
  /** Ends a hopeless wait, but not before `minTries` tries. It measures nothing. @default 60 */
  readonly netSeconds?: number;
  /** However long each of them takes on a busy machine. @default 20 */
  readonly minTries?: number;
  /** Between two tries, in milliseconds. @default 200 */
  readonly everyMs?: number;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until `probe` does not throw, and returns what it returned.
 * @throws Error with the number of tries, the last error and the machine's load, once time and tries are used up
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { netSeconds = 60, minTries = 20, everyMs = 200 }: Net = {},
): Promise<T> {
  const end = Date.now() + netSeconds * 1000;
  for (let tries = 1; ; tries++) {
    try {
      return await probe();
    } catch (error) {
      if (tries >= minTries && Date.now() >= end)
        throw new Error(exhausted(what, tries, error), { cause: error });
    }
    await pause(everyMs);
  }
}

function exhausted(what: string, tries: number, error: unknown): string {
  const [load = 0] = os.loadavg();
  const last = error instanceof Error ? error.message : String(error);
  return `${what}: not after ${tries} tries (load ${load.toFixed(1)} on ${os.cpus().length} cores): ${last}`;
}

/**
 * Shows that something does not happen: `probe` must not throw, now and after each of `rounds` events.
 * @param options.event waits for the product's own next event, such as one more health check
 */
export async function stays(
  what: string,
  probe: () => void | Promise<void>,
  { rounds, event }: { readonly rounds: number; readonly event: () => Promise<unknown> },
): Promise<void> {
  for (let round = 0; round <= rounds; round++) {
    if (round > 0) await event();
    try {
      await probe();
    } catch (error) {
      const last = error instanceof Error ? error.message : String(error);
      throw new Error(`${what}: changed after ${round} of ${rounds} events: ${last}`, { cause: error });
    }
  }
}

/** Names the file that `make bench` reads the rows of `measured` from, one JSON object a line. */
export const measuresVariable = "MOORAGE_MEASURES";

/** Writes a row for the bench or the proof, where one of them runs. It never fails a test. */
export function measured(name: string, seconds: number): void {
  const file = process.env[measuresVariable];
  if (file) fs.appendFileSync(file, `${JSON.stringify({ name, seconds })}\n`);
}

/** Does `work` and writes a row of how long it took. */
export async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = Date.now();
  const result = await work();
  measured(name, (Date.now() - start) / 1000);
  return result;
}
