/** Reads back what the registry has acknowledged. */
import { pause } from "../../support/waiting";
import type { Answer } from "./clients";
import type { Blob } from "./content";
import type { Entry, Ledger } from "./ledger";

/** From here on MinIO keeps an object's bytes in files of their own. */
const LARGE = 1024 ** 2;

export interface Read {
  readonly path: string;
  readonly method: "GET" | "HEAD";
  /** One of these digests must come back. */
  readonly accepted: readonly string[];
}

/**
 * Requests for all that was acknowledged: each tag, each manifest by digest, each blob once with its bytes and in further
 * repositories its presence.
 * @param since after a row the bytes of older large blobs are not read, only their presence. @default all are read
 */
export function readsOf({ entries, tags }: Pick<Ledger, "entries" | "tags">, since = 0): Read[] {
  const known = new Set<string>();
  const read = (blob: Blob, index: number): boolean => blob.size < LARGE || index >= since;
  const ofTags = [...tags].map(([name, accepted]): Read => {
    const [repository, tag] = name.split(":");
    return { path: `/v2/${repository}/manifests/${tag}`, method: "GET", accepted };
  });
  const ofEntries = entries.flatMap(({ repository, digest, blobs }, index): Read[] => [
    { path: `/v2/${repository}/manifests/${digest}`, method: "GET", accepted: [digest] },
    ...blobs.map((blob): Read => {
      const method = known.has(blob.digest) || !read(blob, index) ? "HEAD" : "GET";
      known.add(blob.digest);
      return { path: `/v2/${repository}/blobs/${blob.digest}`, method, accepted: [blob.digest] };
    }),
  ]);
  return [...ofTags, ...ofEntries];
}

type Heard = Pick<Answer, "status" | "digest" | "error">;

/** If nothing answers, each of thousands of requests takes minutes. */
const ENOUGH = 50;
const AT_ONCE = 8;

/** @returns what is lost or another, until that is enough */
export async function readBack(
  reads: readonly Read[],
  ask: (read: Read) => Promise<Heard>,
  { tries = 3, pauseMs = 1000 } = {},
): Promise<string[]> {
  const queue = [...reads];
  const lost: string[] = [];
  const wrong = async (read: Read): Promise<string | undefined> => {
    let last = "";
    for (let left = tries; left > 0; left--) {
      const { status, digest, error } = await ask(read);
      if (status === 200 && read.accepted.includes(digest)) return undefined;
      if (status === 200) return `${read.path}: ${digest} in place of ${read.accepted.join(" or ")}`;
      last = `${read.path}: ${error ?? `status ${status}`}`;
      if (left > 1) await pause(pauseMs);
    }
    return last;
  };
  const work = async (): Promise<void> => {
    for (let read = queue.shift(); read && lost.length < ENOUGH; read = queue.shift()) {
      const problem = await wrong(read);
      if (problem !== undefined) lost.push(problem);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return queue.length > 0 ? [...lost, `and maybe more: ${queue.length} were not read`] : lost;
}

/** A tag that was acknowledged, read through another edge node. */
export type AfterPush = "right" | "unread" | { readonly stale: string };

/** Any answer but the pushed manifest is a loss; no answer, or a 503, is none. */
export async function readAfterPush(
  { repository, tag, digest }: Entry,
  ask: (path: string) => Promise<Heard>,
  { tries = 3, pauseMs = 1000 } = {},
): Promise<AfterPush> {
  const path = `/v2/${repository}/manifests/${tag}`;
  for (let left = tries; left > 0; left--) {
    const heard = await ask(path);
    if (heard.status === 200 && heard.digest === digest) return "right";
    if (heard.status === 200) return { stale: `${path}: ${heard.digest} in place of ${digest}` };
    if (heard.status === 404) return { stale: `${path}: status 404 after its push` };
    if (left > 1) await pause(pauseMs);
  }
  return "unread";
}
