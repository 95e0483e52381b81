/** Why a request of the load did not succeed, by what its client said. */
import type { Outcome } from "./load";

/** The causes that have a name, as the tables say them. */
export const causes = {
  refused: "refused",
  lostUpload: "an upload begun before is unknown",
  inside: "something failed inside",
  unavailable: "no registry or store",
  noFront: "no front at the VIP",
  cut: "the connection ended with its front",
  slow: "too slow",
} as const;

export type Cause = keyof typeof causes | "other";

const patterns: readonly [RegExp, Cause][] = [
  [/unauthorized|denied|authentication required|\b40[13]\b/i, "refused"],
  [/blob upload (invalid|unknown)|upload (resumed|unknown)/i, "lostUpload"],
  [/\b500\b|internal server error/i, "inside"],
  [/\b50[234]\b|service unavailable|bad gateway|unavailable/i, "unavailable"],
  [/connection refused|no route to host|(host|network) is unreachable/i, "noFront"],
  [/connection reset|broken pipe|\bEOF\b|use of closed network connection/i, "cut"],
  [/timeout|timed out|deadline|not done after/i, "slow"],
];

export function causeOf(error: string): Cause {
  // Names and addresses have numbers in them that are no status.
  const said = error.replace(/\S*chaos\/\S*/g, "");
  return patterns.find(([pattern]) => pattern.test(said))?.[1] ?? "other";
}

export const causeText = (cause: Cause): string => (cause === "other" ? "nobody knows why" : causes[cause]);

/** A cause as it is told: one without a name by what was said. */
export function reasonOf(error: string): string {
  const cause = causeOf(error);
  return cause === "other" ? `other: ${error.slice(-120)}` : causes[cause];
}

/** A cause that a row expects, and why. */
export interface Expected {
  readonly cause: Cause;
  readonly because: string;
}

/** Causes that are never the client's to try again, or not by every client: one alone is one too many. */
const grave: readonly Cause[] = ["refused", "inside"];

/** Pushes that failed for good for a cause that nobody expects, and whatever was refused or failed inside. */
export function unexpected(outcomes: readonly Outcome[], expected: readonly Expected[] = []): string[] {
  const counts = new Map<string, number>();
  for (const { kind, ok, error = "nothing said" } of outcomes.filter(
    (one) => one.error !== undefined || !one.ok,
  )) {
    const cause = causeOf(error);
    const isWrong = grave.includes(cause) || (kind === "push" && !ok);
    if (!isWrong || expected.some((one) => one.cause === cause)) continue;
    const text = `${kind}: ${ok ? "" : "failed, "}${reasonOf(error)}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => `not expected: ${count}× ${text}`);
}

/** Why requests did not succeed at the first try, and how often. */
export function reasonsOf(outcomes: readonly Outcome[]): string[] {
  const counts = new Map<string, number>();
  for (const { kind, error } of outcomes) {
    if (error === undefined) continue;
    const reason = `${kind}: ${reasonOf(error)}`;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `${count}× ${reason}`);
}
