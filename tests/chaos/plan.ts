/** What is done to which node, in which order. */
import { faults, type Fault, type FaultName } from "../../lab/faults";
import type { ProgramName } from "../../lab/faults/processes";

/** What a node is, besides being a node. */
export const roles = ["holder", "leader", "minio", "registry", "etcd"] as const;
export type Role = (typeof roles)[number];

export const roleNames: Readonly<Record<Role, string>> = {
  holder: "the VIP's holder",
  leader: "Swarm's leader",
  minio: "MinIO node",
  registry: "registry replica",
  etcd: "etcd member",
};

/** What mends a fault that the lab does not take back, and its host does not mend by itself. */
export type Remedy = "heal" | "up";

export interface Step {
  readonly fault: FaultName;
  readonly choice?: string;
  readonly role: Role;
  /** How many nodes of the role at once. @default 1 */
  readonly count?: number;
  /** Of several nodes, those to be hurt first; the VIP's holder is the last of them. @default those of the role */
  readonly among?: "managers";
  readonly remedy?: Remedy;
  /**
   * What the registry refuses while it lasts: a push, or a pull too. In `silence` nobody has to be there to refuse
   * anything, and whoever is refuses.
   * @default both work
   */
  readonly refuses?: "pushes" | "everything" | "silence";
}

/** By when a registry that lacks a quorum has to refuse, in seconds: docs/decisions/0013. */
export const REFUSAL_SECONDS = 35;
/** How long it has to go on refusing, at least. */
const REFUSED_SECONDS = 10;

/** How long a fault is looked at before it is taken back, or mended, in seconds. */
export function holdSeconds(step: Step): number {
  if (step.refuses !== undefined) return REFUSAL_SECONDS + REFUSED_SECONDS;
  return isTakenBack(step) ? 25 : 8;
}

const programs: [Role, ProgramName][] = [
  ["holder", "keepalived"],
  ["holder", "nginx"],
  ["leader", "docker"],
  ["minio", "minio"],
  ["registry", "registry"],
  ["registry", "s3"],
  ["etcd", "etcd"],
];

const forHosts: FaultName[] = ["power", "freeze-host", "drop-in", "drop-out", "drop", "cut-off"];
const forDisks: FaultName[] = ["slow-disk", "full-disk", "read-only-disk"];

/**
 * One at a time, every fault for every role; then what more than one node has at once; last, hosts that are lost. A node
 * has several roles, so that a few of the steps cover all (`isCovered`).
 */
export function fullPlan(): Step[] {
  const each = (names: readonly FaultName[], more: Partial<Step> = {}): Step[] =>
    names.flatMap((fault) => roles.map((role) => ({ fault, role, ...more })));
  const processes = (["kill", "freeze"] as const).flatMap((fault) =>
    programs.map(([role, choice]) => ({ fault, role, choice })),
  );
  return [
    // Every byte is read, or a drive filled: that takes longer with each row that has pushed something.
    ...each(["corrupt"], { choice: "minio", remedy: "heal" }),
    ...each(["wipe"], { choice: "minio" }),
    ...each(forHosts),
    ...processes,
    // Docker that is started again ends all containers that it finds, keepalived's and nginx's, too.
    { fault: "kill", role: "holder", choice: "docker" },
    ...each(forDisks),
    { fault: "corrupt", choice: "etcd", role: "etcd", remedy: "up" },
    { fault: "wipe", choice: "etcd", role: "etcd", remedy: "up" },
    { fault: "freeze", choice: "minio", role: "minio", count: 2, refuses: "pushes" },
    // Swarm's quorum goes with them, and etcd's.
    { fault: "power", role: "minio", count: 2, among: "managers", refuses: "pushes" },
    { fault: "freeze", choice: "minio", role: "minio", count: 3, refuses: "everything" },
    // The one that is left sees nobody, and gives the VIP up.
    { fault: "power", role: "minio", count: 3, refuses: "silence" },
    ...each(["lose"], { remedy: "up" }),
    { fault: "power", role: "holder", count: 4, refuses: "silence" },
  ];
}

export function titleOf({ fault, choice, count = 1 }: Step): string {
  return [fault, choice, count > 1 ? `×${count}` : ""].filter(Boolean).join(" ");
}

export const nameOf = (step: Step): string => `${titleOf(step)}: ${roleNames[step.role]}`;

/** Steps whose name has one of the texts in it (`power`, `drop: Swarm's leader`), in the order of the texts. */
export function chosen(plan: readonly Step[], texts: string): Step[] {
  const wanted = texts.split(",").map((one) => one.trim());
  return [...new Set(wanted.flatMap((text) => plan.filter((step) => nameOf(step).includes(text))))];
}

/** Who is what, at the moment. */
export interface Cast {
  readonly nodes: readonly string[];
  readonly managers: readonly string[];
  readonly holder: string;
  readonly leader: string;
}

/** The nodes a step hurts: for roles that several have, those that have no other one, as far as there are any. */
export function nodesFor(
  { role, count = 1, among }: Step,
  { nodes, managers, holder, leader }: Cast,
): string[] {
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
        // The worker goes first where it is one alone.
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

/**
 * Whether a step is to be done to Swarm's leader where that has not got the VIP: with Docker its front and keepalived
 * would go, which is the row of the VIP's holder.
 */
export const wantsPlainLeader = ({ fault, choice, role }: Step): boolean =>
  fault === "kill" && choice === "docker" && role === "leader";

/** Whether a step hurts one program of a node, and the node's other roles not at all. */
const isOfOneProgram = ({ fault, choice }: Step): boolean =>
  fault === "kill" || fault === "freeze" || choice === "etcd";

/** All roles that a step hurts when it hurts these nodes. */
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

/** A step that was done, and the roles that it hurt. */
export interface Covering {
  readonly step: Step;
  readonly roles: readonly Role[];
}

/** Whether the same fault has been done to a node of the step's role, in whatever step that was. */
export const isCovered = (step: Step, done: readonly Covering[]): boolean =>
  done.some((one) => titleOf(one.step) === titleOf(step) && one.roles.includes(step.role));

/** Whether the lab takes the step's fault back. */
export const isTakenBack = ({ fault }: Step): boolean => (faults[fault] as Fault).end !== undefined;
