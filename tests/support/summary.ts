/** Results of a run of vitest. */
import { stripVTControlCharacters } from "node:util";
import type { TestModule } from "vitest/node";

/** How a test begins its reason for being skipped, where its subject cannot be had on this machine. */
export const notRun = "not run, because ";

export interface Summary {
  readonly passed: number;
  /** A line for each failed test, and for each one skipped without such a reason. */
  readonly failures: readonly string[];
  /** Reasons of skipped tests, with how many have each. */
  readonly skipped: Readonly<Record<string, number>>;
}

/** CI shows the last lines of a log only: a failure is one line of at most so many characters. */
const LONGEST = 400;

function failure(where: string, error: unknown): string {
  const message = (error as { message?: unknown } | undefined)?.message ?? error;
  const line = stripVTControlCharacters(String(message)).replace(/\s+/g, " ").trim();
  return `failed: ${where}: ${line.length > LONGEST ? `${line.slice(0, LONGEST)} ...` : line}`;
}

const fileOf = ({ moduleId }: TestModule): string => /tests\/.*/.exec(moduleId)?.[0] ?? moduleId;

/** What failed in a file outside its tests: while it was loaded, or in a hook. */
function failuresAround(module: TestModule): string[] {
  const file = fileOf(module);
  const inHooks = [...module.children.allSuites()].flatMap((suite) =>
    suite.errors().map((error) => failure(`${file}: ${suite.fullName}`, error)),
  );
  const unfinished = module.state() === "queued" || module.state() === "pending";
  return [
    ...module.errors().map((error) => failure(file, error)),
    ...inHooks,
    ...(unfinished ? [failure(file, "the run ended before it")] : []),
  ];
}

export function summaryOf(modules: readonly TestModule[], errors: readonly unknown[]): Summary {
  const failures = errors.map((error) => failure("outside the tests", error));
  const skipped: Record<string, number> = {};
  let passed = 0;
  for (const module of modules) {
    failures.push(...failuresAround(module));
    for (const test of module.children.allTests()) {
      const result = test.result();
      const note = result.state === "skipped" ? (result.note ?? "") : "";
      if (result.state === "passed") passed += 1;
      else if (note.startsWith(notRun)) skipped[note] = (skipped[note] ?? 0) + 1;
      // A skipped test proves nothing.
      else
        failures.push(
          failure(
            `${fileOf(module)}: ${test.fullName}`,
            result.errors?.[0] ?? `${result.state} without a reason`,
          ),
        );
    }
  }
  return { passed, failures, skipped };
}

export const noTests: Summary = { passed: 0, failures: [], skipped: {} };

/** Several runs as one. */
export function sum(summaries: readonly Summary[]): Summary {
  const skipped: Record<string, number> = {};
  for (const one of summaries)
    for (const [reason, count] of Object.entries(one.skipped))
      skipped[reason] = (skipped[reason] ?? 0) + count;
  return {
    passed: summaries.reduce((total, { passed }) => total + passed, 0),
    failures: summaries.flatMap(({ failures }) => failures),
    skipped,
  };
}

/** What failed, what was skipped, and a last line `N passed, N failed`. */
export function summaryText({ passed, failures, skipped }: Summary): string {
  return [
    ...Object.entries(skipped).map(([reason, count]) => `${count} ${reason}`),
    ...failures,
    `${passed} passed, ${failures.length} failed`,
  ].join("\n");
}
