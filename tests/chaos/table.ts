/** The table of figures, as a page of the documentation. */
import { brokenBetween, brokenBounds, type Between, type Row } from "./bounds";
import { brokenChange, type ChangeRow } from "./changeRow";
import type { Found } from "./kept";
import type { Counts } from "./measure";
import { nameOf, roleNames, titleOf, type Step } from "./plan";

export interface Page extends Found {
  /** When and where: `4 nodes on 2 cores, 2026-11-25`. */
  readonly where: string;
  /** Steps of the plan that this run left out, and names of changes. */
  readonly left: readonly Step[];
  readonly leftChanges: readonly string[];
}

const HEAD = [
  "fault",
  "node's roles",
  "pushes: all, failed before and after retries",
  "pulls: the same",
  "longest gap",
  "slowest first byte from 3 s on",
  "the same on return",
  "two holders",
  "lost",
  "refused after",
  "full strength",
  "why not at the first try",
  "bounds",
];

const NONE = "-";
const counts = ({ all, before, after }: Counts): string => `${all}, ${before}, ${after}`;
const time = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : "no answer");

export function cellsOf(row: Row): string[] {
  const { step, roles, refusedSeconds, strengthSeconds, command, lost } = row;
  const strength = strengthSeconds === undefined ? "no" : `${Math.round(strengthSeconds)} s`;
  const broken = brokenBounds(row);
  return [
    titleOf(step),
    (step.count ?? 1) === 4 ? "all" : roles.map((role) => roleNames[role]).join(", "),
    counts(row.pushes),
    counts(row.pulls),
    time(row.gapMs),
    time(row.slowestMs),
    time(row.slowestAfterMs),
    `${row.secondsOfTwo} s`,
    String(lost.length),
    refusedSeconds === undefined ? NONE : `${refusedSeconds.toFixed(1)} s`,
    command === undefined ? strength : `${strength}, by ${command}`,
    row.reasons.join("; ") || NONE,
    broken.length === 0 ? "kept" : broken.join("; "),
  ].map(plain);
}

/** What was under way while nothing was hurt or changed, as the last row of the faults. */
export function betweenCells(between: Between): string[] {
  const { pushes, pulls, reasons } = between;
  const broken = brokenBetween(between);
  const figures = HEAD.slice(4, -2).map(() => NONE);
  return [
    "between faults",
    NONE,
    counts(pushes),
    counts(pulls),
    ...figures,
    reasons.join("; ") || NONE,
    broken.length === 0 ? "kept" : broken.join("; "),
  ].map(plain);
}

const CHANGE_HEAD = [
  "change",
  "pushes: all, failed before and after retries",
  "pulls: the same",
  "new connections: all, without success",
  "longest gap",
  "slowest first byte",
  "two holders",
  "lost",
  "update",
  "why not at the first try",
  "bounds",
];

export function changeCells(row: ChangeRow): string[] {
  const broken = brokenChange(row);
  return [
    row.name,
    counts(row.pushes),
    counts(row.pulls),
    `${row.probes.all}, ${row.probes.unanswered}`,
    time(row.gapMs),
    time(row.slowestMs),
    `${row.secondsOfTwo} s`,
    String(row.lost.length),
    row.pauseSeconds === undefined
      ? `${Math.round(row.seconds)} s`
      : `${Math.round(row.seconds)} s, no push accepted for ${row.pauseSeconds.toFixed(1)} s`,
    row.reasons.join("; ") || NONE,
    broken.length === 0 ? "kept" : broken.join("; "),
  ].map(plain);
}

const plain = (cell: string): string => cell.replaceAll("|", "\\|").replaceAll("\n", " ");

const lineOf = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const named = (head: readonly string[], cells: readonly string[]): string =>
  cells.map((cell, index) => `${head[index]}: ${cell}`).join(" · ");

/** One row for a terminal. */
export const rowText = (row: Row): string => named(HEAD, cellsOf(row));
export const changeText = (row: ChangeRow): string => named(CHANGE_HEAD, changeCells(row));

const tableOf = (head: readonly string[], rows: readonly string[][]): string[] => [
  lineOf(head),
  lineOf(head.map(() => "---")),
  ...rows.map(lineOf),
];

/** How many rows there are with a bound that was not kept. */
export const brokenRows = ({ rows, changes, between }: Found): number =>
  [...rows.map(brokenBounds), ...changes.map(brokenChange), brokenBetween(between)].filter(
    (broken) => broken.length > 0,
  ).length;

export function page(found: Page): string {
  const { where, rows, changes, notRun, between, left, leftChanges, acknowledged } = found;
  const broken = brokenRows(found);
  const mebibytes = Math.round(acknowledged.bytes / 1024 ** 2);
  const summary = [
    `${where}. ${rows.length} faults, ${changes.length} changes; ${acknowledged.count} pushes were acknowledged (${mebibytes} MiB).`,
    broken === 0
      ? "Every bound was kept."
      : `In ${broken} of them a bound was not kept: the last column says which.`,
    left.length > 0 ? `Not in this run: ${left.length} of the plan's faults.` : "",
    leftChanges.length > 0 ? `Not in this run: ${leftChanges.length} of its changes.` : "",
  ];
  return `${[
    "# Reliability",
    "",
    INTRODUCTION,
    "",
    summary.filter(Boolean).join(" "),
    "",
    "## Faults",
    "",
    ...tableOf(HEAD, [...rows.map(cellsOf), betweenCells(between)]),
    "",
    BOUNDS,
    ...notRun.flatMap(({ step, because }) => ["", `Not run: ${nameOf(step)}, because ${because}.`]),
    ...(left.length > 0
      ? ["", `Left out: ${left.map((step) => `${titleOf(step)} (${step.role})`).join(", ")}.`]
      : []),
    "",
    "## Changes",
    "",
    CHANGES,
    "",
    ...tableOf(CHANGE_HEAD, changes.map(changeCells)),
    ...(leftChanges.length > 0 ? ["", `Left out: ${leftChanges.join(", ")}.`] : []),
  ].join("\n")}\n`;
}

const INTRODUCTION = `Written by \`make chaos\`, which hurts the nodes of a lab one at a time while clients push and pull. Two clients run
\`skopeo\` through the VIP, two copies at once each, a quarter of them pushes, layers of 4 KiB to 64 MiB; it tries again
three times by itself. Once 192 MiB were acknowledged, new images are small, and every second push is a former large one to
another repository: its layers are sent again, and stored once. After 250 acknowledged pushes all four pause for longer, and go
on together when a fault begins. Beside that one client asks \`GET /v2/\` and a manifest in turn, six times a second, on a new
connection each. After every fault all that was ever acknowledged is read back by tag and by digest, and compared. A node has
several roles: a fault is done to the VIP's holder, then to Swarm's leader where that is another node, until each role has had it.`;

const CHANGES = `Each is one \`pulumi up\` with one thing changed, while the same load runs. Bounds: nothing acknowledged is lost;
no pull fails after the client's own retries, and no push for a reason that is not understood; \`GET /v2/\` through the VIP is
never without an answer for 2 s; nobody is refused, no registry by its store where its key is another one, and no connection where
nginx is started anew; two nodes have the VIP for 2 s at most; nodes leave service one after the other; what does not become
healthy goes back by itself. A changed configuration of keepalived comes on all nodes at once, as those that disagree about their
virtual router both take the VIP ([decision 12](decisions/0012-changes-under-load.md)).
Where MinIO's members change together, which the update says before, pulls may fail meanwhile, and pushes for 60 s. The last but one column
counts the pushes and pulls that had to be tried again, and says why: where the VIP moves, what is under way on the front
that it leaves ends with its connections.`;

const BOUNDS = `Bounds: nothing acknowledged is lost; no pull fails after the client's own retries, or none that was begun when the
registry had answered again, where pulls are refused; the VIP leaves its holder where that is silent or without a front, and the
longest gap is under 2 s then (but for \`drop-in\`, where the holder goes on saying that it lives, until its own check sees after
some three seconds that it is cut off); with one node hurt, first bytes take less than 2 s from 3 s after the fault, and some push
begun from then on succeeds while it lasts (but for \`full-disk\`: MinIO takes nothing while one drive is full, and pushes get
500), and all of them where MinIO alone or its whole node is gone; where two or three are gone, all that has to be refused is
refused in the registry's words within 35 s; two nodes have the VIP for 2 s at most, looked at each second; and all comes back to
full strength, by itself or by the one command that the runbook names: every node ready and none left over, every service with all
its replicas, etcd with all its members, keepalived, its guard and the healing on their nodes, every object on all of MinIO's
drives, and nothing to be healed, which is looked at each 15 s. Full strength counts from when the fault was taken back (power
given, packets passed), or from the fault where nothing takes it back. Each fault is seen to bite (the node is reached no more, the
process is gone or frozen, the disk slow or not to be written), and a row with too few pulls, probes or looks keeps no bound.
Between faults no push and no pull fails.`;
