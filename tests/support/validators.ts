import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { TestContext } from "vitest";
import { ensureCloudinit } from "../../toolchain/cloudinit";
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
