/** What etcd acknowledges while its nodes are hurt, and whether every member has it afterwards. */
import { randomBytes } from "node:crypto";
import { waitFor } from "../../lab/exec";
import { shellIn, type Place } from "../../lab/faults/place";
import type { Span } from "./measure";

const PREFIX = "/chaos/";
const EVERY_MS = 2000;
const ANSWER_SECONDS = 5;
/** A member that has just come back may have the last of it a moment later. */
const ALIKE_MS = 15_000;

/** A write, and reading it back by the same member. */
interface Write {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly ok: boolean;
}

/** Writes that were begun in a span. */
export interface Written {
  readonly ok: number;
  readonly failed: number;
}

export function writtenIn(writes: readonly Write[], { from, to }: Span): Written {
  const those = writes.filter(({ at }) => at >= from && at <= to);
  const ok = those.filter((one) => one.ok).length;
  return { ok, failed: those.length - ok };
}

/** What `etcdctl get` prints: a line with the key, and one with its value. */
export function pairsIn(printed: string): Map<string, string> {
  const lines = printed.split("\n");
  const keys = lines.flatMap((line, index) => (line.startsWith(PREFIX) ? [index] : []));
  return new Map(keys.map((index) => [lines[index] ?? "", lines[index + 1] ?? ""]));
}

/** What of the acknowledged a member does not have, or has otherwise. */
export function lostOn(
  node: string,
  acknowledged: ReadonlyMap<string, string>,
  has: ReadonlyMap<string, string>,
): string[] {
  return [...acknowledged]
    .filter(([key, value]) => has.get(key) !== value)
    .map(([key, value]) => `etcd on ${node}: ${key} is ${has.get(key) ?? "nothing"} in place of ${value}`);
}

const etcdctl = (words: string): string =>
  `timeout ${ANSWER_SECONDS + 3} docker exec moorage-etcd etcdctl --command-timeout=${ANSWER_SECONDS}s ${words}`;

type Shell = (place: Place, line: string) => Promise<{ readonly code: number; readonly stdout: string }>;

export class EtcdLoad {
  private readonly acknowledged = new Map<string, string>();
  private count = 0;

  constructor(
    private readonly members: readonly Place[],
    private readonly shell: Shell = shellIn,
    private readonly everyMs = EVERY_MS,
  ) {}

  /**
   * Writes by the members on other nodes than those, in turn, until the function that comes back is called, which gives
   * all that was tried.
   */
  start(hurt: readonly string[]): () => Promise<readonly Write[]> {
    const others = this.members.filter(({ host }) => !hurt.includes(host.name));
    const writes: Write[] = [];
    let over = false;
    const writing = (async () => {
      for (let turn = 0; !over && others.length > 0; turn++) {
        const at = Date.now();
        const place = others[turn % others.length];
        if (place) writes.push({ at, ok: await this.write(place) });
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, at + this.everyMs - Date.now())));
      }
    })();
    return async () => {
      over = true;
      await writing;
      return writes;
    };
  }

  /** What every member should have, by what it has itself, and has not. */
  async lost(patienceMs = ALIKE_MS): Promise<string[]> {
    let lost: string[] = [];
    const alike = async (): Promise<true | undefined> => {
      lost = (await Promise.all(this.members.map((place) => this.lostOn(place)))).flat();
      return lost.length === 0 ? true : undefined;
    };
    await waitFor(alike, patienceMs, 1000);
    return lost;
  }

  /** Takes away what was written, as far as somebody takes it. */
  async clear(): Promise<void> {
    const [place] = this.members;
    if (place && this.count > 0) await this.ask(place, `del --prefix ${PREFIX}`);
  }

  private async write(place: Place): Promise<boolean> {
    const key = `${PREFIX}${this.count++}`;
    const value = randomBytes(16).toString("hex");
    const put = await this.ask(place, `put ${key} ${value}`);
    if (put.code !== 0) return false;
    this.acknowledged.set(key, value);
    const got = await this.ask(place, `get --print-value-only ${key}`);
    return got.code === 0 && got.stdout.trim() === value;
  }

  private async lostOn(place: Place): Promise<string[]> {
    if (this.acknowledged.size === 0) return [];
    const { name } = place.host;
    // What this very member has on its disk, whatever the others would say.
    const { code, stdout } = await this.ask(place, `get --prefix ${PREFIX} --consistency=s`);
    return code === 0
      ? lostOn(name, this.acknowledged, pairsIn(stdout))
      : [`etcd on ${name} does not answer`];
  }

  private ask(place: Place, words: string): Promise<{ readonly code: number; readonly stdout: string }> {
    return this.shell(place, etcdctl(words)).catch(() => ({ code: 1, stdout: "" }));
  }
}
