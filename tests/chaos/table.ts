/** The table of figures, as a page of the documentation. */
import { brokenBounds, type Row } from "./bounds";
import { brokenChange, type ChangeRow } from "./changeRow";
import type { Counts } from "./measure";
import { roleNames, titleOf, type Step } from "./plan";

export interface Run {
  /** When and where: `4 nodes on 2 cores, 2026-11-25`. */
  readonly where: string;
  readonly rows: readonly Row[];
  readonly changes: readonly ChangeRow[];
  /** Steps of the plan that this run left out, and names of changes. */
  readonly left: readonly Step[];
  readonly leftChanges: readonly string[];
  /** Acknowledged pushes at its end, and their bytes. */
  readonly acknowledged: { readonly count: number; readonly bytes: number };
}

const HEAD = [
  "fault",
  "node's role",
  "pushes: all, failed before and after retries",
  "pulls: the same",
  "longest gap",
  "slowest first byte from 3 s on",
  "the same on return",
  "two holders",
  "lost",
  "full strength",
  "why not at the first try",
  "bounds",
];

const counts = ({ all, before, after }: Counts): string => `${all}, ${before}, ${after}`;
const time = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : "no answer");

export function cellsOf(row: Row): string[] {
  const { step, strengthSeconds, command, lost } = row;
  const strength = strengthSeconds === undefined ? "no" : `${Math.round(strengthSeconds)} s`;
  const broken = brokenBounds(row);
  return [
    titleOf(step),
    (step.count ?? 1) === 4 ? "all" : roleNames[step.role],
    counts(row.pushes),
    counts(row.pulls),
    time(row.gapMs),
    time(row.slowestMs),
    time(row.slowestAfterMs),
    `${row.secondsOfTwo} s`,
    String(lost.length),
    command === undefined ? strength : `${strength}, by ${command}`,
    row.reasons.join("; ") || "-",
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
    row.reasons.join("; ") || "-",
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

export function page({ where, rows, changes, left, leftChanges, acknowledged }: Run): string {
  const broken =
    rows.filter((row) => brokenBounds(row).length > 0).length +
    changes.filter((row) => brokenChange(row).length > 0).length;
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
    ...tableOf(HEAD, rows.map(cellsOf)),
    "",
    BOUNDS,
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
three times by itself. Once 512 MiB were acknowledged, new images are small, and every second push is a former large one to
another repository: its layers are sent again, and stored once. Beside that one client asks \`GET /v2/\` and a manifest in turn, six times a second, on a new
connection each. After every fault all that was ever acknowledged is read back by tag and by digest, and compared.`;

const CHANGES = `Each is one \`pulumi up\` with one thing changed, while the same load runs. Bounds: nothing acknowledged is lost;
no pull fails after the client's own retries, and no push for a reason that is not understood; \`GET /v2/\` through the VIP is
never without an answer for 2 s; nobody is refused, and no connection where nginx is started anew; two nodes have the VIP for
2 s at most; nodes leave service one after the other; what does not become healthy goes back by itself.
Where MinIO's members change together, which the update says before, pulls may fail meanwhile, and pushes for 60 s. The last but one column
counts the pushes and pulls that had to be tried again, and says why: where the VIP moves, what is under way on the front
that it leaves ends with its connections.`;

const BOUNDS = `Bounds: nothing acknowledged is lost; no pull fails after the client's own retries, or none that was begun when the
registry had answered again, where pulls are refused; the longest gap is under 2 s where the VIP's holder goes; with one node
hurt, first bytes take less than 2 s from 3 s after the fault, and some push begun from then on succeeds while it lasts; two
nodes have the VIP for 2 s at most, looked at each second; and all comes back to full strength: every node ready and none
left over, every service with all its replicas, etcd with all its members, keepalived, its guard and the healing on their
nodes, every object on all of MinIO's drives, and nothing to be healed, which is looked at each 15 s. Full strength counts
from when the fault was taken back (power given, packets passed), or from the fault where nothing takes it back.`;
