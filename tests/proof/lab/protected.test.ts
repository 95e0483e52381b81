import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must, run } from "../../../lab/exec";
import { ensureTools, pulumiEnvironment } from "../../../toolchain";

const program = path.join(__dirname, "authority");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-authority-"));
const plain = ["--stack", "dev", "--non-interactive", "--color", "never"];

let env: Record<string, string>;

beforeAll(async () => {
  const backendUrl = `file://${folder}`;
  env = {
    ...pulumiEnvironment(await ensureTools(() => undefined), {
      backendUrl,
      passphrase: "protected",
      configFile: path.join(folder, "Pulumi.dev.yaml"),
    }),
    MOORAGE_STAND_INS_FOR: backendUrl,
  };
  fs.copyFileSync(path.join(program, "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
  await must("pulumi", ["-C", folder, "stack", "init", "--no-select", "dev"], { env });
});

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs `pulumi` on the CA's stack, which must succeed. */
const pulumi = (...args: string[]): Promise<string> =>
  must("pulumi", ["-C", program, ...args, ...plain], { env });

/** Names of the resources in the state. */
async function recorded(): Promise<string[]> {
  const { deployment } = JSON.parse(await pulumi("stack", "export")) as {
    deployment: { resources?: { urn: string }[] };
  };
  return (deployment.resources ?? []).map(({ urn }) => urn.split("::").at(-1) ?? "").sort();
}

test("`destroy` refuses to delete a protected CA, names it, and deletes nothing", async () => {
  await pulumi("up", "--yes", "--skip-preview");
  const before = await recorded();
  const protectedOnes = ["", "-docker", "-etcd"].flatMap((ca) => [`ca${ca}-certificate`, `ca${ca}-key`]);
  expect(before).toEqual(expect.arrayContaining([...protectedOnes, "ca-front-certificate"]));
  const { code, output } = await run("pulumi", ["-C", program, "destroy", "--yes", ...plain], { env });
  expect(code).not.toBe(0);
  expect(output).toMatch(
    /resource "urn:pulumi:dev::[^"]*::ca(-docker|-etcd)?-(certificate|key)" cannot be deleted\s+because it is protected/,
  );
  expect(await recorded()).toEqual(before);
});

test("once the CA is unprotected, `destroy` deletes everything", async () => {
  await pulumi("state", "unprotect", "--all", "--yes");
  await pulumi("destroy", "--yes");
  expect(await recorded()).toEqual([]);
});
