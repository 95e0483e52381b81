import { spawnSync } from "node:child_process";
import * as os from "node:os";
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

it("goes on from what there is, with rows that were kept", () => {
  const out = path.join(os.tmpdir(), "moorage-no-such-run.md");
  const strange = chaos("--from", "no such fault");
  expect(strange.stderr).toMatch(
    /nothing has "no such fault" in its name: change: .*; power: the VIP's holder; /,
  );
  const first = chaos("--only", "drop", "--from", "drop: Swarm's leader", "--out", out);
  expect(first.stderr).toMatch(/no run has kept anything in .*moorage-no-such-run\.json: leave --from out/);
  expect(first.status).toBe(1);
});
