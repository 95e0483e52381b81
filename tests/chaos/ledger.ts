/** What the registry has acknowledged, on disk before anything else is done with it. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Made } from "./content";

/** A push that was acknowledged. */
export interface Entry extends Made {
  readonly repository: string;
  readonly tag: string;
  readonly seed: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export class Ledger {
  private readonly known: Entry[];
  private readonly descriptor: number;

  /** @param file what is in it already is known again */
  constructor(readonly file: string) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
    this.known = text
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Entry);
    this.descriptor = fs.openSync(file, "a");
  }

  add(entry: Entry): void {
    fs.writeSync(this.descriptor, `${JSON.stringify(entry)}\n`);
    fs.fsyncSync(this.descriptor);
    this.known.push(entry);
  }

  get entries(): readonly Entry[] {
    return this.known;
  }

  /** Of all blobs, each counted once, as the store keeps it. */
  get bytes(): number {
    const sizes = new Map(this.known.flatMap(({ blobs }) => blobs).map(({ digest, size }) => [digest, size]));
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}

/** One request of reading back, and the digest that has to come. */
export interface Read {
  readonly path: string;
  readonly method: "GET" | "HEAD";
  readonly digest: string;
}

/** All that was acknowledged: manifests by tag; each blob's bytes once, and in further repositories that it is there. */
export function readsOf(entries: readonly Entry[]): Read[][] {
  const known = new Set<string>();
  return entries.map(({ repository, tag, digest, blobs }) => [
    { path: `/v2/${repository}/manifests/${tag}`, method: "GET", digest },
    ...blobs.map((blob): Read => {
      const method = known.has(blob.digest) ? "HEAD" : "GET";
      known.add(blob.digest);
      return { path: `/v2/${repository}/blobs/${blob.digest}`, method, digest: blob.digest };
    }),
  ]);
}
