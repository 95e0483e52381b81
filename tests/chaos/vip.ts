/** Who has the VIP, counted each second on every node. */
import { run } from "../../lab/exec";
import type { Instance } from "../../lab/instance";
import type { Holders } from "./measure";

/** Whether a host has the address on a link that others can see. @param json of `ip -j addr show … to ADDRESS` */
export function showsAddress(json: string): boolean {
  if (json.trim() === "") return false;
  const links = JSON.parse(json) as { operstate?: string; addr_info?: unknown[] }[];
  return links.some(({ operstate, addr_info }) => operstate === "UP" && (addr_info?.length ?? 0) > 0);
}

/** The nodes that have the VIP now. One that is off, or frozen with its link down, has nothing to show, and hides no other. */
export async function holdersOf(
  { hosts, vip }: Pick<Instance, "hosts" | "vip">,
  shows: (netns: string, vip: string) => Promise<boolean> = showsIn,
): Promise<string[]> {
  const nodes = hosts.filter(({ kind }) => kind === "node");
  const has = await Promise.all(nodes.map(({ netns }) => shows(netns, vip).catch(() => false)));
  return nodes.filter((_node, index) => has[index]).map(({ name }) => name);
}

async function showsIn(netns: string, vip: string): Promise<boolean> {
  const shown = await run("ip", ["-n", netns, "-j", "addr", "show", "dev", "eth0", "to", vip]);
  return showsAddress(shown.stdout);
}

export class VipWatch {
  readonly samples: Holders[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(instance: Instance) {
    this.timer = setInterval(() => {
      const at = Date.now();
      void holdersOf(instance).then((nodes) => this.samples.push({ at, nodes }));
    }, 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
