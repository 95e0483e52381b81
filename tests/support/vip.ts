/** Which nodes hold the VIP. */
import { LabError, run, type Finished } from "../../lab/exec";
import type { Instance } from "../../lab/instance";
import { pause, until } from "./waiting";

type Network = Pick<Instance, "hosts" | "vip">;

/** Whether a host has the address on a link that others can see. @param json of `ip -j addr show … to ADDRESS` */
export function showsAddress(json: string): boolean {
  if (json.trim() === "") return false;
  const links = JSON.parse(json) as { operstate?: string; addr_info?: unknown[] }[];
  return links.some(({ operstate, addr_info }) => operstate === "UP" && (addr_info?.length ?? 0) > 0);
}

/** A node that is off, or frozen with its link down, holds nothing. @throws LabError if one cannot be asked */
export async function holdersOf(
  { hosts, vip }: Network,
  shows: (netns: string, vip: string) => Promise<boolean> = showsIn,
): Promise<string[]> {
  const nodes = hosts.filter(({ kind }) => kind === "node");
  const has = await Promise.all(nodes.map(({ netns }) => shows(netns, vip)));
  return nodes.filter((_node, index) => has[index]).map(({ name }) => name);
}

/** A host that is off, or has no card yet. */
const NOTHING_THERE = /Cannot open network namespace|(Cannot find device|Device) "eth0"/;

async function showsIn(netns: string, vip: string): Promise<boolean> {
  return showsOf(await run("ip", ["-n", netns, "-j", "addr", "show", "dev", "eth0", "to", vip]));
}

/** Whether a host shows the address, by the output of `ip`. */
export function showsOf({ code, stdout, stderr }: Pick<Finished, "code" | "stdout" | "stderr">): boolean {
  if (code === 0) return showsAddress(stdout);
  if (NOTHING_THERE.test(stderr)) return false;
  throw new LabError(`cannot see who has the VIP: ${stderr.trim() || `exit code ${code}`}`);
}

/** The VIP's holders at one moment, in milliseconds since 1970. */
export interface Holders {
  readonly at: number;
  readonly nodes: readonly string[];
}

const EVERY_MS = 1000;
const OFTEN_MS = 200;
/** A timer may be early, and its sample would count for the second before. */
const MARGIN_MS = 10;

/** Asks once in each second of the clock, and five times a second while there are several holders. */
export class VipWatch {
  readonly samples: Holders[] = [];
  private over = false;
  private readonly watching: Promise<void>;

  private constructor(private readonly network: Network) {
    this.watching = this.watch();
  }

  static async begin(network: Network): Promise<VipWatch> {
    const watch = new VipWatch(network);
    try {
      await until("the VIP's holders are visible", () => {
        if (watch.samples.length === 0) throw new Error("no sample");
      });
      return watch;
    } catch (error) {
      await watch.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.over = true;
    return this.watching;
  }

  private async watch(): Promise<void> {
    while (!this.over) {
      const at = Date.now();
      const nodes = await holdersOf(this.network).catch(() => undefined);
      if (nodes) this.samples.push({ at, nodes });
      const now = Date.now();
      const nextSecond = EVERY_MS - (now % EVERY_MS) + MARGIN_MS;
      await pause(Math.min(nextSecond, nodes && nodes.length > 1 ? OFTEN_MS : nextSecond));
    }
  }
}

/** Consecutive samples with several holders, from the first of them to the first sample without. */
interface Two {
  readonly first: number;
  readonly last: number;
  readonly over: number;
}

function twosIn(
  samples: readonly Holders[],
  { from, to }: { readonly from: number; readonly to: number },
): Two[] {
  const within = samples.filter(({ at }) => at >= from && at <= to).sort((one, other) => one.at - other.at);
  const found: Two[] = [];
  let first: number | undefined;
  let last = 0;
  for (const { at, nodes } of [...within, { at: to, nodes: [] }]) {
    if (nodes.length > 1) {
      first ??= at;
      last = at;
    } else if (first !== undefined) {
      found.push({ first, last, over: at });
      first = undefined;
    }
  }
  return found;
}

const secondOf = (at: number): number => Math.floor(at / 1000);

/** The most consecutive seconds of the clock with several holders; a second without a sample counts. */
export const secondsOfTwo = (
  samples: readonly Holders[],
  span: { readonly from: number; readonly to: number },
): number =>
  Math.max(
    0,
    ...twosIn(samples, span).map(
      ({ first, last, over }) => Math.max(secondOf(last), secondOf(over) - 1) - secondOf(first) + 1,
    ),
  );
