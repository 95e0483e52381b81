/** The stack at hand, as the command line of Pulumi knows it. */
import { runPulumi } from "@moorage/hosts";
import { parseStackConfig, type StackConfig } from "../config/stack";

const namespace = "moorage:";

interface ConfigEntry {
  readonly value?: string;
  readonly objectValue?: unknown;
  readonly secret: boolean;
}

/** @throws ConfigError with every mistake, when there is one. */
export async function stackConfig(stack: string | undefined, secrets: boolean): Promise<StackConfig> {
  const args = [
    "config",
    "--json",
    ...(secrets ? ["--show-secrets"] : []),
    ...(stack ? ["--stack", stack] : []),
  ];
  const text = await runPulumi(args, "the stack's configuration cannot be read");
  return parseStackConfig(rawConfig(JSON.parse(text) as Record<string, ConfigEntry>));
}

/** Subject to value. */
export function rawConfig(entries: Readonly<Record<string, ConfigEntry>>): Record<string, unknown> {
  const own = Object.entries(entries).filter(([key]) => key.startsWith(namespace));
  return Object.fromEntries(
    own.map(([key, entry]) => {
      if (entry.value === undefined && entry.objectValue === undefined) {
        throw new Error(`${key} is encrypted in the stack's configuration: run again with --secrets`);
      }
      return [key.slice(namespace.length), entry.objectValue ?? parsed(entry.value ?? "")];
    }),
  );
}

/** Objects are JSON, and plain texts stand as they are. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
