/** What a run of tests came to. */
import { stripVTControlCharacters } from "node:util";
import type { TestModule } from "vitest/node";

/** How a test begins its reason that what it is about cannot be had where it runs. */
export const notRun = "not run, because ";

export interface Summary {
  /** Seconds by file. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly passed: number;
  /** A line for each test that failed, or that should have run. */
  readonly failures: readonly string[];
  /** Why tests were not run, and how many. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** Files that take as many seconds are named, so many of them. */
const slow = { from: 60, most: 20 };

/** The longest reason that a line gives, in characters; where a line of it is an `error:`, what precedes that. */
const longest = { reason: 300, before: 60 };

const inOneLine = (text: string): string => text.replace(/\s+/g, " ").trim();

/** In one line, without a terminal's colours. What a command printed before its error says less than the error does. */
function failure(where: string, error: unknown): string {
  const reason = (error as { message?: unknown } | undefined)?.message ?? error;
  const text = stripVTControlCharacters(String(reason));
  const start = text.search(/^\s*error: /m);
  const [before, after] = [text.slice(0, start), text.slice(start)].map(inOneLine);
  const line = inOneLine(text);
  const shown =
    start >= 0 && before.length > longest.before ? `${before.slice(0, longest.before)} ... ${after}` : line;
  return `failed: ${where}: ${shown.length > longest.reason ? `${shown.slice(0, longest.reason)} ...` : shown}`;
}

const failuresOf = (where: string, errors: readonly unknown[]): string[] =>
  errors.map((error) => failure(where, error));

const fileOf = ({ moduleId }: TestModule): string => /tests\/.*/.exec(moduleId)?.[0] ?? moduleId;

/** What of a file failed outside its tests. */
function failuresAround(module: TestModule): string[] {
  const file = fileOf(module);
  const groups = [...module.children.allSuites()];
  const around = [
    ...failuresOf(file, module.errors()),
    ...groups.flatMap((group) => failuresOf(`${file}: ${group.fullName}`, group.errors())),
  ];
  const left = module.state() === "queued" || module.state() === "pending";
  return left ? [...around, failure(file, "nobody came to it; the run was broken off")] : around;
}

export function summaryOf(modules: readonly TestModule[], errors: readonly unknown[]): Summary {
  const seconds: Record<string, number> = {};
  const reasons: Record<string, number> = {};
  let passed = 0;
  const failures = failuresOf("outside the tests", errors);
  for (const module of modules) {
    seconds[fileOf(module)] = module.diagnostic().duration / 1000;
    failures.push(...failuresAround(module));
    for (const test of module.children.allTests()) {
      const result = test.result();
      const note = result.state === "skipped" ? (result.note ?? "") : "";
      if (result.state === "passed") passed += 1;
      else if (note.startsWith(notRun)) reasons[note] = (reasons[note] ?? 0) + 1;
      // A skipped test proves nothing: without such a reason none here may be.
      else
        failures.push(
          failure(
            `${fileOf(module)}: ${test.fullName}`,
            result.errors?.[0] ?? `${result.state} without a reason`,
          ),
        );
    }
  }
  return { seconds, passed, failures, reasons };
}

function sum(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const one of all)
    for (const [name, count] of Object.entries(one)) total[name] = (total[name] ?? 0) + count;
  return total;
}

/** Runs beside each other, as one. */
export function together(summaries: readonly Summary[]): Summary {
  return {
    seconds: sum(summaries.map(({ seconds }) => seconds)),
    passed: summaries.reduce((total, { passed }) => total + passed, 0),
    failures: summaries.flatMap(({ failures }) => failures),
    reasons: sum(summaries.map(({ reasons }) => reasons)),
  };
}

/** A folder of tests/. */
const groupOf = (file: string): string => /^tests\/([^/]+)\//.exec(file)?.[1] ?? "other";

/**
 * The seconds of each group, of all of it where they are given as `took`, the slowest files, what failed, and a last line `N passed, N failed`, which goes on with what
 * was not run, and why. A log's last lines are all that some see of it.
 */
export function summaryText({ seconds, passed, failures, reasons }: Summary, took?: number): string {
  const files = Object.entries(seconds);
  const line = (what: string, duration: number) => `${what.padEnd(10)} ${duration.toFixed(1).padStart(7)} s`;
  const groups = sum(files.map(([file, duration]) => ({ [groupOf(file)]: duration })));
  const slowest = files
    .filter(([, took]) => took >= slow.from)
    .sort(([, one], [, other]) => other - one)
    .slice(0, slow.most)
    .map(([file, took]) => `${file.replace(/^tests\/|\.test\.ts$/g, "")} ${took.toFixed(0)} s`);
  const named = slowest.length > 0 ? [`slowest: ${slowest.join(", ")}`] : [];
  const left = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`);
  return [
    ...Object.entries(groups).map(([group, duration]) => line(group, duration)),
    ...(took === undefined ? [] : [line("all of it", took)]),
    ...named,
    ...failures,
    [`${passed} passed`, `${failures.length} failed`, ...left].join(", "),
  ].join("\n");
}
