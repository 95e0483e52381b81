import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { loadConfig } from "../../config";
import { Recorder } from "../support/mocks";

let file: string;

beforeEach(() => {
  file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-")), "Pulumi.dev.yaml");
  vi.stubEnv("PULUMI_OPTION_CONFIG_FILE", file);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", undefined);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE_FILE", undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(path.dirname(file), { recursive: true });
});

/** What reading an empty configuration ends with. */
async function outcome(salt: string, preview = false): Promise<string> {
  fs.writeFileSync(file, `${salt}\nconfig: {}\n`);
  const recorder = await new Recorder().install();
  await pulumi.runtime.setMocks(recorder, "moorage", "dev", preview, "organization");
  try {
    loadConfig();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

const asksForIt = /encrypted with a passphrase.* nothing was touched\. Set PULUMI_CONFIG_PASSPHRASE_FILE/;

test("a passphrase that only a person knows is asked for before anything is touched", async () => {
  expect(await outcome("encryptionsalt: v1:x")).toMatch(asksForIt);
});

test("a preview, a stack without one, and one whose passphrase is in the environment go on", async () => {
  expect(await outcome("encryptionsalt: v1:x", true)).not.toMatch(asksForIt);
  expect(await outcome("secretsprovider: awskms://alias/x")).not.toMatch(asksForIt);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "");
  expect(await outcome("encryptionsalt: v1:x")).not.toMatch(asksForIt);
  expect(await outcome("encryptionsalt: v1:x")).toMatch(/nodes/);
});
