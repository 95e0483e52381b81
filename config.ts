import * as pulumi from "@pulumi/pulumi";
import { parseStackConfig, type StackConfig } from "./config/stack";

const namespace = "moorage";

/** Reads and checks the configuration of the stack at hand. @throws ConfigError with every mistake at once. */
export function loadConfig(): StackConfig {
  const raw: Record<string, unknown> = {};
  for (const key of Object.keys(pulumi.runtime.allConfig())) {
    if (key.startsWith(`${namespace}:`)) {
      raw[key.slice(namespace.length + 1)] = parsed(pulumi.runtime.allConfig()[key] ?? "");
    }
  }
  return parseStackConfig(raw);
}

/** Pulumi hands objects over as JSON and plain texts as they are. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
