/** The table of faults × roles. */
import { faults, type Fault, type FaultName } from "../../../lab/faults";
import type { ProgramName } from "../../../lab/faults/processes";

/** What a node is besides a node. */
export const roles = ["holder", "leader", "minio", "registry", "etcd"] as const;
export type Role = (typeof roles)[number];

export const roleNames: Readonly<Record<Role, string>> = {
  holder: "the VIP's holder",
  leader: "Swarm's leader",
  minio: "MinIO node",
  registry: "registry replica",
  etcd: "etcd member",
};

/** Repairs a fault that neither the lab nor the cluster takes back. */
export type Remedy = "heal" | "up";

export interface Step {
  readonly fault: FaultName;
  readonly choice?: string;
  readonly role: Role;
  /** Nodes hurt at once. @default 1 */
  readonly count?: number;
  /** Of several nodes, those to hurt first; the VIP's holder is the last of them. @default those of the role */
  readonly among?: "managers";
  readonly remedy?: Remedy;
  /** The read quorum is gone while the fault lasts: pulls cannot succeed. @default false */
  readonly noPulls?: boolean;
}

const programs: [Role, ProgramName][] = [
  ["holder", "keepalived"],
  ["holder", "nginx"],
  ["leader", "docker"],
  ["minio", "minio"],
  ["registry", "registry"],
  ["registry", "haproxy"],
  ["etcd", "etcd"],
];

const forHosts: FaultName[] = ["power", "freeze-host", "drop-in", "drop-out", "drop", "cut-off"];
const forDisks: FaultName[] = ["slow-disk", "full-disk", "read-only-disk"];

/** Every fault for every role, then faults of several nodes. One row often covers several roles (`isCovered`). */
export function fullPlan(): Step[] {
  const each = (names: readonly FaultName[], more: Partial<Step> = {}): Step[] =>
    names.flatMap((fault) => roles.map((role) => ({ fault, role, ...more })));
  const ofPrograms = (["kill", "freeze"] as const).flatMap((fault) =>
    programs.map(([role, choice]) => ({ fault, role, choice })),
  );
  return [
    ...each(["corrupt"], { choice: "minio", remedy: "heal" }),
    ...each(["wipe"], { choice: "minio" }),
    ...each(forHosts),
    ...ofPrograms,
    { fault: "kill", role: "holder", choice: "docker" },
    ...each(forDisks),
    { fault: "corrupt", choice: "etcd", role: "etcd", remedy: "up" },
    { fault: "wipe", choice: "etcd", role: "etcd", remedy: "up" },
    { fault: "freeze", choice: "minio", role: "minio", count: 2 },
    // The quorums of Swarm and etcd go with them.
    { fault: "power", role: "minio", count: 2, among: "managers" },
    { fault: "freeze", choice: "minio", role: "minio", count: 3, noPulls: true },
    { fault: "power", role: "minio", count: 3, noPulls: true },
    ...each(["lose"], { remedy: "up" }),
    { fault: "power", role: "holder", count: 4, noPulls: true },
  ];
}

export function titleOf({ fault, choice, count = 1 }: Step): string {
  return [fault, choice, count > 1 ? `×${count}` : ""].filter(Boolean).join(" ");
}

export const nameOf = (step: Step): string => `${titleOf(step)}: ${roleNames[step.role]}`;

/** Whether the lab takes the fault back. */
export const isTakenBack = ({ fault }: Step): boolean => (faults[fault] as Fault).end !== undefined;

/** Which node is what at the moment. */
export interface Cast {
  readonly nodes: readonly string[];
  readonly managers: readonly string[];
  readonly holder: string;
  readonly leader: string;
}

/** The nodes a step hurts. If several nodes have the role, those without other roles come first. */
export function nodesFor({ role, count = 1, among }: Step, cast: Cast): string[] {
  const { nodes, managers, holder, leader } = cast;
  const first = ((): readonly string[] => {
    if (among === "managers") return managers;
    switch (role) {
      case "holder":
        return [holder];
      case "leader":
        return [leader];
      case "etcd":
        return managers;
      case "minio":
        // The worker goes first if it is the only one.
        return count > 1 ? nodes : [...nodes].reverse();
      case "registry":
        return nodes;
      default:
        return role satisfies never;
    }
  })();
  const busy = (node: string): number => (node === holder ? 2 : node === leader ? 1 : 0);
  const ordered = [...first].sort((one, other) => busy(one) - busy(other));
  return [...new Set([...ordered, ...nodes])].slice(0, count);
}

/** A Docker daemon that starts again ends all containers it finds, keepalived and nginx too. */
const endsContainers = ({ fault, choice }: Step): boolean => fault === "kill" && choice === "docker";

/** Whether a step hurts one program of a node, and not the node's other roles. */
const isOfOneProgram = (step: Step): boolean =>
  !endsContainers(step) && (step.fault === "kill" || step.fault === "freeze" || step.choice === "etcd");

/** All roles that a step hurts on these nodes. */
export function rolesHurt(step: Step, hurt: readonly string[], cast: Cast): Role[] {
  if (isOfOneProgram(step)) return [step.role];
  const has: Readonly<Record<Role, (node: string) => boolean>> = {
    holder: (node) => node === cast.holder,
    leader: (node) => node === cast.leader,
    minio: () => true,
    registry: () => true,
    etcd: (node) => cast.managers.includes(node),
  };
  return roles.filter((role) => hurt.some(has[role]));
}

/** A fault that was done, and the roles that it hurt. */
export interface Covering {
  readonly fault: string;
  readonly roles: readonly string[];
}

/** Whether the same fault was done to a node of the step's role in another row. */
export const isCovered = (step: Step, done: readonly Covering[]): boolean =>
  done.some((one) => one.fault === titleOf(step) && one.roles.includes(step.role));
