import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { ensureTools, pulumiEnvironment, type Tools } from "../../toolchain";
import { LabError, must } from "../exec";
import { checkout, stackName, type Instance } from "../instance";
import { backendFolder, backendIn, hasStack, passphraseFile, stackFile } from "./stack";
import { releaseStaleLock } from "./stackLock";

/** Settings for some other stack that a caller's shell may have, and that would win over the lab's own. */
export const foreignSettings = ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_OPTION_STACK", "PULUMI_OPTION_CWD"];

/** The environment in which `pulumi` works on this lab's stack; what would disturb it is taken out of this process's. */
export function environmentOf(instance: Instance, tools: Tools): Record<string, string> {
  for (const name of foreignSettings) delete process.env[name];
  return {
    ...pulumiEnvironment(tools, {
      backendUrl: backendIn(backendFolder(instance)),
      passphraseFile: passphraseFile(instance),
      configFile: stackFile(instance),
    }),
    PULUMI_STACK: stackName,
  };
}

export { ensureTools };

/**
 * Makes the stack where there is none. Done in a folder of the lab's own, since `stack init` writes its salt
 * beside the `Pulumi.yaml` it finds, whatever other file is named.
 */
export async function ensureStack(instance: Instance, env: Record<string, string>): Promise<void> {
  if (hasStack(instance)) return;
  // One that was cut off has locked what it did not come to make.
  await releaseStaleLock(instance, env);
  if (hasStack(instance)) return;
  fs.mkdirSync(backendFolder(instance), { recursive: true, mode: 0o700 });
  fs.copyFileSync(path.join(checkout(), "Pulumi.yaml"), path.join(instance.dir, "Pulumi.yaml"));
  await must("pulumi", ["-C", instance.dir, "stack", "init", "--no-select", stackName], { env });
}

/** Runs `pulumi` with its output on the terminal, and fails with its exit code. */
export function pulumi(args: readonly string[], env: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("pulumi", [...args], {
      env: { ...process.env, ...env },
      cwd: checkout(),
      stdio: "inherit",
    });
    // Whoever is told to end waits for Pulumi to write down what it has made. Ctrl-C reaches it by the terminal.
    const passOn = (): boolean => child.kill("SIGTERM");
    const wait = (): void => undefined;
    process.on("SIGTERM", passOn).on("SIGINT", wait);
    child.on("error", (error) => reject(new LabError(`cannot run pulumi: ${error.message}`)));
    child.on("close", () => process.off("SIGTERM", passOn).off("SIGINT", wait));
    child.on("close", (code) =>
      code === 0
        ? resolve()
        : reject(
            new LabError(
              `pulumi ${args[0]} ended with exit code ${code}; see above, then run make lab again: it goes on from here`,
            ),
          ),
    );
  });
}

/** The host keys that the stack made, by node: type and key, without a comment. */
export async function madeHostKeys(env: Record<string, string>): Promise<Record<string, string>> {
  const text = await must("pulumi", ["stack", "export"], { env, cwd: checkout() });
  const { deployment } = JSON.parse(text) as {
    deployment?: { resources?: { urn: string; outputs?: { publicKeyOpenssh?: string } }[] };
  };
  const keys = (deployment?.resources ?? []).flatMap(({ urn, outputs }) => {
    const node = /::([^:]+)-host-key$/.exec(urn)?.[1];
    const key = outputs?.publicKeyOpenssh?.trim();
    return node !== undefined && key !== undefined ? [[node, key] as const] : [];
  });
  return Object.fromEntries(keys);
}

/** The stack's outputs, secrets included. */
export async function outputs(env: Record<string, string>): Promise<Record<string, unknown>> {
  const text = await must("pulumi", ["stack", "output", "--json", "--show-secrets"], {
    env,
    cwd: checkout(),
  });
  return JSON.parse(text) as Record<string, unknown>;
}
