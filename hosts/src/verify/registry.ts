/** The registry as its users see it, and the certificates that they and the nodes rely on. */
import { RegistryClient } from "../acceptance/client";
import { checkLogin, checkPushAndPull } from "../acceptance/registry";
import { checkVip } from "../acceptance/vip";
import type { AcceptanceInputs } from "../contract";
import { HostError } from "../errors";
import { attempt, firstThat } from "./attempt";
import { EXPIRY_DAYS, expiryCheck } from "./node";
import type { Check } from "./report";

export async function verifyRegistry(inputs: AcceptanceInputs): Promise<Check[]> {
  const vip = attempt("VIP", async () => {
    const { name, detail } = await checkVip(inputs);
    return { name, green: true, detail };
  });
  const via = new Map(
    inputs.nodes.map((connection) => [connection.node, new RegistryClient(inputs, connection)]),
  );
  const names = [...via.keys()];
  let client: RegistryClient | undefined;
  const front = await attempt("front", async () => {
    const { registryAddress, registryPort } = inputs;
    await firstThat(names, "no node is configured", async (node) => {
      await via.get(node)?.certificate();
      client = via.get(node);
    });
    return { name: "front", green: true, detail: `answers on ${registryAddress}:${registryPort}` };
  });
  if (!client) return [await vip, front];
  const reached = client;
  return [
    await vip,
    front,
    await attempt("login", async () => ({ name: "login", green: true, detail: await checkLogin(reached) })),
    await attempt("push and pull", async () => {
      const detail = await checkPushAndPull(reached, inputs);
      return { name: "push and pull", green: true, detail };
    }),
  ];
}

/** The authority's own, and what the front shows. */
export async function verifyCertificates(inputs: AcceptanceInputs): Promise<Check[]> {
  const authority = attempt("authority", () =>
    Promise.resolve(expiryCheck("authority", inputs.caCertificate)),
  );
  const front = attempt("front", async () => {
    const names = inputs.nodes.map(({ node }) => node);
    return firstThat(names, "no node is configured", async (name) => {
      const node = inputs.nodes.find((each) => each.node === name);
      if (!node) throw new HostError(name, "no such node");
      const shown = await new RegistryClient(inputs, node).certificate();
      const days = Math.floor((Date.parse(shown.valid_to) - Date.now()) / 86_400_000);
      const green = days >= EXPIRY_DAYS;
      const detail = `valid for ${days} more days, for ${shown.subjectaltname ?? "no name"}`;
      return {
        name: "front",
        green,
        detail: green ? detail : `${detail}: run \`pulumi up\`, which renews it`,
      };
    });
  });
  return Promise.all([authority, front]);
}
