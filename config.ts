import * as pulumi from "@pulumi/pulumi";
import { ConfigError, parseStackConfig, type StackConfig } from "./config/stack";

const namespace = "moorage";

/** Reads and checks the configuration of the stack at hand. @throws RunError that tells every mistake at once. */
export function loadConfig(): StackConfig {
  const raw: Record<string, unknown> = {};
  for (const key of Object.keys(pulumi.runtime.allConfig())) {
    if (key.startsWith(`${namespace}:`)) {
      raw[key.slice(namespace.length + 1)] = parsed(pulumi.runtime.allConfig()[key] ?? "");
    }
  }
  return withoutTrace(() => parseStackConfig(raw));
}

/** Of a RunError Pulumi prints the message alone: a mistake in the configuration is no fault of the program. */
export function withoutTrace<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

/** Pulumi hands objects over as JSON and plain texts as they are. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
