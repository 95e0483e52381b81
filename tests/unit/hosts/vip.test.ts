import { expect, it } from "vitest";
import { checkVip } from "../../../hosts/src/acceptance/vip";
import type { AcceptanceInputs, Connection } from "../../../hosts/src/contract";
import { startEdgeNode } from "./support/edge-node";

const vip = "10.0.2.10";

type State = "holds" | "holds not" | "off";

async function edgeNode(node: string, state: State): Promise<Connection> {
  const server = await startEdgeNode(node, state === "holds" ? vip : undefined);
  return server.connection(state === "off" ? { port: 1 } : {});
}

/** What is said of edge nodes in these states; a node beside them that has the address is none of them. */
async function said(...states: State[]): Promise<string> {
  const names = states.map((_state, index) => `edge-${index + 1}`);
  const nodes = await Promise.all([
    ...states.map((state, index) => edgeNode(names[index] ?? "", state)),
    edgeNode("worker", "holds"),
  ]);
  const inputs = { registryAddress: vip, nodes, edgeNodes: names } as unknown as AcceptanceInputs;
  return checkVip(inputs).then(
    ({ name, status, detail }) => `${name} ${status}: ${detail}`,
    (error: Error) => `failed: ${error.message}`,
  );
}

const off = /edge-\d: no SSH connection to \S+ after 1 attempt/;

it.each<[State[], RegExp[]]>([
  [["holds", "holds not"], [/^VIP ok: 10\.0\.2\.10 is on edge-1 alone$/]],
  [["holds"], [/^VIP ok: 10\.0\.2\.10 is on edge-1 alone$/]],
  [
    ["off", "holds"],
    [/^VIP warning: 10\.0\.2\.10 is on edge-2; not all edge nodes answer: /, off],
  ],
  [
    ["holds", "holds", "holds not"],
    [/^failed: 10\.0\.2\.10 is on edge-1 and edge-2, /, /filter that drops IP protocol 112 \(VRRP\)/],
  ],
  [["holds", "off", "holds"], [/^failed: 10\.0\.2\.10 is on edge-1 and edge-3, /]],
  [
    ["holds not", "holds not"],
    [/^failed: 10\.0\.2\.10 is on no edge node\n/, /journalctl .*keepalived/],
  ],
  [
    ["off", "holds not"],
    [/^failed: 10\.0\.2\.10 is on no edge node that answers\n/, off],
  ],
])("of edge nodes of which one each %j, exactly one has to have the VIP", async (states, expected) => {
  const text = await said(...states);
  for (const one of expected) expect(text).toMatch(one);
});
