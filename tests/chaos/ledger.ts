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
