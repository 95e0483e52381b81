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

/** The nodes that have the VIP now. One that is off, or frozen with its link down, has nothing to show. */
export async function holdersOf({ hosts, vip }: Instance): Promise<string[]> {
  const nodes = hosts.filter(({ kind }) => kind === "node");
  const shown = await Promise.all(
    nodes.map(({ netns }) => run("ip", ["-n", netns, "-j", "addr", "show", "dev", "eth0", "to", vip])),
  );
  return nodes.filter((_node, index) => showsAddress(shown[index]?.stdout ?? "")).map(({ name }) => name);
}

export class VipWatch {
  readonly samples: Holders[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(instance: Instance) {
    this.timer = setInterval(() => {
      const at = Date.now();
      // A host that goes off meanwhile shows nothing, which is no answer of the others.
      holdersOf(instance).then(
        (nodes) => this.samples.push({ at, nodes }),
        () => undefined,
      );
    }, 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
