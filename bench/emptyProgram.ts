/** The program beside which Moorage is measured, with a stack of its own among the lab's files. */
import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "../lab/exec";
import { checkout } from "../lab/instance";
import type { Ran, TestLab } from "../tests/support/testLab";

export type Pulumi = (args: string[], env?: Record<string, string>) => Promise<Ran>;

/** What Pulumi finds its stack by in `folder`, and where plugins have no more than stand-ins, what lets them serve it. */
export function emptyEnvironment(folder: string): Record<string, string> {
  const backend = `file://${path.join(folder, "backend")}`;
  return {
    PULUMI_BACKEND_URL: backend,
    MOORAGE_STAND_INS_FOR: backend,
    PULUMI_OPTION_CONFIG_FILE: path.join(folder, "Pulumi.dev.yaml"),
  };
}

/** Runs it with a stack and a backend in the lab's folder. */
export async function emptyProgram(lab: TestLab): Promise<Pulumi> {
  const source = path.join(checkout(), "bench", "empty");
  const folder = path.join(lab.instance.dir, "empty");
  fs.mkdirSync(path.join(folder, "backend"), { recursive: true, mode: 0o700 });
  fs.copyFileSync(path.join(source, "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
  const env = { ...lab.env, ...emptyEnvironment(folder) };
  await must("pulumi", ["-C", folder, "stack", "init", "--no-select", "dev"], { env });
  return (args) => lab.pulumi(args, { cwd: source, env });
}
