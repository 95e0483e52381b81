/** The VIP: exactly one edge node has it. */
import type { AcceptanceInputs, CheckResult, Connection } from "../contract";
import { HostError, messageOf } from "../errors";
import { brief } from "../ssh/connect";
import { exec } from "../ssh/exec";
import { Finding } from "./registry";

/** Whether a node has the address, or why it could not be asked. */
type Holding = boolean | HostError;

async function holding(node: Connection, vip: string): Promise<Holding> {
  const options = { sudo: true, patience: brief, timeoutSeconds: 20, purpose: `looking for ${vip}` };
  try {
    const { stdout } = await exec(node, ["ip", "-o", "addr", "show", "to", vip], options);
    return stdout.trim() !== "";
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return error;
  }
}

/** Counts the holders on all edge nodes: two of them answer clients, so nothing else shows it. */
export async function checkVip(inputs: AcceptanceInputs): Promise<CheckResult> {
  const { registryAddress: vip, edgeNodes } = inputs;
  const nodes = inputs.nodes.filter(({ node }) => edgeNodes.includes(node));
  const found = await Promise.all(nodes.map((node) => holding(node, vip)));
  const holders = nodes.flatMap(({ node }, index) => (found[index] === true ? [node] : []));
  const silent = found.flatMap((each) => (each instanceof HostError ? [messageOf(each)] : []));
  if (holders.length > 1) throw new Finding(severalHolders(vip, holders));
  if (holders.length === 0) throw new Finding(noHolder(vip, silent));
  const detail = `${vip} is on ${holders.join("")}`;
  return silent.length === 0
    ? { name: "VIP", status: "ok", detail: `${detail} alone` }
    : {
        name: "VIP",
        status: "warning",
        detail: `${detail}; not all edge nodes answer: ${silent.join("; ")}`,
      };
}

function severalHolders(vip: string, holders: readonly string[]): string {
  return [
    `${vip} is on ${holders.join(" and ")}, and belongs on one edge node`,
    "The likely cause is a packet filter that drops IP protocol 112 (VRRP) between these nodes:",
    "allow it between all edge nodes. A VIP that has just moved may be on two nodes for two seconds.",
  ].join("\n");
}

function noHolder(vip: string, silent: readonly string[]): string {
  return [
    `${vip} is on no edge node${silent.length > 0 ? " that answers" : ""}`,
    ...silent,
    "See on an edge node: journalctl -b -u moorage-keepalived.service",
  ].join("\n");
}
