/** What a verification finds: plain values, the same for the terminal and for other programs. */

export interface Check {
  readonly name: string;
  readonly green: boolean;
  /** What was found; for a red one, the reason. */
  readonly detail: string;
  /** For a red one: what the host itself says, line by line, and the command for more. */
  readonly more?: readonly string[];
}

export interface NodeReport {
  readonly address: string;
  readonly role: "manager" | "worker";
  readonly checks: readonly Check[];
}

/** A member of etcd; sends are the leader's to the others, and those of the others to it. */
export interface EtcdMemberRow {
  readonly id: string;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly leader: boolean;
  readonly version?: string;
  readonly dbBytes?: number;
  readonly raftTerm?: number;
  readonly raftIndex?: number;
  readonly sends: readonly SendRow[];
}

/** What a member sent to another one. */
export interface SendRow {
  readonly to: string;
  /** Average there and back, in milliseconds; absent before the first measurement. */
  readonly latencyMs?: number;
  readonly sentBytes: number;
  readonly failed: number;
}

/** A node as the Swarm lists it. */
export interface SwarmRow {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly role: string;
  readonly leader: boolean;
  readonly availability: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The overlay network as one node sees it. */
export interface OverlayRow {
  readonly node: string;
  readonly id: string;
  readonly subnet: string;
  readonly encrypted: boolean;
  readonly peers: readonly string[];
  /** Container name to its address. */
  readonly containers: Readonly<Record<string, string>>;
}

export interface Report {
  readonly stack: string;
  /** When it began, in ISO 8601. */
  readonly at: string;
  readonly seconds: number;
  readonly green: boolean;
  readonly nodes: Readonly<Record<string, NodeReport>>;
  /** Checks of what spans nodes, by subject. */
  readonly subjects: Readonly<Record<string, readonly Check[]>>;
  readonly etcdMembers: readonly EtcdMemberRow[];
  readonly swarmNodes: readonly SwarmRow[];
  readonly overlay: readonly OverlayRow[];
}

/** All checks, each with where it belongs. */
export function checksOf({
  nodes,
  subjects,
}: Pick<Report, "nodes" | "subjects">): readonly (readonly [string, Check])[] {
  return [
    ...Object.entries(nodes).flatMap(([node, { checks }]) => checks.map((check) => [node, check] as const)),
    ...Object.entries(subjects).flatMap(([name, checks]) => checks.map((check) => [name, check] as const)),
  ];
}
