/** Arguments of commands; a mistake in them is a UsageError. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import type { UserDataFormat } from "@moorage/render";
import { UsageError } from "./command";

/** Options of every command that is about one node. */
export const nodeOptions = {
  stack: { type: "string", short: "s" },
  format: { type: "string" },
  secrets: { type: "boolean", default: false },
} as const;

export function parsed<Config extends ParseArgsConfig>(config: Config) {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The one node that is named; `what` of it is asked for where none is. */
export function oneNode(names: readonly string[], what: string): string {
  const [node, ...more] = names;
  if (node === undefined) throw new UsageError(`which node's ${what}?`);
  if (more.length > 0) throw new UsageError(`one node at a time, not ${names.join(", ")}`);
  return node;
}

export function userDataFormat(format: string | undefined): UserDataFormat | undefined {
  if (format === undefined || format === "ignition" || format === "cloud-config") return format;
  throw new UsageError(`--format ${format}: there is ignition and cloud-config`);
}
