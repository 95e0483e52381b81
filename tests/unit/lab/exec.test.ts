import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { aliveRecord, killRecord, runVariable, startDetached, waitFor } from "../../../lab/exec";
import { checkout } from "../../../lab/instance";
import { startedWith } from "../../support/processes";

let folder: string;
let record: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  record = path.join(folder, "sleep.pid");
});

afterEach(() => {
  killRecord(record, "SIGKILL");
  fs.rmSync(folder, { recursive: true });
});

const commandOf = (pid: number): string =>
  fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");

test("a process that outlives its starter is recorded by number and start time", async () => {
  const { pid } = startDetached("sleep", ["60"], path.join(folder, "log"), record);
  expect(await waitFor(async () => (commandOf(pid) === "sleep 60 " ? true : undefined), 5000, 10)).toBe(true);
  expect(aliveRecord(record)?.pid).toBe(pid);
  expect(fs.readdirSync(folder).sort()).toEqual(["log", "sleep.pid"]);
});

test("it is none of the run of tests in which it was started, as its lab may stay", async () => {
  const own = `own-${process.pid}`;
  process.env[runVariable] = own;
  try {
    const { pid } = startDetached("sleep", ["60"], path.join(folder, "log"), record);
    await expect.poll(() => commandOf(pid), { timeout: 5000 }).toBe("sleep 60 ");
    expect(startedWith(runVariable, own)).toEqual([]);
  } finally {
    delete process.env[runVariable];
  }
});

test("it records itself, as its starter may be killed before it can", async () => {
  const script = `
    const { startDetached } = require("./lab/exec.ts");
    require("node:fs").renameSync = () => process.kill(process.pid, "SIGKILL");
    startDetached("sleep", ["60"], "${folder}/log", "${record}");`;
  const starter = spawn("npx", ["tsx", "-e", script], { cwd: checkout(), stdio: "ignore" });
  await new Promise((resolve) => starter.on("close", resolve));
  const alive = await waitFor(async () => aliveRecord(record), 5000, 10);
  expect(alive && commandOf(alive.pid)).toBe("sleep 60 ");
});
