import * as pulumi from "@pulumi/pulumi";
import { Recorder, type RecorderOptions } from "../support/mocks";
import type { RawConfig } from "../support/stacks";

let runs = 0;

/**
 * Runs the whole program with a configuration, and waits for all that it registers.
 * @param secret subjects that hold a secret
 */
export async function program(
  raw: RawConfig,
  options?: RecorderOptions,
  secret: readonly string[] = [],
): Promise<Recorder> {
  const recorder = await new Recorder(options).install();
  setConfig(raw, secret);
  runs += 1;
  // Each run is a module of its own, so that the program runs again and what it imports is loaded once.
  const run = `../../index?run=${runs}`;
  await pulumi.runtime.runInPulumiStack(
    async () => ((await import(/* @vite-ignore */ run)) as { default: object }).default,
  );
  return recorder.settled();
}

/** Hands a configuration over as Pulumi does. @param secret subjects that hold a secret */
export function setConfig(raw: RawConfig, secret: readonly string[] = []): void {
  const entries = Object.entries(raw).map(([key, value]) => [
    `moorage:${key}`,
    JSON.stringify(sorted(value)),
  ]);
  pulumi.runtime.setAllConfig(
    Object.fromEntries(entries) as Record<string, string>,
    secret.map((subject) => `moorage:${subject}`),
  );
}

/** Pulumi hands objects of the configuration over with their keys sorted, whatever their order in the file. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
