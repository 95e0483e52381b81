import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { TestContext } from "vitest";
import { ensureCloudinit } from "../../toolchain/cloudinit";
import { ensureNmcli, type Nmcli } from "../../toolchain/nmcli";
import { defaultSetting } from "../../toolchain/setting";
import { notRun } from "./summary";

/** What ignition-validate says: nothing where it finds nothing. */
export function validateIgnition(text: string): string {
  const result = spawnSync("ignition-validate", ["-"], { input: text, encoding: "utf8" });
  if (result.error) throw new Error("ignition-validate is missing: install Debian's package ignition");
  const said = result.stdout + result.stderr;
  return result.status === 0 ? said : `refused: ${said}`;
}

const cloudinit = () => ensureCloudinit(defaultSetting(() => undefined));

export const hasCloudinit = (): boolean => !("missing" in cloudinit());

/** coreos-cloudinit's path; without its archive the test counts as not run. */
export function cloudinitFor(context: TestContext): string {
  const found = cloudinit();
  if ("missing" in found) return context.skip(`${notRun}${found.missing}`);
  return found.bin;
}

/** The findings of `coreos-cloudinit --validate`, warnings included. */
export function validateCloudConfig(bin: string, text: string): string[] {
  const file = path.join(os.tmpdir(), `cloud-config.${process.pid}.yml`);
  fs.writeFileSync(file, text);
  const result = spawnSync(bin, ["--validate", "--from-file", file], { encoding: "utf8" });
  fs.rmSync(file);
  if (result.error) throw result.error;
  const lines = result.stderr.split("\n").filter((line) => line !== "");
  const findings = lines
    .map((line) => line.replace(/^\S+ \S+ /, ""))
    .filter((line) => !/^(Checking availability|Fetching (meta|user)-data)/.test(line));
  return result.status === 0 || findings.length > 0 ? findings : [`exit code ${result.status}`];
}

let nmcli: ReturnType<typeof ensureNmcli> | undefined;

/** nmcli; without its packages the test counts as not run. */
export async function nmcliFor(context: TestContext): Promise<Nmcli> {
  nmcli ??= ensureNmcli(defaultSetting(() => undefined));
  const found = await nmcli;
  if ("missing" in found) return context.skip(`${notRun}${found.missing}`);
  return found;
}

/**
 * What NetworkManager does not take of a keyfile. It refuses some mistakes; a key or a value that it does not know it
 * passes over without a word, so that whatever is written has to come back from it.
 */
export function validateKeyfile({ bin, env }: Nmcli, text: string): string[] {
  const args = ["--offline", "connection", "modify"];
  const result = spawnSync(bin, args, { input: text, env, encoding: "utf8" });
  if (result.error) throw result.error;
  const said = result.stderr.split("\n").filter((line) => line !== "");
  if (result.status !== 0) return said.length > 0 ? said : [`exit code ${result.status}`];
  const kept = settingsOf(result.stdout);
  const lost = settingsOf(text).filter((setting) => !kept.includes(setting));
  return [...said, ...lost.map((setting) => `passed over: ${setting}`)];
}

/** A keyfile's sections, and each line in one with its section. */
function settingsOf(keyfile: string): string[] {
  let section = "";
  return keyfile
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (line.startsWith("[") ? (section = line) : `${section} ${line}`));
}
