/** The load: three pulls to each push, from both clients, several at once. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Host } from "../../lab/instance";
import { differences, layerSizes, numbersOf, writeImage } from "./content";
import type { Entry, Ledger } from "./ledger";
import type { Copied, Skopeo } from "./skopeo";

export interface Outcome extends Copied {
  readonly kind: "push" | "pull";
  readonly client: string;
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
}

export interface LoadOptions {
  readonly clients: readonly Host[];
  readonly skopeo: Skopeo;
  readonly ledger: Ledger;
  /** What is under way lies here. */
  readonly folder: string;
  readonly seed: string;
  /** Pushes and pulls at once, from each client. @default 2 */
  readonly workers?: number;
  /**
   * Acknowledged bytes, each layer's once, after which the load's own new images are small, as the store's disks are, and
   * every second push is one of the large ones before it again. @default 192 MiB
   */
  readonly budget?: number;
}

const PUSHES = 0.25;
const BUDGET = 192 * 1024 ** 2;
const SMALL = 256 * 1024;
/** So many acknowledged pushes that the store is healed, and read back, in less than a minute. */
const PLENTY = 250;
const PAUSE_MS = { least: 200, most: 800 };
const LONG_PAUSE_MS = { least: 3000, most: 9000 };

/** Between two requests of one worker. What is acknowledged stays, so once there is plenty of it, little more is added. */
export function pauseMs(acknowledged: number, share: number): number {
  const { least, most } = acknowledged < PLENTY ? PAUSE_MS : LONG_PAUSE_MS;
  return least + share * (most - least);
}

/**
 * The former large image that a push sends again, to a repository of its own: its layers come whole, as if they were new,
 * and the store keeps them once. Nothing at every second push, or where there is no such image.
 */
export function formerFor(number: number, seed: string, entries: readonly Entry[]): Entry | undefined {
  if (number % 2 === 0) return undefined;
  const large = entries.filter(({ blobs }) => blobs.some(({ size }) => size > 2 * SMALL));
  return large[Math.floor(numbersOf(`${seed}/again/${number}`)() * large.length)];
}

/** An image to be pushed. */
interface Image {
  readonly number: number;
  readonly seed: string;
  readonly sizes: readonly number[];
  readonly repository?: string;
}

export class Load {
  readonly outcomes: Outcome[] = [];
  private readonly running: Promise<void>[] = [];
  private readonly underWay = new Set<Promise<boolean>>();
  private readonly pausing = new Set<() => void>();
  private stopped = false;
  private count = 0;

  constructor(private readonly options: LoadOptions) {}

  start(): void {
    const { clients, workers = 2, seed } = this.options;
    for (const client of clients) {
      for (let worker = 0; worker < workers; worker++) {
        this.running.push(this.work(client, numbersOf(`${seed}/${client.name}/${worker}`)));
      }
    }
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.hurry();
    await Promise.all(this.running);
  }

  /** Ends the workers' pauses, so that several requests are under way now. */
  hurry(): void {
    for (const over of this.pausing) over();
  }

  /** Lets what was begun before now end. */
  async settled(): Promise<void> {
    await Promise.all(this.underWay);
  }

  /** One more push, which the load's end waits for too. */
  pushNow(client: Host): void {
    this.running.push(this.push(client).then(() => undefined));
  }

  private async work(client: Host, next: () => number): Promise<void> {
    while (!this.stopped) {
      const { entries } = this.options.ledger;
      if (next() < PUSHES || entries.length === 0) await this.push(client);
      else await this.pull(client, entries[Math.floor(next() * entries.length)]);
      await this.pause(pauseMs(entries.length, next()));
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        this.pausing.delete(over);
        resolve();
      };
      const timer = setTimeout(over, ms);
      this.pausing.add(over);
    });
  }

  /** Pushes the next image of the load. */
  async push(client: Host): Promise<Entry | undefined> {
    const { ledger, budget = BUDGET, seed } = this.options;
    const number = this.count++;
    const own = `${seed}/${number}`;
    if (ledger.bytes < budget) return this.send(client, { number, seed: own, sizes: layerSizes(own) });
    const again = formerFor(number, seed, ledger.entries);
    // Where a repository has a layer already, a client sends it not again.
    if (again)
      return this.send(client, { ...again, number, repository: `chaos/${client.name}-again-${number}` });
    return this.send(client, { number, seed: own, sizes: layerSizes(own, SMALL) });
  }

  /** Pushes one layer of that many bytes which nobody has seen before. The load's end waits for it, too. */
  pushNew(client: Host, bytes: number, repository?: string): Promise<Entry | undefined> {
    const number = this.count++;
    const seed = `${this.options.seed}/${number}`;
    const pushing = this.send(client, { number, seed, sizes: [bytes], repository });
    this.running.push(pushing.then(() => undefined));
    return pushing;
  }

  /** An acknowledged image is in the ledger before this returns; one that was not is nothing. */
  private send(client: Host, image: Image): Promise<Entry | undefined> {
    const { skopeo, ledger } = this.options;
    const { number, seed, sizes, repository = `chaos/${client.name}-${number % 8}` } = image;
    const folder = path.join(this.options.folder, `push-${number}`);
    return this.guarded("push", client, folder, async () => {
      const made = writeImage(folder, seed, sizes);
      const tag = `t${number}`;
      const copy = (): Promise<Copied> => skopeo.push(client, folder, `${repository}:${tag}`);
      if (!(await this.timed("push", client, copy))) return undefined;
      const entry: Entry = { ...made, repository, tag, seed, at: Date.now() };
      ledger.add(entry);
      return entry;
    });
  }

  /** By digest; every fourth one by its tag, which the repository's list of tags must have. */
  private async pull(client: Host, entry: Entry | undefined): Promise<void> {
    if (entry === undefined) return;
    const { skopeo } = this.options;
    const { repository, tag, digest } = entry;
    const number = this.count++;
    const folder = path.join(this.options.folder, `pull-${number}`);
    const copy = async (): Promise<Copied> => {
      const byTag = number % 4 === 0;
      const listed = byTag ? await skopeo.list(client, repository, tag) : undefined;
      if (listed?.ok === false) return listed;
      const copied = await skopeo.pull(client, `${repository}${byTag ? `:${tag}` : `@${digest}`}`, folder);
      const wrong = copied.ok ? differences(folder, entry) : [];
      const retries = copied.retries + (listed?.retries ?? 0);
      const error = wrong.length > 0 ? wrong.join("; ") : (copied.error ?? listed?.error);
      return { ok: copied.ok && wrong.length === 0, retries, ...(error === undefined ? {} : { error }) };
    };
    await this.guarded("pull", client, folder, () => this.timed("pull", client, copy));
  }

  /** What this machine cannot do, as on a full disk, must not end the run, nor be taken for a success. */
  private async guarded<T>(
    kind: Outcome["kind"],
    client: Host,
    folder: string,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      const done = await work();
      fs.rmSync(folder, { recursive: true, force: true });
      return done;
    } catch (error) {
      const now = Date.now();
      const failed = { ok: false, retries: 0, error: String(error) };
      this.outcomes.push({ ...failed, kind, client: client.name, start: now, end: now });
      return undefined;
    }
  }

  private timed(kind: Outcome["kind"], client: Host, work: () => Promise<Copied>): Promise<boolean> {
    const timing = this.time(kind, client, work).finally(() => this.underWay.delete(timing));
    this.underWay.add(timing);
    return timing;
  }

  private async time(kind: Outcome["kind"], client: Host, work: () => Promise<Copied>): Promise<boolean> {
    const start = Date.now();
    // What this machine cannot do must not end the run, nor be taken for a success.
    const copied = await work().catch((error: unknown) => ({ ok: false, retries: 0, error: String(error) }));
    this.outcomes.push({ ...copied, kind, client: client.name, start, end: Date.now() });
    return copied.ok;
  }
}
