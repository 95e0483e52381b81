import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { project } from "../../support/stacks";

let folder: string;

/** A `pulumi` that notes what it was asked, and shows a stack without resources. */
const pulumi = `#!/bin/sh
echo "$*" >> "${"$"}{0%/*}/asked"
echo '{"deployment": {"resources": []}}'
`;

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-ops-"));
  fs.writeFileSync(path.join(folder, "pulumi"), pulumi, { mode: 0o755 });
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

function moorage(...args: string[]) {
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH ?? ""}` };
  const tsx = path.join(project, "node_modules", ".bin", "tsx");
  return spawnSync(tsx, ["ops/main.ts", ...args], { cwd: project, env, encoding: "utf8" });
}

test("without a command, or with one that there is not, the commands are told", () => {
  expect(moorage()).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^usage: .*\n\n {2}verify \[/) as string,
  });
  expect(moorage("toString").stderr).toMatch(/^there is no command toString\n\nusage: /);
});

test("an option that there is not is answered with the usage", () => {
  const { status, stderr } = moorage("verify", "--verbos");
  expect(status).toBe(2);
  expect(stderr).toMatch(
    /^Unknown option '--verbos'[^]*\n\nusage: npm run -s moorage -- verify \[--stack S\]/,
  );
});

test("a stack that was never brought up is told as such, without a trace", () => {
  expect(moorage("verify", "--stack", "prod")).toMatchObject({
    status: 1,
    stdout: "",
    stderr: "stack at hand has no nodes in its state: run `pulumi up` first\n",
  });
  expect(fs.readFileSync(path.join(folder, "asked"), "utf8")).toBe(
    "stack export --show-secrets --stack prod\n",
  );
});
