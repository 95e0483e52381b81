/** Packets that get lost, at a host's port on the lab's bridge: nothing in the host knows of it. */
import { must, run } from "../exec";
import type { Place } from "./place";

/**
 * `in`: nothing reaches the host. `out`: nothing leaves it. `both`: neither. `nodes`: nothing goes between it and the
 * other nodes, while clients reach it as before.
 */
export type Loss = "in" | "out" | "both" | "nodes";

const HOOKS = ["INPUT", "FORWARD", "OUTPUT"];

const chainOf = ({ host }: Place): string => `LAB-${host.name}`;

/** What of each frame decides that it is dropped, ARP included. */
export function lossRules({ instance, host }: Place, loss: Loss): string[][] {
  const others = instance.hosts.filter(({ kind, name }) => kind === "node" && name !== host.name);
  switch (loss) {
    case "in":
      return [["-o", host.name]];
    case "out":
      return [["-i", host.name]];
    case "both":
      return [
        ["-o", host.name],
        ["-i", host.name],
      ];
    case "nodes":
      return others.flatMap(({ name }) => [
        ["-i", host.name, "-o", name],
        ["-i", name, "-o", host.name],
      ]);
    default:
      return loss satisfies never;
  }
}

const inBridge = ({ instance }: Place, args: readonly string[]): string[] => [
  "netns",
  "exec",
  instance.netns,
  "ebtables",
  ...args,
];

/** Loses a host's packets from now on. The rules go by the port's name, so they outlast the host's power. */
export async function losePackets(place: Place, loss: Loss): Promise<void> {
  await passPackets(place);
  const rule = (args: readonly string[]): Promise<string> => must("ip", inBridge(place, args));
  await rule(["-N", chainOf(place), "-P", "RETURN"]);
  for (const match of lossRules(place, loss)) await rule(["-A", chainOf(place), ...match, "-j", "DROP"]);
  for (const hook of HOOKS) await rule(["-A", hook, "-j", chainOf(place)]);
}

/** Takes a loss back; where there is none, nothing is done. */
export async function passPackets(place: Place): Promise<void> {
  const rule = (args: readonly string[]): ReturnType<typeof run> => run("ip", inBridge(place, args));
  for (const hook of HOOKS) await rule(["-D", hook, "-j", chainOf(place)]);
  await rule(["-F", chainOf(place)]);
  await rule(["-X", chainOf(place)]);
}
