/** What a stack's state says is to be verified. */
import type {
  AcceptanceOutputs,
  Connection,
  DataDiskOutputs,
  EtcdClusterOutputs,
  NodeFilesInputs,
} from "../contract";
import { DATA_UNIT } from "../data-disk";
import { equal } from "../diff";
import { recordedState, unwrapped, type RecordedResource } from "../state";

export interface RecordedNode {
  readonly name: string;
  readonly connection: Connection;
  readonly address: string;
  readonly role: "manager" | "worker";
  /** Units that are enabled there by us, by name. */
  readonly units: readonly string[];
  /** Parts whose files are not those of the last update, which did not reach the node. */
  readonly outdated: readonly string[];
}

export interface RecordedStack {
  readonly name: string;
  readonly nodes: readonly RecordedNode[];
  readonly acceptance?: AcceptanceOutputs;
  readonly etcd?: EtcdClusterOutputs;
  /** Texts that must not be shown, wherever a host may say them. */
  readonly secrets: readonly string[];
}

export async function recordedStack(stack: string | undefined): Promise<RecordedStack> {
  return stackIn(await recordedState(stack, true));
}

/** @throws when the state has no nodes: the stack was never brought up. */
export function stackIn(resources: readonly RecordedResource[]): RecordedStack {
  const all = (type: string) => resources.filter((resource) => resource.type?.endsWith(`:${type}`));
  const of = <T>(type: string): T[] =>
    all(type).map(({ inputs, outputs }) => unwrapped({ ...inputs, ...outputs }) as T);
  // As it is wanted: a refresh records of a unit what it has found.
  const recordedParts = all("NodeFilesPart").map(({ inputs, outputs }) => ({
    wanted: unwrapped({ ...outputs, ...inputs }) as NodeFilesInputs,
    found: unwrapped({ ...outputs }) as NodeFilesInputs,
  }));
  const parts = recordedParts.map(({ wanted }) => wanted);
  const disks = of<DataDiskOutputs>("DataDisk");
  const nodes = of<Member>("SwarmMember").map(({ node, connection, role, advertiseAddr }) => ({
    name: node,
    connection,
    role,
    address: advertiseAddr,
    units: unitsOf(node, parts, disks),
    outdated: recordedParts
      .filter(({ wanted, found }) => wanted.connection.node === node && !equal(wanted.files, found.files))
      .map(({ wanted }) => wanted.part),
  }));
  const name = /^urn:pulumi:([^:]+)::/.exec(resources[0]?.urn ?? "")?.[1] ?? "";
  if (nodes.length === 0) {
    throw new Error(`stack ${name || "at hand"} has no nodes in its state: run \`pulumi up\` first`);
  }
  const [acceptance] = of<AcceptanceOutputs>("AcceptanceChecks");
  const [etcd] = of<EtcdClusterOutputs>("EtcdCluster");
  const secrets = [
    ...new Set(secretsIn(resources.map(({ inputs, outputs }) => unwrapped({ ...inputs, ...outputs })))),
  ];
  nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { name, nodes, acceptance, etcd, secrets };
}

interface Member {
  readonly node: string;
  readonly connection: Connection;
  readonly role: "manager" | "worker";
  readonly advertiseAddr: string;
}

function unitsOf(
  node: string,
  parts: readonly NodeFilesInputs[],
  disks: readonly DataDiskOutputs[],
): string[] {
  const mounts = disks.some(({ connection }) => connection.node === node) ? [DATA_UNIT] : [];
  const units = parts
    .filter((part) => part.connection.node === node)
    .flatMap((part) => Object.entries(part.units).filter(([, unit]) => unit.enabled === true))
    .map(([name]) => name);
  return [...new Set(["docker.service", ...mounts, ...units])];
}

const secretKey = /(password|passphrase|privateKey\w*|clientKey|secretKey|unlockKey|bcryptHash|result)$/i;

function secretsIn(value: unknown, key = ""): string[] {
  if (typeof value === "string") return secretKey.test(key) && value.length >= 8 ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item) => secretsIn(item, key));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => secretsIn(item, name));
}
