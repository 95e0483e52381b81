/** Who has the VIP, counted each second on every node. */
import { LabError, run, waitFor, type Finished } from "../../lab/exec";
import type { Instance } from "../../lab/instance";
import type { Holders } from "./measure";
import { startProgram, type Program } from "./programs";

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
/** Into each second: a timer may be early, and would have the look counted for the one before. */
const MARGIN_MS = 10;

/** When to look again after a look at some time, of which one may only come back to itself now. */
export function nextLook(at: number, holders: number, now: number): number {
  // By the clock's own seconds: by pauses alone there would be fewer looks than seconds.
  const second = (Math.floor((at - MARGIN_MS) / EVERY_MS) + 1) * EVERY_MS + MARGIN_MS;
  return holders > 1 ? Math.min(second, now + OFTEN_MS) : second;
}

/** Looks in each second, and again and again while more than one node has it, without an end. A look that failed is none. */
export async function lookOn(
  instance: Pick<Instance, "hosts" | "vip">,
  onLook: (seen: Holders) => void,
): Promise<never> {
  for (;;) {
    const at = Date.now();
    const nodes = await holdersOf(instance).catch(() => undefined);
    if (nodes) onLook({ at, nodes });
    const now = Date.now();
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, nextLook(at, nodes?.length ?? 0, now) - now)),
    );
  }
}

const FIRST_LOOK_MS = 30_000;
/** Each look is a process for each node, on a machine that may be busy with what is looked at. */
const FIRST = ["nice", "-n", "-10"];

/** Looks who has the VIP, by a program of its own: whatever keeps this process busy makes no look late. */
export class VipWatch {
  readonly samples: Holders[] = [];
  private readonly program: Program;

  private constructor({ hosts, vip }: Pick<Instance, "hosts" | "vip">) {
    const onLine = (line: unknown): unknown => this.samples.push(line as Holders);
    this.program = startProgram("watchVip", { hosts, vip }, onLine, FIRST);
  }

  /** @throws LabError where nothing can be seen */
  static async begin(instance: Pick<Instance, "hosts" | "vip">): Promise<VipWatch> {
    const watch = new VipWatch(instance);
    const seen = async (): Promise<true | undefined> => (watch.samples.length > 0 ? true : undefined);
    if (await waitFor(seen, FIRST_LOOK_MS)) return watch;
    await watch.stop();
    throw new LabError("nobody sees who has the VIP");
  }

  async stop(): Promise<void> {
    this.program.stop();
    await this.program.over;
  }
}
