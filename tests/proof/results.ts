/** What the groups of the proof came to: kept in docs/reliability.json, shown by docs/reliability.md. */
import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "../../lab/exec";
import { checkout } from "../../lab/instance";

/** One fault or change under load, done once. Written by tests/proof/faults. */
export interface FaultRow {
  readonly name: string;
  readonly seed: string;
  readonly commit: string;
  readonly date: string;
  readonly seconds: number;
  /** Figures by name, as the table's columns show them. */
  readonly figures: Readonly<Record<string, string | number>>;
  /** Bounds that were not kept. */
  readonly broken: readonly string[];
}

export interface GroupResult {
  readonly verdict: "passed" | "failed";
  readonly commit: string;
  /** As `2026-12-03`. */
  readonly date: string;
  readonly seconds: number;
  readonly passed: number;
  readonly failures: readonly string[];
  readonly rows?: readonly FaultRow[];
}

export const groups = {
  faults: "every fault of a node and every change, under load",
  runbook: "the commands of the runbook, each on what it is for",
  platforms: "platforms `metal` and `existing`, and changes of a running stack",
  lab: "what else is shown on real hosts",
  parity: "the published plugins beside the lab's stand-ins",
  programs: "nginx, HAProxy, MinIO's guards and keepalived, where it takes time",
  setup: "what a set-up fetches, from package registries alone",
  vm: "VLANs, the encrypted overlay and another clock, in virtual machines",
} as const;

export type GroupName = keyof typeof groups;

export const groupNames = Object.keys(groups) as GroupName[];

const docs = (name: string): string => path.join(checkout(), "docs", name);
const file = docs("reliability.json");

export type Results = Partial<Record<GroupName, GroupResult>>;

export const readResults = (): Results =>
  fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Results) : {};

/** Records a group's result, and writes the page anew. */
export function record(name: GroupName, result: GroupResult): void {
  const results = { ...readResults(), [name]: result };
  fs.writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  fs.writeFileSync(docs("reliability.md"), page(results));
}

/** The commit that is tried, and whether files differ from it. The results themselves may. */
export async function currentCommit(): Promise<string> {
  const git = async (...args: string[]) => (await must("git", args, { cwd: checkout() })).trim();
  const changed = await git(
    "status",
    "--porcelain",
    "--",
    ".",
    ":!docs/reliability.*",
    ":!docs/benchmarks.*",
  );
  return `${await git("rev-parse", "--short", "HEAD")}${changed ? " with changes" : ""}`;
}

const row = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;

function table(head: readonly string[], lines: readonly (readonly (string | number)[])[]): string {
  return [row(head), row(head.map(() => "---")), ...lines.map(row)].join("\n");
}

function duration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function faultTable(rows: readonly FaultRow[]): string {
  const columns = Object.keys(rows[0]?.figures ?? {});
  const lines = rows.map(({ name, figures, broken }) => [
    name,
    ...columns.map((column) => figures[column] ?? ""),
    broken.length === 0 ? "kept" : broken.join("; "),
  ]);
  return table(["Fault or change", ...columns, "Bounds"], lines);
}

export function page(results: Results): string {
  const lines = groupNames.map((name) => {
    const found = results[name];
    if (!found) return [`\`${name}\``, groups[name], "not run yet", "", "", "", ""];
    const { verdict, commit, date, seconds, passed, failures } = found;
    return [
      `\`${name}\``,
      groups[name],
      verdict,
      `${passed} / ${failures.length}`,
      commit,
      date,
      duration(seconds),
    ];
  });
  const rows = results.faults?.rows ?? [];
  const seeds = [...new Set(rows.map(({ seed }) => seed))].join(", ");
  const failures = groupNames.flatMap((name) => results[name]?.failures.map((line) => `- ${line}`) ?? []);
  return [
    "# Reliability",
    "",
    "Written by `make proof`: do not edit. Each group runs on the [lab](lab.md), on one machine, and takes minutes to hours.",
    "",
    table(["Group", "What it tries", "Verdict", "Passed / failed", "Commit", "Date", "Took"], lines),
    ...(failures.length > 0 ? ["", "What failed:", "", ...failures] : []),
    ...(rows.length > 0
      ? [
          "",
          "## Faults and changes under load",
          "",
          `Clients push and pull through the VIP meanwhile (seed ${seeds}). Bounds: no acknowledged push lost, no pull failed after the client's own retries.`,
          "",
          faultTable(rows),
        ]
      : []),
    "",
  ].join("\n");
}
