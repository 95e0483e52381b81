/** The members as their nodes and the cluster itself show them. */
import type { EtcdClusterInputs, EtcdMember } from "../contract";
import { HostError, reasonOf } from "../errors";
import { brief } from "../ssh/connect";
import { exec } from "../ssh/exec";
import { EtcdClient, type Listed } from "./client";

/** What a node says of its member. */
export interface Facts {
  readonly data: boolean | undefined;
  /** How it was admitted, until that is settled: `new`, `existing` or nothing. */
  readonly initial: string;
  /** Whether its unit runs, in systemd's word. */
  readonly active: string;
  /** It runs with other settings than those in place. */
  readonly stale: boolean;
  /** Where it was told to serve its clients when it was started; nothing where an older script started it. */
  readonly clientUrl?: string;
  /** Its last lines in the journal. */
  readonly journal: readonly string[];
  /** What it ends with whenever it is started, where that says that it cannot read its data. */
  readonly broken?: string;
}

export interface Seen {
  readonly node: string;
  readonly peerUrl: string;
  /** Absent where the node could not be asked, for the reason `why`. */
  readonly facts?: Facts;
  /** Where it is asked, until it has been restarted with its new settings. */
  readonly formerUrl?: string;
  readonly healthy: boolean;
  /** Why it is not healthy, or could not be asked. */
  readonly why: string;
}

export interface View {
  readonly members: readonly Seen[];
  /** Absent while there is no quorum to answer. */
  readonly listed?: readonly Listed[];
}

/** So often it was started again, and ended at once, before its data are taken for the reason. */
const STARTS_IN_VAIN = 3;

/**
 * What etcd says of data that it cannot read, seen with etcd 3.5. It ends for other reasons too (a full disk, a port in
 * use, an address that is not there): those another member's data would not mend.
 */
const unreadable =
  /crc mismatch|proto: |unexpected EOF|failed to unmarshal|failed to open database|invalid database|failed to recover v3 backend|failed to find database snapshot|failed to read WAL|wal: |walpb: |snap: |assertion failed: Page|invalid page|page \d+|freelist|freepages|cannot use none as id|raft log corrupted|runtime error|fatal error: fault/i;
const outsideItsData = /no space left|read-only file system|input\/output error|permission denied/i;

export function brokenBy(restarts: number, ended: string): string | undefined {
  if (!(restarts >= STARTS_IN_VAIN) || !unreadable.test(ended) || outsideItsData.test(ended))
    return undefined;
  const [, message, , error] = /"msg":"([^"]*)"(.*?"error":"([^"]*)")?/.exec(ended) ?? [];
  return message === undefined ? ended : [message, error].filter((text) => text).join(": ");
}

export function parseFacts(output: string): Facts | undefined {
  const lines = output.split("\n");
  const all = (key: string) =>
    lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
  const one = (key: string) => all(key)[0] ?? "";
  if (one("end") !== "yes") return undefined;
  const data = one("data");
  const clientUrl = one("client");
  const broken = brokenBy(Number(one("restarts")), one("ended"));
  return {
    data: data === "yes" ? true : data === "no" ? false : undefined,
    initial: one("initial"),
    active: one("active"),
    stale: one("stale") === "yes",
    journal: all("journal").filter((line) => line.trim() !== ""),
    ...(clientUrl !== "" && { clientUrl }),
    ...(broken !== undefined && { broken }),
  };
}

/** What a node says of its member; throws a HostError where it cannot be asked. */
export async function lookAtNode({ connection }: EtcdMember, script: string): Promise<Facts> {
  const { stdout } = await exec(connection, ["sh", script, "look"], {
    sudo: true,
    timeoutSeconds: 20,
    purpose: "looking at etcd's member",
    patience: brief,
  });
  const facts = parseFacts(stdout);
  if (facts) return facts;
  throw new HostError(connection.node, "the node did not finish looking at etcd's member");
}

type Asked = Pick<
  EtcdClusterInputs,
  "members" | "script" | "caCertificate" | "clientCertificate" | "clientKey"
>;

/** @param formerUrl of a member that is yet to be restarted with its new settings */
export function clientOf(inputs: Asked, node: string, formerUrl?: string): EtcdClient {
  const member = inputs.members[node];
  if (!member) throw new Error(`${node} is no member of etcd`);
  if (formerUrl === undefined) return new EtcdClient(member.connection, member.clientUrl, inputs);
  // Its certificate is the new one already, which need not be for that address.
  return new EtcdClient(member.connection, formerUrl, inputs, node);
}

/** All nodes and members at once. Nodes are asked first: what the cluster lists is then newer than what they say. */
export async function lookAtCluster(inputs: Asked): Promise<View> {
  const asked = await Promise.all(
    Object.entries(inputs.members).map(async ([node, member]) => {
      const facts = await said(() => lookAtNode(member, inputs.script));
      if (typeof facts === "string") return { node, peerUrl: member.peerUrl, healthy: false, why: facts };
      const { clientUrl = member.clientUrl, stale } = facts;
      const formerUrl = stale && clientUrl !== member.clientUrl ? clientUrl : undefined;
      const health = facts.data
        ? await said(() => clientOf(inputs, node, formerUrl).healthy())
        : noData(facts);
      const healthy = typeof health !== "string";
      return { node, peerUrl: member.peerUrl, facts, formerUrl, healthy, why: healthy ? "" : health };
    }),
  );
  const serving = asked.filter(({ healthy }) => healthy);
  for (const { node, formerUrl } of serving) {
    const listed = await said(() => clientOf(inputs, node, formerUrl).members());
    if (typeof listed !== "string") return { members: asked, listed };
  }
  return { members: asked };
}

function noData({ data, initial }: Facts): string {
  if (data === undefined) return "its data disk is not mounted";
  return initial === "" ? "it has no data" : "it has no data yet";
}

/** The answer, or why there is none. */
async function said<T extends object | void>(ask: () => Promise<T>): Promise<T | string> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return reasonOf(error, error.node).split("\n")[0] ?? "";
  }
}
