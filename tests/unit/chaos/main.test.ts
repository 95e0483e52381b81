import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { expect, it } from "vitest";
import { project } from "../../support/stacks";

it("make chaos runs without a test runner, and names what there is where nothing is chosen", () => {
  const tsx = path.join(project, "node_modules/.bin/tsx");
  const { status, stderr } = spawnSync(tsx, ["tests/chaos/main.ts", "--only", "no such fault"], {
    cwd: project,
    encoding: "utf8",
  });
  expect(stderr).toMatch(/no fault and no change has "no such fault" in its name: .*power/);
  expect(status).toBe(1);
});
