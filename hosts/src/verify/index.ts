/** The operator's look at a running stack: everything at once, each with a limit, nothing changed. */
import { redact } from "../errors";
import { closeConnections } from "../ssh/pool";
import { verifyEtcd } from "./etcd";
import { verifyNode } from "./node";
import { recordedStack, type RecordedStack } from "./recorded";
import { verifyCertificates, verifyRegistry } from "./registry";
import { checksOf, type Check, type Report } from "./report";
import { overlayChecks, verifyServices, verifyStorage, verifySwarm } from "./swarm";

/** Verifies a stack by what its state says of it; without a name the one that is selected. */
export async function verify(stack: string | undefined): Promise<Report> {
  try {
    return await verifyRecorded(await recordedStack(stack));
  } finally {
    closeConnections();
  }
}

export async function verifyRecorded(stack: RecordedStack): Promise<Report> {
  const began = new Date();
  const { nodes, acceptance, etcd } = stack;
  const managers = nodes.filter(({ role }) => role === "manager").map(({ connection }) => connection);
  const nothing = Promise.resolve<Check[]>([]);
  const [found, swarm, services, storage, members, certificates, registry] = await Promise.all([
    Promise.all(nodes.map((node) => verifyNode(node, stack))),
    verifySwarm(managers),
    verifyServices(managers),
    acceptance ? verifyStorage(acceptance) : nothing,
    etcd ? verifyEtcd(etcd) : undefined,
    acceptance ? verifyCertificates(acceptance) : nothing,
    acceptance ? verifyRegistry(acceptance) : nothing,
  ]);
  const overlay = found.flatMap((each) => (each.overlay ? [each.overlay] : []));
  const reached = nodes.filter((_node, index) =>
    found[index]?.checks.every(({ name }) => name !== "reached"),
  );
  // Where MinIO runs, something is on the overlay.
  const expected = reached.filter(({ name }) => acceptance?.storageServices[name] !== undefined);
  const healing = found.flatMap((each) => (each.healing ? [each.healing] : []));
  const subjects: Record<string, readonly Check[]> = {
    ...(members ? { etcd: members.checks } : {}),
    swarm: [
      ...swarm.checks,
      ...overlayChecks(
        overlay,
        expected.map(({ name }) => name),
      ),
    ],
    services,
    storage: [...storage, ...healing],
    certificates,
    registry: acceptance ? registry : [unproved],
  };
  const reports = nodes.map(({ name, address, role }, index) => [
    name,
    { address, role, checks: found[index]?.checks ?? [] },
  ]);
  const report: Omit<Report, "green" | "seconds"> = {
    stack: stack.name,
    at: began.toISOString(),
    nodes: Object.fromEntries(reports) as Report["nodes"],
    subjects,
    etcdMembers: members?.members ?? [],
    swarmNodes: swarm.nodes,
    overlay,
  };
  const shown = JSON.parse(redact(JSON.stringify(report), stack.secrets.flatMap(asInJson))) as typeof report;
  const green = checksOf(shown).every(([, check]) => check.green);
  return { ...shown, green, seconds: Math.round((Date.now() - began.getTime()) / 100) / 10 };
}

const unproved: Check = {
  name: "registry",
  green: false,
  detail: "the stack's state has no acceptance, so it was never whole: run `pulumi up`",
};

/** A secret, and each line of it, as JSON has them. */
function asInJson(secret: string): string[] {
  const lines = secret.split("\n").filter((line) => line.length >= 16 && !line.startsWith("-----"));
  return [secret, ...lines].map((text) => JSON.stringify(text).slice(1, -1));
}
