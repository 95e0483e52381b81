/** The load: three pulls to each push, small and large layers, from all clients at once. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Host } from "../../../lab/instance";
import { differences, layerSizes, numbersOf, writeImage } from "./content";
import type { Entry, Ledger } from "./ledger";
import type { Copied, Skopeo } from "./skopeo";

export interface Outcome extends Copied {
  readonly kind: "push" | "pull";
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
}

export interface LoadOptions {
  readonly clients: readonly Host[];
  readonly skopeo: Pick<Skopeo, "push" | "pull" | "list">;
  readonly ledger: Ledger;
  /** For images under way. */
  readonly folder: string;
  /** Decides sizes, order and pauses. */
  readonly seed: string;
  /** Part of tags and contents: no other load of the same ledger may have it. */
  readonly id: string;
  /** Reads an acknowledged tag back, before the same worker pushes it again. */
  readonly afterPush: (entry: Entry) => Promise<void>;
  /** For each client. @default 2 */
  readonly workers?: number;
}

const PUSHES = 0.25;
const TAGS = ["a", "b"];
const SMALL = 256 * 1024;
const MEDIUM = 4 * 1024 ** 2;
/** With more acknowledged pushes, healing and reading back would take more than a minute. */
const PLENTY = 250;

/** Milliseconds between two requests of a worker. @param share from 0 to 1 */
export function pauseMs(acknowledged: number, share: number): number {
  const [least, most] = acknowledged < PLENTY ? [200, 800] : [3000, 9000];
  return least + share * (most - least);
}

/** An image to push. @see writeImage */
export interface Target {
  readonly repository: string;
  readonly tag: string;
  readonly sizes: readonly number[];
}

export class Load {
  readonly outcomes: Outcome[] = [];
  private readonly running: Promise<unknown>[] = [];
  private readonly pausing = new Set<() => void>();
  private stopped = false;
  private count = 0;

  constructor(private readonly options: LoadOptions) {}

  start(): void {
    const { clients, workers = 2 } = this.options;
    for (const client of clients)
      for (let worker = 0; worker < workers; worker++) this.running.push(this.work(client, worker));
  }

  /** Lets requests under way end. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.hurry();
    await Promise.all(this.running);
  }

  /** Ends all pauses, so that several requests are under way now. */
  hurry(): void {
    for (const end of this.pausing) end();
  }

  /** Pushes one new layer of that size. `stop` waits for it too. */
  pushLarge(client: Host, bytes: number): Promise<boolean> {
    const tag = `${this.options.id}-${this.count}`;
    const pushing = this.push(client, { repository: "public/large", tag, sizes: [bytes] });
    this.running.push(pushing);
    return pushing;
  }

  /** An acknowledged push is in the ledger before this returns. @returns whether it was acknowledged */
  async push(client: Host, { repository, tag, sizes }: Target): Promise<boolean> {
    const { skopeo, ledger, seed, id, afterPush } = this.options;
    const number = this.count++;
    const folder = path.join(this.options.folder, `push-${number}`);
    let acknowledged: Entry | undefined;
    await this.timed("push", folder, async () => {
      const entry = { ...writeImage(folder, `${seed}/${id}/${number}`, sizes), repository, tag };
      ledger.begin(entry);
      const copied = await skopeo.push(client, folder, `${repository}:${tag}`);
      if (copied.ok) {
        ledger.acknowledge(entry);
        acknowledged = entry;
      }
      return copied;
    });
    if (acknowledged) await afterPush(acknowledged);
    return acknowledged !== undefined;
  }

  private async work(client: Host, worker: number): Promise<void> {
    const { ledger, seed, id } = this.options;
    const next = numbersOf(`${seed}/${client.name}/${worker}`);
    const repository = `public/${client.name}-${worker}`;
    // A tag moves with each push, so that a stale answer is noticed; after a failed push it stays as it is.
    const tags = TAGS.map((slot) => `${id}-${slot}`);
    for (let pushes = 0; !this.stopped;) {
      const { entries } = ledger;
      const entry = entries[Math.floor(next() * entries.length)];
      if (entry === undefined || next() < PUSHES) {
        const slot = pushes++ % tags.length;
        const sizes = layerSizes(`${seed}/${repository}/${pushes}`, pushes % 8 === 0 ? MEDIUM : SMALL);
        const done = await this.push(client, { repository, tag: tags[slot] ?? id, sizes });
        if (!done) tags[slot] = `${id}-${TAGS[slot]}${pushes}`;
      } else {
        await this.pull(client, entry, next() < 0.25);
      }
      if (!this.stopped) await this.pause(pauseMs(entries.length, next()));
    }
  }

  /** Pulls by digest, and compares every byte. @param listed whether the repository's list must have the tag */
  private async pull(client: Host, entry: Entry, listed: boolean): Promise<void> {
    const { skopeo } = this.options;
    const { repository, tag, digest } = entry;
    const folder = path.join(this.options.folder, `pull-${this.count++}`);
    await this.timed("pull", folder, async () => {
      const list = listed ? await skopeo.list(client, repository, tag) : undefined;
      if (list?.ok === false) return list;
      const copied = await skopeo.pull(client, `${repository}@${digest}`, folder);
      const wrong = copied.ok ? differences(folder, entry) : [];
      const error = wrong.length > 0 ? wrong.join("; ") : (copied.error ?? list?.error);
      const retries = copied.retries + (list?.retries ?? 0);
      return { ok: copied.ok && wrong.length === 0, retries, error };
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.pausing.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.pausing.add(end);
    });
  }

  /** An error of this machine, such as a full disk, is a failed request. */
  private async timed(kind: Outcome["kind"], folder: string, copy: () => Promise<Copied>): Promise<void> {
    const start = Date.now();
    const copied = await copy().catch((error: unknown) => ({ ok: false, retries: 0, error: String(error) }));
    this.outcomes.push({ ...copied, kind, start, end: Date.now() });
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
