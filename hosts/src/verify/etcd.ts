/** The cluster of etcd: health, members, what they send each other, a put and a get by both ways in. */
import { randomBytes } from "node:crypto";
import type { EtcdClusterOutputs } from "../contract";
import { HostError, lastLines, reasonOf } from "../errors";
import type { EtcdClient, Listed, MemberStatus } from "../etcd/client";
import { clientOf } from "../etcd/look";
import { ETCD_CONTAINER } from "../rendered";
import { brief } from "../ssh/connect";
import { exec } from "../ssh/exec";
import { asked, attempt, firstThat } from "./attempt";
import type { Check, EtcdMemberRow, SendRow } from "./report";

const KEY_PREFIX = "moorage/verify/";

export interface EtcdFindings {
  readonly checks: readonly Check[];
  readonly members: readonly EtcdMemberRow[];
}

export async function verifyEtcd(etcd: EtcdClusterOutputs): Promise<EtcdFindings> {
  const nodes = Object.keys(etcd.members);
  const healthy = await Promise.all(nodes.map((node) => asked(() => clientOf(etcd, node).healthy())));
  const serving = nodes.filter((_node, index) => healthy[index] === undefined);
  const [endpoint, ctl, gateway, listed] = await Promise.all([
    attempt("endpoint health --cluster", () => endpointHealth(etcd, serving)),
    checkKeys("put and get by etcdctl", byCtl(etcd), serving),
    checkKeys("put and get over HTTP", byGateway(etcd), serving),
    members(etcd, serving),
  ]);
  return { checks: [endpoint, quorum(etcd, nodes, healthy, listed), ctl, gateway], members: listed };
}

function quorum(
  { members: wanted }: EtcdClusterOutputs,
  nodes: readonly string[],
  healthy: readonly (string | undefined)[],
  listed: readonly EtcdMemberRow[],
): Check {
  const troubles = nodes.flatMap((node, index) =>
    healthy[index] === undefined ? [] : [`${node}: ${healthy[index]}`],
  );
  const missing = nodes.filter((node) => !listed.some(({ name }) => name === node));
  const strangers = listed.filter(({ name }) => wanted[name] === undefined).map(({ id, name }) => name || id);
  const leader = listed.find((member) => member.leader);
  const found = `${nodes.length - troubles.length} of ${nodes.length} members serve`;
  const told = [
    ...troubles,
    ...(listed.length > 0 && missing.length > 0 ? [`not in the cluster: ${missing.join(", ")}`] : []),
    ...(strangers.length > 0
      ? [`in the cluster, but not in the configuration: ${strangers.join(", ")}`]
      : []),
    ...(listed.length === 0 ? ["no quorum"] : leader ? [] : ["no leader"]),
  ];
  const green = told.length === 0;
  const detail = green ? `${found}, ${leader?.name ?? ""} leads` : found;
  return { name: "members", green, detail, ...(green ? {} : { more: told }) };
}

interface Health {
  readonly endpoint: string;
  readonly health: boolean;
  readonly took: string;
  readonly error?: string;
}

/** etcdctl's own check of every member from one of them. */
async function endpointHealth(etcd: EtcdClusterOutputs, serving: readonly string[]): Promise<Check> {
  const name = "endpoint health --cluster";
  return firstThat(serving, "no member serves", async (node) => {
    const { stdout, stderr, code } = await ctl(
      etcd,
      node,
      ["endpoint", "health", "--cluster", "-w", "json"],
      [0, 1],
    );
    const found = parsedHealth(stdout);
    if (!found) throw new HostError(node, `etcdctl ended with exit code ${code}: ${lastLines(stderr, 2)}`);
    const red = found.filter(({ health }) => !health);
    const more = red.map(({ endpoint, error = "unhealthy" }) => `${endpoint}: ${error}`);
    const times = found.map(({ endpoint, took }) => `${endpoint} ${took}`).join(", ");
    return red.length === 0
      ? { name, green: true, detail: `asked on ${node}: ${times}` }
      : { name, green: false, detail: `asked on ${node}: ${red.length} of ${found.length} unhealthy`, more };
  });
}

function parsedHealth(text: string): Health[] | undefined {
  try {
    return JSON.parse(text) as Health[];
  } catch {
    return undefined;
  }
}

/** `docker exec` passes the container's settings on, so that nothing secret is on a command line. */
function ctl(etcd: EtcdClusterOutputs, node: string, argv: readonly string[], accept = [0]) {
  const member = etcd.members[node];
  if (!member) throw new Error(`${node} is no member of etcd`);
  return exec(member.connection, ["docker", "exec", ETCD_CONTAINER, "etcdctl", ...argv], {
    sudo: true,
    accept,
    timeoutSeconds: 20,
    patience: brief,
    purpose: `etcdctl ${argv.slice(0, 2).join(" ")}`,
  });
}

/** One way to etcd's keys, by a node's own member. */
interface Way {
  readonly put: (node: string, key: string, value: string) => Promise<unknown>;
  readonly get: (node: string, key: string) => Promise<string | undefined>;
  readonly remove: (node: string, key: string) => Promise<unknown>;
}

const byCtl = (etcd: EtcdClusterOutputs): Way => ({
  put: (node, key, value) => ctl(etcd, node, ["put", key, value]),
  get: async (node, key) => (await ctl(etcd, node, ["get", key, "--print-value-only"])).stdout.trim(),
  remove: (node, key) => ctl(etcd, node, ["del", key]),
});

const byGateway = (etcd: EtcdClusterOutputs): Way => ({
  put: (node, key, value) => clientOf(etcd, node).put(key, value),
  get: (node, key) => clientOf(etcd, node).get(key),
  remove: (node, key) => clientOf(etcd, node).delete(key),
});

const checkKeys = (name: string, way: Way, serving: readonly string[]): Promise<Check> =>
  attempt(name, () => putAndGet(name, way, serving));

/** Puts a key on one member, and gets it on another. One key serves all tries, so that the last one removes it. */
async function putAndGet(name: string, way: Way, serving: readonly string[]): Promise<Check> {
  const [key, value] = [`${KEY_PREFIX}${randomBytes(6).toString("hex")}`, randomBytes(6).toString("hex")];
  return firstThat(serving, "no member serves", async (node) => {
    const started = Date.now();
    const others = serving.filter((each) => each !== node);
    const [other = node] = others;
    const failure = await failureOf(async () => {
      await way.put(node, key, value);
      if ((await way.get(other, key)) !== value)
        throw new HostError(other, `put on ${node}, it is not what ${other} gives back`);
    });
    // The member it was put on may be gone meanwhile.
    const left = await failureOf(() => firstThat([node, ...others], "", (each) => way.remove(each, key)));
    if (failure && left) throw new HostError(node, `${reasonOf(failure, node)}; ${key} may be left there`);
    if (failure) throw failure;
    const trip = `put on ${node}, got on ${other}`;
    if (!left) return { name, green: true, detail: `${trip}, removed, in ${Date.now() - started} ms` };
    const [why = "", ...said] = reasonOf(left, left.node).split("\n");
    const remedy = `remove it: docker exec ${ETCD_CONTAINER} etcdctl del ${key}`;
    return { name, green: false, detail: `${trip}, and not removed: ${why}`, more: [...said, remedy] };
  });
}

async function failureOf(work: () => Promise<unknown>): Promise<HostError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
}

async function members(etcd: EtcdClusterOutputs, serving: readonly string[]): Promise<EtcdMemberRow[]> {
  const listed = await firstThat(serving, "", (node) => clientOf(etcd, node).members()).catch(() => []);
  const names = new Map(listed.map(({ id, name }) => [id, name]));
  const rows = listed.map(async (member) => memberRow(member, names, clientFor(etcd, member, serving)));
  return (await Promise.all(rows)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function clientFor(
  etcd: EtcdClusterOutputs,
  { name }: Listed,
  serving: readonly string[],
): EtcdClient | undefined {
  return serving.includes(name) ? clientOf(etcd, name) : undefined;
}

async function memberRow(
  { id, name, peerUrls, clientUrls }: Listed,
  names: ReadonlyMap<string, string>,
  client: EtcdClient | undefined,
): Promise<EtcdMemberRow> {
  const listed = { id, name, peerUrls, clientUrls };
  try {
    const [status, metrics] = await Promise.all([client?.status(), client?.metrics()]);
    const sends = parseSends(metrics ?? "", names);
    return { ...listed, leader: status?.leader === id, ...standing(status), sends };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { ...listed, leader: false, sends: [] };
  }
}

function standing(status: MemberStatus | undefined) {
  if (!status) return {};
  const { version, dbSize, raftTerm, raftIndex } = status;
  return { version, dbBytes: dbSize, raftTerm, raftIndex };
}

/** What a member has sent to each other one since it started, from what it counts. */
export function parseSends(metrics: string, names: ReadonlyMap<string, string>): SendRow[] {
  const sums = (metric: string) => {
    const found = new Map<string, number>();
    for (const [, to = "", value] of metrics.matchAll(
      new RegExp(`^${metric}\\{To="([0-9a-f]+)"\\} (\\S+)$`, "gm"),
    )) {
      found.set(to, Number(value));
    }
    return found;
  };
  const bytes = sums("etcd_network_peer_sent_bytes_total");
  const failures = sums("etcd_network_peer_sent_failures_total");
  const seconds = sums("etcd_network_peer_round_trip_time_seconds_sum");
  const counts = sums("etcd_network_peer_round_trip_time_seconds_count");
  const rows = [...names.keys()].filter((id) => bytes.has(id) || failures.has(id) || counts.has(id));
  return rows.map((id) => {
    const count = counts.get(id) ?? 0;
    const latency = count > 0 ? { latencyMs: ((seconds.get(id) ?? 0) / count) * 1000 } : {};
    return {
      to: names.get(id) || id,
      ...latency,
      sentBytes: bytes.get(id) ?? 0,
      failed: failures.get(id) ?? 0,
    };
  });
}
