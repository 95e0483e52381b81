import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { expect, it } from "vitest";
import { project } from "../../support/stacks";

const chaos = (...args: string[]) => {
  const tsx = path.join(project, "node_modules/.bin/tsx");
  const options = { cwd: project, encoding: "utf8" } as const;
  return spawnSync(tsx, ["tests/chaos/main.ts", ...args], options);
};

it("make chaos runs without a test runner, and names what there is where nothing is chosen", () => {
  const { status, stderr } = chaos("--only", "no such fault");
  expect(stderr).toMatch(/no fault and no change has "no such fault" in its name: .*power/);
  expect(status).toBe(1);
});

it("goes on from something that there is", () => {
  const { status, stderr } = chaos("--only", "drop", "--from", "power");
  expect(stderr).toMatch(/nothing has "power" in its name: drop-in: the VIP's holder; /);
  expect(status).toBe(1);
});
