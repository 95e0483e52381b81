/** What a stack has recorded, read by the command line of Pulumi, run where the project is. */
import { execFile } from "node:child_process";
import { messageOf } from "./errors";

export interface RecordedResource {
  readonly urn?: string;
  readonly type?: string;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
  /** Replaced by another of its name, and yet to be deleted. */
  readonly delete?: boolean;
}

/** Pulumi's mark on a secret in an exported state. */
const SECRET_KEY = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Runs `pulumi` and gives back what it prints. @throws Error that begins with `what` and ends with Pulumi's words. */
export async function runPulumi(args: readonly string[], what: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 256 * 1024 * 1024, timeout: 60_000 };
    execFile("pulumi", [...args], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${what}: ${stderr.trim().split("\n")[0] || messageOf(error)}`));
      else resolve(stdout);
    });
  });
}

/** A stack's state, of the stack at hand where none is named. Without `secrets` it needs no passphrase. */
export async function recordedState(
  stack: string | undefined,
  secrets: boolean,
): Promise<RecordedResource[]> {
  const args = [
    "stack",
    "export",
    ...(secrets ? ["--show-secrets"] : []),
    ...(stack ? ["--stack", stack] : []),
  ];
  const what = stack ? `stack ${stack} cannot be read` : "the stack cannot be read";
  const { deployment } = JSON.parse(await runPulumi(args, what)) as {
    deployment?: { resources?: RecordedResource[] };
  };
  return deployment?.resources ?? [];
}

/** A value of a state without the wrappings of its secrets; one that was not asked for is `undefined`. */
export function unwrapped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrapped);
  if (typeof value !== "object" || value === null) return value;
  const record = value as Record<string, unknown>;
  if (record[SECRET_KEY] === SECRET) {
    return typeof record["plaintext"] === "string"
      ? unwrapped(JSON.parse(record["plaintext"]))
      : record["value"];
  }
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, unwrapped(item)]));
}
