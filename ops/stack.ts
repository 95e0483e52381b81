/** The stack at hand, as the command line of Pulumi knows it. */
import * as fs from "node:fs";
import { runPulumi } from "@moorage/hosts";
import { type Secret, secretsIn, withSecretsAs } from "../config/secrets";
import { parseStackConfig, type StackConfig } from "../config/stack";
import { placeholder } from "./recorded";

const namespace = "moorage:";

interface ConfigEntry {
  readonly value?: string;
  readonly objectValue?: unknown;
  readonly secret: boolean;
}

type Entries = Readonly<Record<string, ConfigEntry>>;

/**
 * Without `secrets` the configuration's own have placeholders in their place.
 * @throws ConfigError with every mistake, when there is one.
 */
export async function stackConfig(stack: string | undefined, secrets: boolean): Promise<StackConfig> {
  const entries = await configEntries(stack, secrets);
  const encrypted = Object.entries(entries)
    .filter(([key, { secret }]) => key.startsWith(namespace) && secret)
    .map(([key]) => key.slice(namespace.length));
  if (encrypted.length === 0) return parseStackConfig(rawConfig(entries));
  // What is encrypted in part is not told at all without its secrets.
  const raw = rawConfig(secrets ? entries : await configEntries(stack, true));
  const config = parseStackConfig(raw, await secretsOf(raw, encrypted, stack));
  return secrets ? config : withSecretsAs(config, (path) => placeholder(path, false));
}

async function configEntries(stack: string | undefined, secrets: boolean): Promise<Entries> {
  const args = ["config", "--json", ...(secrets ? ["--show-secrets"] : []), ...named(stack)];
  return JSON.parse(await runPulumi(args, "the stack's configuration cannot be read")) as Entries;
}

const named = (stack: string | undefined): string[] => (stack ? ["--stack", stack] : []);

async function secretsOf(
  raw: Readonly<Record<string, unknown>>,
  encrypted: readonly string[],
  stack: string | undefined,
): Promise<Secret[]> {
  const selected = stack ?? (await runPulumi(["stack", "--show-name"], "no stack is selected")).trim();
  const file = process.env.PULUMI_OPTION_CONFIG_FILE || `Pulumi.${selected.split("/").at(-1)}.yaml`;
  return secretsIn(raw, encrypted, fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined);
}

/** Subject to value. */
function rawConfig(entries: Entries): Record<string, unknown> {
  const own = Object.entries(entries).filter(([key]) => key.startsWith(namespace));
  return Object.fromEntries(
    own.map(([key, entry]) => [key.slice(namespace.length), entry.objectValue ?? parsed(entry.value ?? "")]),
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
