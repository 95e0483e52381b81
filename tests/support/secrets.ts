import * as fs from "node:fs";
import { startTime } from "../../lab/exec";
import type { TestLab } from "./testLab";

/** Every secret of the stack's state, long enough that it does not occur by chance. */
export async function secretsOf(lab: TestLab): Promise<string[]> {
  const state = JSON.parse(await lab.state(true)) as { deployment: { resources: { outputs?: object }[] } };
  const found = new Set<string>();
  collect(state, found);
  // A private key's encodings hold the public key as well, which is nobody's secret, and stands in certificates too.
  const shown = state.deployment.resources.flatMap(({ outputs }) =>
    Object.entries(outputs ?? {})
      .filter(([key]) => /^publicKey|^certPem$|^certRequestPem$/.test(key))
      .map(([, value]) => String(value)),
  );
  return [...found].filter((secret) => !shown.some((text) => text.includes(secret)));
}

function collect(value: unknown, found: Set<string>): void {
  if (typeof value !== "object" || value === null) return;
  const { plaintext } = value as { plaintext?: unknown };
  if (typeof plaintext !== "string") return Object.values(value).forEach((inner) => collect(inner, found));
  const plain: unknown = JSON.parse(plaintext);
  // Of a long secret text only keys and passwords count: a user data also holds the host's name.
  if (typeof plain === "string" && plain.length < 600) linesOf(plain).forEach((line) => found.add(line));
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.length >= 16 && !line.startsWith("-----"));
}

const LOOK_EVERY_MS = 40;

/**
 * Writes down the command line of every process of this machine and of all lab hosts, whose processes are among the
 * machine's, while `work` is under way.
 */
export async function commandLinesDuring<T>(work: () => Promise<T>): Promise<[T, string[]]> {
  const seen = new Map<string, string>();
  const look = (): void => {
    for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      const line = commandLine(pid);
      // A process keeps its number and start when it becomes another program.
      if (line) seen.set(`${pid} ${startTime(Number(pid))} ${line}`, line);
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  try {
    return [await work(), [...seen.values()]];
  } finally {
    clearInterval(timer);
  }
}

function commandLine(pid: string): string | undefined {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return undefined;
  }
}
