import * as fs from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "./config/problem";
import { secretsIn } from "./config/secrets";
import { type ImageCheck, parseStackConfig, type StackConfig } from "./config/stack";

const namespace = "moorage";

/**
 * Reads and checks the configuration of the stack at hand.
 * @param imageProblems looks at what images name
 * @throws RunError that tells every mistake at once.
 */
export function loadConfig(imageProblems?: ImageCheck): StackConfig {
  requirePassphrase();
  const given = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(`${namespace}:`));
  const subject = (key: string) => key.slice(namespace.length + 1);
  const raw = Object.fromEntries(given.map(([key, value]) => [subject(key), parsed(value)]));
  const secret = given.filter(([key]) => isSecret(key)).map(([key]) => subject(key));
  const secrets = secretsIn(raw, secret, stackFile());
  return withoutTrace(() => parseStackConfig(raw, secrets, imageProblems));
}

/** Whether a key has a secret somewhere. Pulumi leaves this function of its runtime out of its types. */
function isSecret(key: string): boolean {
  const runtime = pulumi.runtime as unknown as { isConfigSecret(key: string): boolean };
  return runtime.isConfigSecret(key);
}

/** Text of the stack's file, beside the project's unless a setting of Pulumi's names another. */
function stackFile(): string | undefined {
  const file = process.env.PULUMI_OPTION_CONFIG_FILE || `Pulumi.${pulumi.getStack()}.yaml`;
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

/**
 * What this program starts reads the stack's state, and cannot ask for its passphrase as `pulumi` itself does. That
 * is better said before anything is touched.
 */
function requirePassphrase(): void {
  const { PULUMI_CONFIG_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE_FILE } = process.env;
  if (pulumi.runtime.isDryRun() || PULUMI_CONFIG_PASSPHRASE !== undefined || PULUMI_CONFIG_PASSPHRASE_FILE)
    return;
  if (!/^encryptionsalt:/m.test(stackFile() ?? "")) return;
  throw new pulumi.RunError(
    `Stack ${pulumi.getStack()} is encrypted with a passphrase, which Docker's provider needs as well and cannot ask for; ` +
      "nothing was touched. Set PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it, or PULUMI_CONFIG_PASSPHRASE",
  );
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
