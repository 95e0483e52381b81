import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { checkout } from "../../../lab/instance";
import { expect, test } from "vitest";

const tsx = `${checkout()}/node_modules/.bin/tsx`;
const options = { cwd: checkout(), encoding: "utf8" } as const;

/** Takes a lab's number as the commands do, says it, and stays. */
const taking = `
  require("./tests/support/freeLab").takeLab().then(({ number }) => {
    console.log(number);
    setInterval(() => undefined, 60_000);
  });`;

test.each(["SIGINT", "SIGTERM"] as const)("a command that is ended by %s leaves no lab", async (signal) => {
  const child = spawn(tsx, ["tests/run.ts", tsx, "--eval", taking], { cwd: checkout(), detached: true });
  const ended = once(child, "exit");
  const number = String(await once(child.stdout, "data")).trim();
  const claim = `/run/lock/moorage-lab/tests-${number}`;
  expect(fs.existsSync(claim)).toBe(true);
  // Ctrl-C reaches all of a terminal's group.
  process.kill(signal === "SIGINT" ? -Number(child.pid) : Number(child.pid), signal);
  const [code] = (await ended) as [number];
  expect(code).toBeGreaterThan(0);
  expect(fs.existsSync(claim)).toBe(false);
});

test("a command's end is its own", () => {
  expect(spawnSync(tsx, ["tests/run.ts", "sh", "-c", "exit 7"], options)).toMatchObject({ status: 7 });
});

test("a command that is not there is named", () => {
  const { status, stderr } = spawnSync(tsx, ["tests/run.ts", "no-such-command"], options);
  expect([status, stderr]).toEqual([1, "spawn no-such-command ENOENT\n"]);
});
