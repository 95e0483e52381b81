/** What goes on during one row: the load, a read after each push, and the probes. */
import { until } from "../../support/waiting";
import { numbersOf } from "./content";
import { brokenBounds, countsOf, failedPulls, longestGap, type Probe, type Span } from "./figures";
import type { Entry } from "./ledger";
import type { Load } from "./load";
import { readAfterPush } from "./readBack";
import { rounded, type Result } from "./rows";
import type { Stage } from "./stage";

const PROBE_MS = 150;
const TIMEOUT_MS = 10_000;
/** Of a read after a push: a worker waits for it, and the node may be rebooting. */
const CHECK_MS = 3000;
/** Of fewer pulls a row proves nothing. */
const LEAST_PULLS = 6;

export class Traffic {
  readonly load: Load;
  private readonly probes: Probe[] = [];
  private readonly stale: string[] = [];
  private unread = 0;
  private readonly since: number;
  private readonly next: () => number;
  private readonly paths: readonly string[];
  private readonly asked: Promise<void>[] = [];
  private readonly timer: NodeJS.Timeout;

  private constructor(private readonly stage: Stage) {
    this.since = stage.ledger.entries.length;
    const id = `r${Date.now().toString(36)}`;
    this.next = numbersOf(`${stage.seed}/${id}`);
    this.load = stage.load({ id, afterPush: (entry) => this.check(entry) });
    // `/v2/` every second time, and each manifest as often as the others.
    this.paths = stage.manifests.flatMap((manifest) => ["/v2/", manifest]);
    this.timer = setInterval(() => this.asked.push(this.probe()), PROBE_MS);
    this.load.start();
  }

  /** Begins, and waits until pulls come through. */
  static async begin(stage: Stage): Promise<Traffic> {
    const traffic = new Traffic(stage);
    try {
      await traffic.enough();
    } catch (error) {
      await traffic.end();
      throw error;
    }
    return traffic;
  }

  /** Begins a push of one large layer. */
  pushLarge(bytes: number): void {
    const { clients } = this.stage;
    const client = clients[Math.floor(this.next() * clients.length)];
    if (client) void this.load.pushLarge(client, bytes);
  }

  /** Waits until enough pulls that began after a time have ended. */
  async enough(from = 0): Promise<void> {
    const counted = (): void => {
      this.load.hurry();
      const { all } = countsOf(
        this.load.outcomes.filter(({ start }) => start >= from),
        "pull",
      );
      if (all < LEAST_PULLS) throw new Error(`only ${all} pulls`);
    };
    await until("there are enough pulls", counted, { netSeconds: 150, everyMs: 1000 });
  }

  /** Ends; what is under way comes to its end. */
  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.load.stop();
    await Promise.all(this.asked);
  }

  /**
   * Ends, and reads everything back.
   * @param span from the fault until the cluster is whole
   * @param readable whether pulls must succeed in this span
   */
  async finish(span: Span, readable: boolean): Promise<Result> {
    await this.end();
    const { stage, probes, stale, unread } = this;
    const { outcomes } = this.load;
    const lost = await stage.readBack(this.since);
    const failed = failedPulls(outcomes, readable ? undefined : span);
    for (const { kind, error, start } of outcomes.filter(({ ok }) => !ok).slice(0, 8))
      stage.say(`    ${kind} at ${((start - span.from) / 1000).toFixed(1)} s failed: ${error}`);
    const [pushes, pulls] = [countsOf(outcomes, "push"), countsOf(outcomes, "pull")];
    const gap = (paths: readonly string[]): number =>
      rounded(Math.max(0, ...paths.map((path) => longestGap(probes, path, span))) / 1000);
    return {
      figures: {
        pushes: pushes.all,
        "pushes failed at first": pushes.failedFirst,
        "pushes failed": pushes.failed,
        pulls: pulls.all,
        "pulls failed at first": pulls.failedFirst,
        "pulls failed": pulls.failed,
        "pushed tags unread": unread,
        "longest gap s": gap(["/v2/"]),
        "longest gap of a manifest s": gap(stage.manifests),
      },
      broken: brokenBounds({ lost, stale, failedPulls: failed }),
    };
  }

  private async probe(): Promise<void> {
    const path = this.paths[this.asked.length % this.paths.length] ?? "/v2/";
    const answer = await this.stage
      .ask({ path, method: "GET", timeoutMs: TIMEOUT_MS })
      .catch(() => undefined);
    if (answer) this.probes.push(answer);
  }

  /** Reads a pushed tag through another edge node. */
  private async check(entry: Entry): Promise<void> {
    const ask = async (path: string) => {
      const host = await this.stage.otherEdge(this.next());
      if (host === undefined) return { status: 0, digest: "" };
      return this.stage.ask({ path, host, method: "GET", timeoutMs: CHECK_MS });
    };
    const found = await readAfterPush(entry, ask).catch(() => "unread" as const);
    if (found === "right") return;
    if (found === "unread") this.unread += 1;
    else this.stale.push(found.stale);
  }
}
