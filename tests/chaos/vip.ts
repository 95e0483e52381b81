/** Who has the VIP, counted each second on every node. */
import { LabError, run, type Finished } from "../../lab/exec";
import type { Instance } from "../../lab/instance";
import type { Holders } from "./measure";

/** Whether a host has the address on a link that others can see. @param json of `ip -j addr show … to ADDRESS` */
export function showsAddress(json: string): boolean {
  if (json.trim() === "") return false;
  const links = JSON.parse(json) as { operstate?: string; addr_info?: unknown[] }[];
  return links.some(({ operstate, addr_info }) => operstate === "UP" && (addr_info?.length ?? 0) > 0);
}

/**
 * The nodes that have the VIP now. One that is off, or frozen with its link down, has nothing to show.
 * @throws LabError where one of them could not be looked at
 */
export async function holdersOf(
  { hosts, vip }: Pick<Instance, "hosts" | "vip">,
  shows: (netns: string, vip: string) => Promise<boolean> = showsIn,
): Promise<string[]> {
  const nodes = hosts.filter(({ kind }) => kind === "node");
  const has = await Promise.all(nodes.map(({ netns }) => shows(netns, vip)));
  return nodes.filter((_node, index) => has[index]).map(({ name }) => name);
}

/** Of a host that is off, or has no card yet. */
const NOTHING_THERE = /Cannot open network namespace|(Cannot find device|Device) "eth0"/;

async function showsIn(netns: string, vip: string): Promise<boolean> {
  const shown = await run("ip", ["-n", netns, "-j", "addr", "show", "dev", "eth0", "to", vip]);
  return showsOf(shown);
}

/** Whether a host shows the address, by what `ip` said. @throws LabError where it could not say */
export function showsOf({ code, stdout, stderr }: Pick<Finished, "code" | "stdout" | "stderr">): boolean {
  if (code === 0) return showsAddress(stdout);
  if (NOTHING_THERE.test(stderr)) return false;
  throw new LabError(`who has the VIP cannot be seen: ${stderr.trim() || `exit code ${code}`}`);
}

const EVERY_MS = 1000;
/** While more than one has it: how long that lasts is to be known in tenths of a second. */
const OFTEN_MS = 200;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks in each second, and again and again while more than one node has it. A look that failed is none. */
export class VipWatch {
  readonly samples: Holders[] = [];
  private over = false;

  constructor(private readonly instance: Instance) {
    void this.watch();
  }

  stop(): void {
    this.over = true;
  }

  private async watch(): Promise<void> {
    while (!this.over) {
      const at = Date.now();
      const nodes = await holdersOf(this.instance).catch(() => undefined);
      if (nodes) this.samples.push({ at, nodes });
      // By the clock's own seconds: by pauses alone there would be fewer looks than seconds.
      const next = (Math.floor(at / EVERY_MS) + 1) * EVERY_MS;
      const often = Date.now() + OFTEN_MS;
      await pause(Math.max(0, (nodes && nodes.length > 1 ? Math.min(next, often) : next) - Date.now()));
    }
  }
}
