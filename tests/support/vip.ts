/** Which nodes hold the VIP. */
import { LabError, run, type Finished } from "../../lab/exec";
import type { Instance } from "../../lab/instance";

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
