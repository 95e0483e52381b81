import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeInstance, type Instance } from "../../../lab/instance";
import { releaseStaleLock } from "../../../lab/journey/stackLock";

let instance: Instance;
let locks: string;
let env: Record<string, string>;
let other: ChildProcess;

/** A `pulumi` whose `cancel` takes all locks, as the real one does. */
beforeEach(() => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  instance = { ...describeInstance(0), dir };
  locks = path.join(dir, "backend", ".pulumi", "locks", "organization");
  fs.mkdirSync(locks, { recursive: true });
  const state = path.join(dir, "backend", ".pulumi", "stacks", "moorage", "dev.json");
  fs.mkdirSync(path.dirname(state), { recursive: true });
  fs.writeFileSync(state, "{}");
  const script = `#!/bin/sh\n[ "$1" = cancel ] && rm -f ${locks}/*.json\n`;
  fs.writeFileSync(path.join(dir, "pulumi"), script, { mode: 0o755 });
  env = { PATH: `${dir}:${process.env.PATH}` };
  other = spawn("sleep", ["60"]);
});

afterEach(() => {
  other.kill("SIGKILL");
  fs.rmSync(instance.dir, { recursive: true });
});

function lock(timestamp: Date, hostname = os.hostname()): void {
  const holder = { pid: other.pid, username: "root", hostname, timestamp: timestamp.toISOString() };
  fs.writeFileSync(path.join(locks, "one.json"), JSON.stringify(holder));
}

const held = (): number => fs.readdirSync(locks).length;

test("a stack without a lock has none to take", async () => {
  expect(await releaseStaleLock(instance, env)).toBe(false);
});

test("the lock of a process that has ended is taken", async () => {
  lock(new Date());
  other.kill("SIGKILL");
  await new Promise((resolve) => other.once("close", resolve));
  expect(await releaseStaleLock(instance, env)).toBe(true);
  expect(held()).toBe(0);
});

test("so is that of a process whose number another one has now", async () => {
  lock(new Date(Date.now() - 3_600_000));
  expect(await releaseStaleLock(instance, env)).toBe(true);
  expect(held()).toBe(0);
});

test("so is one that was cut off while it was written", async () => {
  fs.writeFileSync(path.join(locks, "one.json"), "");
  expect(await releaseStaleLock(instance, env)).toBe(true);
  expect(held()).toBe(0);
});

test("so is one that was cut off before it got its name, which `pulumi cancel` leaves", async () => {
  lock(new Date());
  other.kill("SIGKILL");
  await new Promise((resolve) => other.once("close", resolve));
  fs.renameSync(path.join(locks, "one.json"), path.join(locks, "one.json.18ec07bc27fc1979.tmp"));
  fs.writeFileSync(path.join(locks, "one.json.attrs"), "{}");
  expect(await releaseStaleLock(instance, env)).toBe(true);
  expect(fs.readdirSync(locks)).toEqual(["one.json.attrs"]);
  expect(await releaseStaleLock(instance, env)).toBe(false);
});

test("an update that is under way is waited for, which is said", async () => {
  lock(new Date());
  const said: string[] = [];
  setTimeout(() => other.kill("SIGKILL"), 500);
  expect(await releaseStaleLock(instance, env, (line) => said.push(line))).toBe(true);
  expect(said).toEqual([`  process ${other.pid} updates the stack already; waiting for it to end`]);
  expect(held()).toBe(0);
});

test("one on another machine is left alone, with what to do", async () => {
  lock(new Date(), "elsewhere");
  await expect(releaseStaleLock(instance, env)).rejects.toThrow(
    /locked by an update of process \d+ on elsewhere, .*run `pulumi cancel` if it is gone/,
  );
  expect(held()).toBe(1);
});
