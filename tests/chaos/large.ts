/** New layers that each row pushes besides the load: so large that every drive keeps its part in a file of its own. */
import type { Host } from "../../lab/instance";
import type { Entry } from "./ledger";
import type { Load } from "./load";

const MIB = 1024 ** 2;

/** In MiB: acknowledged before the fault; under way as it begins; begun while it lasts. Three rows, and over again. */
const SIZES = [
  [2, 16, 4],
  [4, 32, 8],
  [8, 64, 2],
] as const;

/** Bytes of a row's layers. All rows have had all sizes of each, and add up to what the lab's disks can hold. */
export function sizesOf(row: number, most: number): [number, number, number] {
  const [before, underWay, meanwhile] = SIZES[row % SIZES.length] ?? SIZES[0];
  const bytes = (mebibytes: number): number => Math.min(mebibytes * MIB, most);
  return [bytes(before), bytes(underWay), bytes(meanwhile)];
}

/** On each of four drives, of which two hold an object's bytes and two what they can be made of again. */
export const bytesOnDrive = (rows: number): number =>
  Array.from({ length: rows }, (_, row) => sizesOf(row, Infinity).reduce((sum, one) => sum + one, 0)).reduce(
    (sum, one) => sum + one / 2,
    0,
  );

/** Of a change, which takes longer: so much, as often, and so many at most. */
const MORE = { bytes: 4 * MIB, everyMs: 20_000, most: 5 };

/** Large layers that were acknowledged. */
export interface Large {
  readonly count: number;
  readonly bytes: number;
  /** Those that were begun while the fault lasted, or the change was made. */
  readonly meanwhile: number;
}

export const noLarge: Large = { count: 0, bytes: 0, meanwhile: 0 };

/** One row's. */
export class LargePushes {
  private readonly begun: { readonly at: number; readonly entry: Promise<Entry | undefined> }[] = [];

  constructor(
    private readonly load: Load,
    private readonly clients: readonly Host[],
    readonly sizes: readonly [number, number, number],
  ) {}

  /** Begins one more. @param repository any where nothing is said */
  push(bytes: number, repository?: string): Promise<Entry | undefined> {
    const client = this.clients[this.begun.length % this.clients.length];
    const entry = client ? this.load.pushNew(client, bytes, repository) : Promise.resolve(undefined);
    this.begun.push({ at: Date.now(), entry });
    return entry;
  }

  /** Pushes one after the other until the function that comes back is called. */
  keepPushing(): () => void {
    const bytes = Math.min(MORE.bytes, Math.max(...this.sizes));
    let left = MORE.most;
    const timer = setInterval(() => {
      if (left-- > 0) void this.push(bytes);
    }, MORE.everyMs);
    return () => clearInterval(timer);
  }

  /** Waits for all of them. */
  async acknowledged({ from, to }: { readonly from: number; readonly to: number }): Promise<Large> {
    const all = await Promise.all(this.begun.map(async ({ at, entry }) => ({ at, entry: await entry })));
    const good = all.filter(({ entry }) => entry !== undefined);
    return {
      count: good.length,
      bytes: good.reduce(
        (sum, { entry }) => sum + (entry?.sizes ?? []).reduce((one, more) => one + more, 0),
        0,
      ),
      meanwhile: good.filter(({ at }) => at >= from && at <= to).length,
    };
  }
}
