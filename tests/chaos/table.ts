/** The table of figures, as a page of the documentation. */
import { brokenBetween, brokenBounds, type Between, type Row } from "./bounds";
import { causeText } from "./causes";
import { brokenChange, type ChangeRow } from "./changeRow";
import { hurtingAtOnce } from "./figures";
import { changeName, commitsIn, type Found, type Part } from "./kept";
import type { Large } from "./large";
import type { Counts } from "./measure";
import { aroundFull, limitTexts } from "./pushes";
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
  "new large layers: all, begun while it lasted",
  "etcd's writes from 3 s on: all, failed",
  "longest gap",
  "slowest first byte from 3 s on",
  "the same on return",
  "two holders: seconds, at most",
  "lost",
  "refused after",
  "full strength",
  "why not at the first try",
  "bounds",
];

const NONE = "-";
const counts = ({ all, before, after }: Counts): string => `${all}, ${before}, ${after}`;
const sumOf = (all: readonly Counts[]): Counts => ({
  all: all.reduce((sum, one) => sum + one.all, 0),
  before: all.reduce((sum, one) => sum + one.before, 0),
  after: all.reduce((sum, one) => sum + one.after, 0),
});
/** Reasons of several rows, such as `2× pull: too slow`, each once. */
function togetherOf(reasons: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const [count, reason] of reasons.map((one) => one.split(/× (.*)/s)))
    counts.set(reason ?? "", (counts.get(reason ?? "") ?? 0) + Number(count));
  return [...counts].map(([reason, count]) => `${count}× ${reason}`);
}

const two = ({ secondsOfTwo, longestOfTwoMs }: Pick<Row, "secondsOfTwo" | "longestOfTwoMs">): string =>
  `${secondsOfTwo}, ${(longestOfTwoMs / 1000).toFixed(1)} s`;
const layers = ({ count, bytes, meanwhile }: Large): string =>
  `${count} (${Math.round(bytes / 1024 ** 2)} MiB), ${meanwhile}`;
const time = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : "no answer");

export function cellsOf(row: Row): string[] {
  const { step, roles, etcd, refusedSeconds, strengthSeconds, command, lost } = row;
  const strength = strengthSeconds === undefined ? "no" : `${Math.round(strengthSeconds)} s`;
  const broken = brokenBounds(row);
  return [
    titleOf(step),
    (step.count ?? 1) === 4 ? "all" : roles.map((role) => roleNames[role]).join(", "),
    counts(row.pushes),
    counts(row.pulls),
    layers(row.large),
    etcd === undefined ? NONE : `${etcd.ok + etcd.failed}, ${etcd.failed}`,
    time(row.gapMs),
    time(row.slowestMs),
    time(row.slowestAfterMs),
    two(row),
    String(lost.length),
    refusedSeconds === undefined ? NONE : `${refusedSeconds.toFixed(1)} s`,
    command === undefined ? strength : `${strength}, by ${command}`,
    row.reasons.join("; ") || NONE,
    broken.length === 0 ? "kept" : broken.join("; "),
  ].map(plain);
}

/** What was under way while nothing was hurt or changed, as the last row of the faults. */
export function betweenCells(between: readonly Between[]): string[] {
  const broken = brokenBetween(between);
  const reasons = togetherOf(between.flatMap((one) => one.reasons));
  const figures = HEAD.slice(4, -2).map(() => NONE);
  return [
    "between faults",
    NONE,
    counts(sumOf(between.map(({ pushes }) => pushes))),
    counts(sumOf(between.map(({ pulls }) => pulls))),
    ...figures,
    reasons.join("; ") || NONE,
    broken.length === 0 ? "kept" : broken.join("; "),
  ].map(plain);
}

const CHANGE_HEAD = [
  "change",
  "pushes: all, failed before and after retries",
  "pulls: the same",
  "new large layers: all, begun meanwhile",
  "new connections: all, without success",
  "longest gap",
  "a manifest in vain",
  "slowest first byte",
  "two holders: seconds, at most",
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
    layers(row.large),
    `${row.probes.all}, ${row.probes.unanswered}`,
    time(row.gapMs),
    time(row.manifestsMs),
    time(row.slowestMs),
    two(row),
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

/** How many rows there are with a bound that was not kept; what is lost at the end counts as one. */
export const brokenRows = ({ rows, changes, between, parts }: Found): number =>
  [...rows.map(brokenBounds), ...changes.map(brokenChange), brokenBetween(between), lostAtEnd(parts)].filter(
    (broken) => broken.length > 0,
  ).length;

const lostAtEnd = (parts: readonly Part[]): string[] => parts.flatMap((part) => part.lostAtEnd ?? []);

const mebibytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);

/** Which rows are of which state of the code, where that is not the same for all. */
function origin(found: Found): string {
  const commits = commitsIn(found);
  if (commits.length < 2) return `Of ${commits[0] ?? "nothing"}.`;
  const parts = commits.map((commit) => {
    const names = [
      ...found.rows.filter((row) => row.commit === commit).map(({ step }) => nameOf(step)),
      ...found.changes.filter((row) => row.commit === commit).map(changeName),
    ];
    return `Of ${commit}: ${names.join("; ")}`;
  });
  return `Of several commits. ${parts.join(". ")}.`;
}

const bytesOf = (parts: readonly Part[]): number =>
  mebibytes(parts.reduce((sum, { bytes }) => sum + bytes, 0));

/** What of all that was acknowledged was read back as a whole: by each run at its end. */
function readingOf(parts: readonly Part[]): string {
  const read = parts.filter((part) => part.lostAtEnd !== undefined);
  const others = parts.filter((part) => part.lostAtEnd === undefined);
  return [
    ...(read.length > 0
      ? [`At the end ${bytesOf(read)} MiB were read back, every byte: ${lostAtEnd(read).length} lost.`]
      : []),
    ...(others.length > 0
      ? [`${bytesOf(others)} MiB, of a run that has not come to its end, were not read back as a whole.`]
      : []),
  ].join(" ");
}

function summaryOf(found: Page): string {
  const { where, rows, changes, left, leftChanges, parts } = found;
  const broken = brokenRows(found);
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  return [
    `${where}. ${rows.length} faults, ${changes.length} changes; ${count} pushes were acknowledged (${bytesOf(parts)} MiB).`,
    readingOf(parts),
    broken === 0
      ? "Every bound was kept."
      : `In ${broken} of them a bound was not kept: the last column says which.`,
    left.length > 0 ? `Not in this run: ${left.length} of the plan's faults.` : "",
    leftChanges.length > 0 ? `Not in this run: ${leftChanges.length} of its changes.` : "",
    origin(found),
  ]
    .filter(Boolean)
    .join(" ");
}

/** What was not done, and why. */
function missingFaults({ notRun, left }: Page): string[] {
  return [
    ...notRun.flatMap(({ step, because }) => ["", `Not run: ${nameOf(step)}, because ${because}.`]),
    ...(left.length > 0
      ? ["", `Left out: ${left.map((step) => `${titleOf(step)} (${step.role})`).join(", ")}.`]
      : []),
  ];
}

function missingChanges({ notChanged, leftChanges }: Page): string[] {
  return [
    ...notChanged.flatMap(({ name, because }) => ["", `Not run: ${name}, because ${because}.`]),
    ...(leftChanges.length > 0 ? ["", `Left out: ${leftChanges.join(", ")}.`] : []),
  ];
}

/** For what pushes may fail for good in which change. */
function expectations(changes: readonly ChangeRow[]): string[] {
  const lines = changes.flatMap(({ name, expects = [] }) =>
    expects.length === 0
      ? []
      : [
          `- ${name}: ${expects.map(({ cause, because }) => `${causeText(cause)}, as ${because}`).join("; ")}`,
        ],
  );
  return lines.length === 0 ? [] : ["", "What pushes may fail for, by change:", "", ...lines];
}

export function page(found: Page): string {
  const { rows, changes, between } = found;
  return `${[
    "# Reliability",
    "",
    INTRODUCTION,
    "",
    summaryOf(found),
    "",
    "## Faults",
    "",
    ...tableOf(HEAD, [...rows.map(cellsOf), betweenCells(between)]),
    "",
    BOUNDS,
    ...missingFaults(found),
    "",
    "## Changes",
    "",
    CHANGES,
    "",
    ...tableOf(CHANGE_HEAD, changes.map(changeCells)),
    ...expectations(changes),
    ...missingChanges(found),
  ].join("\n")}\n`;
}

const INTRODUCTION = `Written by \`make chaos\`, which hurts the nodes of a lab one at a time while clients push and pull. Two clients run
\`skopeo\` through the VIP, two copies at once each, a quarter of them pushes, layers of 4 KiB to 64 MiB; it tries again three times by
itself, and is begun again where it gives up a layer at once that Docker's client would ask for again. Every fourth pull is by tag, after a
list of its repository's tags. Once 192 MiB were acknowledged, the load's own new images are small, and every second push is a former large
one to another repository: its layers are sent again, and stored once. After 250 acknowledged pushes all four pause for longer, and go on
together when a fault begins, and once it has lasted for three seconds.

Besides, every row pushes large layers that nobody has seen before, which each of MinIO's drives keeps its part of in a file of its own: one
of 2 to 8 MiB that is acknowledged just before the fault, one of 16 to 64 MiB that is under way as it begins, and one of 2 to 8 MiB from 3 s
after it on, to the repository whose registry is hurt, which is tried once more where it fails; a change has some more, each 20 s.

One client asks \`GET /v2/\` and a manifest in turn, six times a second, on a new connection each: one manifest for each registry, since the
front has one registry for all of a repository. Where a member of etcd is hurt, a value is written by the others each 2 s.

After every row is read back and compared: every manifest by tag, every small layer, every byte of the large layers of the last three rows,
and 64 MiB of the older ones, drawn anew each time; the rest is asked for (\`HEAD\`). What etcd acknowledged is read from each of its
members. At the end of a run every byte is read that it has had acknowledged. A node has several roles: a fault is done to the VIP's holder,
then to Swarm's leader where that is another node, until each role has had it. Docker, whose end is that of all its containers once it is
started again, is killed on a leader that has not got the VIP, and on the VIP's holder.`;

const CHANGES = `Each is one \`pulumi up\` with one thing changed, while the same load runs. Bounds: nothing acknowledged is lost; no pull
fails after the client's own retries, and no push but for what is said below, and none for another reason; nothing is refused with 401 or
403, or answered with 500, at the first try either; \`GET /v2/\` through the VIP is never without an answer for 2 s, and no registry's
manifest is asked for in vain for as long, each 1.2 s; no registry is refused by its store where its key is another one, and no connection
where nginx is started anew; two nodes have the VIP for two seconds on end at most; nodes leave service, and nginx, registries, MinIO and
keepalived are started anew, one after the other, each once the one before it is back; what does not become healthy goes back by itself,
with one node touched. A changed configuration of keepalived comes on all nodes at once, as those that disagree about their virtual router
both take the VIP ([decision 12](decisions/0012-changes-under-load.md)). Where MinIO's members change together, which the update says
before, pulls may fail meanwhile, and pushes for 60 s. The last but one column counts the pushes and pulls that had to be tried again, and
says why: where the VIP moves, what is under way on the front that it leaves ends with its connections. A row ends five seconds after its
update, or with its pause once all is whole again: while the rest is waited for, and everything read back, requests are between faults, and
have to succeed.`;

const BOUNDS = `Bounds: nothing acknowledged is lost; no pull fails after the client's own retries, or none that was begun when the registry
had answered again, where pulls are refused; the VIP leaves its holder where that is silent or without a front, or its Docker is killed, and
the longest gap is under 2 s then (but for \`drop-in\`, where the holder goes on saying that it lives, until its own check sees after some
three seconds that it is cut off). Between faults no push and no pull fails.

With one node hurt, first bytes of \`/v2/\` and of every registry's manifest take less than 2 s from 3 s after the fault was done, or, under
${hurtingAtOnce.map((name) => `\`${name}\``).join(", ")}, which hurt from their beginning, after it was begun. Every push begun from 3 s after
the fault was done, while it lasts, succeeds, a large one among them; and etcd takes writes, but for two at most. What may fail of these
pushes: ${limitTexts().join("; ")}. Of pushes that were under way when the fault came, or begun once it was over, three may fail, six
where a disk was full (${aroundFull.because}), by a connection that ended with its front, no front or store, a failure inside, or slowness. Nothing may be refused
with 401 or 403.

Where two or three are gone, all that has to be refused is refused in the registry's words within 35 s, an upload that is open too, and from
then on until the fault is taken back, looked at each 3 s; pushes of the load get 503 then, and pulls where nothing can be read. With three
hosts off nobody need answer; who does says 503. Once a push that was begun after the return has succeeded, three more may fail, for the
reasons above.

Two nodes have the VIP for two seconds on end at most, counted each second: it is looked at as a second of the clock begins, so that three
seconds in which two were seen are 2 s or more, and five times a second while there are two. By all these looks the second figure of that
column is, from the first that saw two to the first that did not. At least nine of ten seconds are looked at.

All comes back to full strength, by itself or by the one command that the runbook names: every node ready and none left over, every service
with all its replicas, every front healthy, the VIP on one node, etcd with all its members, keepalived, its guard and the healing on their
nodes, of every object the same version and all parts on all of MinIO's drives, and nothing to be healed, which is looked at each 15 s. Full
strength counts from when the fault was taken back (power given, packets passed), or from the fault where nothing takes it back.

Each fault is seen to bite (the node is reached no more, the process is gone or frozen, the disk slow, or not to be written, by MinIO
either), and a row with too few pulls, probes or looks keeps no bound.`;
