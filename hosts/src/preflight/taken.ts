/**
 * Whether the address that a guest is about to be installed with is free. On metal nobody asks: its live installer answers
 * there on purpose, as its owner has booted it at the new address.
 */
import type { PreflightHost, PreflightInputs } from "../contract";
import { HostError } from "../errors";
import { warn } from "../log";
import { runScript } from "../ssh/exec";
import type { Looked } from "./parse";

/**
 * `$1` address. Prints `own`, `free`, or `taken` with the MAC address of who has it. Who answers no ping still has to say
 * who it is, which the kernel asks for some seconds; what it has known before means nothing.
 */
const askScript = `
if ip -o -4 address show | grep -qF " inet $1/"; then echo own; return 0; fi
answer=free
ip -4 neighbour flush to "$1" >/dev/null 2>&1
if ping -c 2 -W 1 "$1" >/dev/null 2>&1; then answer=taken; fi
for second in 1 2 3 4 5 6 7 8 9 10; do
  seen=$(ip -4 neighbour show to "$1")
  case "$seen" in *REACHABLE*) answer=taken; break ;; *DELAY* | *PROBE* | *STALE* | *INCOMPLETE*) sleep 1 ;; *) break ;; esac
done
echo "$answer $(printf %s "$seen" | sed -n 's/.* lladdr \\([0-9a-f:]*\\) .*/\\1/p')"
`;

/**
 * A line for each node that would be installed with an address at which somebody else answers. The node itself is asked,
 * which is in that network as well as any other, and has the address already where an earlier update was cut off.
 */
export async function takenFaults(
  anew: readonly string[],
  before: PreflightInputs | undefined,
  { hosts }: PreflightInputs,
  looked: ReadonlyMap<string, Looked>,
): Promise<string[]> {
  const faults = anew.map(async (name) => {
    const host = hosts[name];
    const former = before?.hosts[name]?.address;
    if (host?.guest === undefined || former === undefined || former === host.address) return [];
    const [answer, mac] = await ask(name, host, looked.get(name));
    if (answer !== "taken") return [];
    return [
      `  ${name}: would be installed at ${host.address}, where somebody else answers already${mac ? ` (${mac})` : ""}. ` +
        `To do: give \`nodes.${name}.address\` one that is free, or take that one out of the network first`,
    ];
  });
  return (await Promise.all(faults)).flat();
}

async function ask(
  name: string,
  { target, installer, address }: PreflightHost,
  looked: Looked | undefined,
): Promise<string[]> {
  try {
    const { stdout } = await runScript(
      looked?.stage === "installer" ? (installer ?? target) : target,
      askScript,
      [address],
      { sudo: true, timeoutSeconds: 30, purpose: `looking whether ${address} is free` },
    );
    return stdout.trim().split(" ");
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    warn(name, `nobody knows whether ${address} is free: ${error.message}`);
    return [];
  }
}
