/** What of all that was acknowledged is read back after a row, and how. */
import type { Blob } from "./content";
import type { Entry } from "./ledger";

/** From here on MinIO keeps an object in files of its own, and not beside what it notes about it. */
export const LARGE = 1024 ** 2;
/** The large layers of so many rows are read after each row; of those before them, some that are drawn. */
const RECENT_ROWS = 3;
const DRAWN_BYTES = 64 * 1024 ** 2;

/** One request of reading back, and the digest that has to come. */
export interface Read {
  readonly path: string;
  readonly method: "GET" | "HEAD";
  readonly digest: string;
}

const everything = (): boolean => true;

/**
 * All that was acknowledged: manifests by tag; each blob's bytes once, and in further repositories that it is there.
 * @param isRead whether a blob's bytes are read at all; otherwise it only has to be there
 */
export function readsOf(entries: readonly Entry[], isRead: (blob: Blob) => boolean = everything): Read[][] {
  const known = new Set<string>();
  return entries.map(({ repository, tag, digest, blobs }) => [
    { path: `/v2/${repository}/manifests/${tag}`, method: "GET", digest },
    ...blobs.map((blob): Read => {
      const method = known.has(blob.digest) || !isRead(blob) ? "HEAD" : "GET";
      known.add(blob.digest);
      return { path: `/v2/${repository}/blobs/${blob.digest}`, method, digest: blob.digest };
    }),
  ]);
}

/**
 * Which blobs' bytes are read after a row: all small ones, the large ones of the last rows, and some of the others.
 * @param rows how many entries there were when each row began
 * @param next numbers from 0 to 1
 */
export function drawn(
  entries: readonly Entry[],
  rows: readonly number[],
  next: () => number,
): (blob: Blob) => boolean {
  const recent = rows.at(-RECENT_ROWS) ?? 0;
  const chosen = new Set(entries.slice(recent).flatMap(({ blobs }) => blobs.map(({ digest }) => digest)));
  const others = new Map(
    entries.flatMap(({ blobs }) => blobs.filter(isLarge).map((blob) => [blob.digest, blob] as const)),
  );
  for (const digest of chosen) others.delete(digest);
  const left = [...others.values()];
  for (let bytes = 0; left.length > 0 && bytes < DRAWN_BYTES;) {
    const [blob] = left.splice(Math.floor(next() * left.length), 1);
    if (!blob) break;
    chosen.add(blob.digest);
    bytes += blob.size;
  }
  return (blob) => !isLarge(blob) || chosen.has(blob.digest);
}

export const isLarge = ({ size }: Blob): boolean => size >= LARGE;

/** So much that is wrong is enough, and where nobody answers each of it takes minutes. */
const ENOUGH = 50;

/**
 * Reads one after the other within each part, several parts at once, until enough is wrong.
 * @param wrong what is wrong with what came
 */
export async function readParts(
  parts: readonly (readonly Read[])[],
  atOnce: number,
  wrong: (read: Read) => Promise<string | undefined>,
  onProblem: (problem: string) => void,
): Promise<void> {
  const queue = [...parts];
  let problems = 0;
  const work = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift()) {
      for (const read of part) {
        if (problems >= ENOUGH) return;
        const problem = await wrong(read);
        if (problem === undefined || problems >= ENOUGH) continue;
        problems += 1;
        onProblem(problem);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (problems >= ENOUGH) onProblem("and maybe more: the rest was not read");
}
