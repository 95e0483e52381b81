/** Every push that the registry has acknowledged, on disk before anything else is done with it. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Image } from "./content";

export interface Entry extends Image {
  readonly repository: string;
  readonly tag: string;
}

interface Line {
  readonly state: "begun" | "acknowledged";
  readonly entry: Entry;
}

const tagOf = ({ repository, tag }: Entry): string => `${repository}:${tag}`;

/** Only one worker pushes a tag, one push after the other, and none after a push that failed. */
export class Ledger {
  private readonly acknowledged: Entry[] = [];
  private readonly accepted = new Map<string, readonly string[]>();
  private readonly descriptor: number;

  /** @param file its lines, of an earlier run in the same lab, count too */
  constructor(file: string) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
    for (const line of text.split("\n").filter(Boolean)) {
      const read = parsed(line);
      if (read) this.take(read);
    }
    this.descriptor = fs.openSync(file, "a");
  }

  /** A push that may have come through, whatever becomes of it. */
  begin(entry: Entry): void {
    this.write({ state: "begun", entry });
  }

  acknowledge(entry: Entry): void {
    this.write({ state: "acknowledged", entry });
  }

  get entries(): readonly Entry[] {
    return this.acknowledged;
  }

  /**
   * The digests that a tag may have, by `REPOSITORY:TAG`: that of its last acknowledged push, and of a later push
   * without an answer. Tags that were never acknowledged are left out.
   */
  get tags(): ReadonlyMap<string, readonly string[]> {
    return this.accepted;
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }

  private write(line: Line): void {
    // The line break comes first: a line that was cut off spoils no other.
    fs.writeSync(this.descriptor, `\n${JSON.stringify(line)}`);
    fs.fsyncSync(this.descriptor);
    this.take(line);
  }

  private take({ state, entry }: Line): void {
    const tag = tagOf(entry);
    if (state === "acknowledged") {
      this.acknowledged.push(entry);
      this.accepted.set(tag, [entry.digest]);
      return;
    }
    const before = this.accepted.get(tag);
    if (before) this.accepted.set(tag, [...before, entry.digest]);
  }
}

function parsed(line: string): Line | undefined {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return undefined;
  }
}
