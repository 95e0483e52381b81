import type { Report } from "@moorage/hosts";
import { run } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import type { TestLab } from "./testLab";

/** Exit code and output of `moorage verify`. */
export interface Verified {
  readonly code: number;
  readonly output: string;
}

/** Runs `npm run -s moorage -- verify`. */
export async function verifyText(lab: TestLab, ...args: string[]): Promise<Verified> {
  const done = await run("npx", ["--no-install", "tsx", "ops/main.ts", "verify", ...args], {
    env: lab.env,
    cwd: checkout(),
    timeoutMs: 180_000,
  });
  return { code: done.code, output: done.stdout + done.stderr };
}

export async function verifyJson(lab: TestLab): Promise<{ code: number; report: Report }> {
  const { code, output } = await verifyText(lab, "--json");
  if (!output.trimStart().startsWith("{")) throw new Error(`verify --json said: ${output}`);
  return { code, report: JSON.parse(output) as Report };
}

/** `where name: detail` of everything red. */
export function redsOf(report: Report): string[] {
  const all = [
    ...Object.entries(report.nodes).map(([name, { checks }]) => [name, checks] as const),
    ...Object.entries(report.subjects),
  ];
  return all.flatMap(([where, checks]) =>
    checks.filter(({ green }) => !green).map(({ name, detail }) => `${where} ${name}: ${detail}`),
  );
}
