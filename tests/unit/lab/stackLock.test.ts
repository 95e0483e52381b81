import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeInstance, type Instance } from "../../../lab/instance";
import { ensureStack } from "../../../lab/journey/pulumi";
import { releaseStaleLock } from "../../../lab/journey/stackLock";

let instance: Instance;
let pulumi: string;
let locks: string;
let env: Record<string, string>;
let holder: ChildProcess;

/** A `pulumi` that refuses to create a stack while there is a lock, and whose `cancel` removes all locks. */
beforeEach(() => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  instance = { ...describeInstance(0), dir };
  pulumi = path.join(dir, "backend", ".pulumi");
  locks = path.join(pulumi, "locks");
  const script = `#!/bin/sh
case "$*" in
cancel*) rm -f ${locks}/*.json ;;
*"stack init"*)
  [ -z "$(ls ${locks} 2>/dev/null)" ] || exit 1
  mkdir -p ${pulumi}/stacks/moorage && echo '{}' >${pulumi}/stacks/moorage/dev.json ;;
esac
`;
  fs.writeFileSync(path.join(dir, "pulumi"), script, { mode: 0o755 });
  env = { PATH: `${dir}:${process.env.PATH}` };
  holder = spawn("sleep", ["60"]);
});

afterEach(() => {
  holder.kill("SIGKILL");
  fs.rmSync(instance.dir, { recursive: true });
});

async function endHolder(): Promise<void> {
  const ended = once(holder, "close");
  holder.kill("SIGKILL");
  await ended;
}

function write(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

const lockOf = (more: object = {}): string =>
  JSON.stringify({ pid: holder.pid, hostname: os.hostname(), timestamp: new Date().toISOString(), ...more });
const lock = (text = lockOf(), name = "one.json"): void => write(path.join(locks, name), text);
const stack = (): string => path.join(pulumi, "stacks", "moorage", "dev.json");

describe("the lock of a stack", () => {
  beforeEach(() => {
    write(stack(), "{}");
    fs.mkdirSync(locks, { recursive: true });
  });

  test("is none to release if there is none", async () => {
    expect(await releaseStaleLock(instance, env)).toBe(false);
  });

  test.each<[string, () => void | Promise<void>]>([
    ["its process has ended", () => (lock(), endHolder())],
    ["another process has its number now", () => lock(lockOf({ timestamp: "2020-01-01T00:00:00Z" }))],
    ["its file is not whole", () => lock("")],
    ["its file has no final name yet", () => (lock(lockOf(), "one.json.18ec07bc27fc1979.tmp"), endHolder())],
  ])("is released if %s", async (_why, begin) => {
    await begin();
    write(path.join(locks, "one.json.attrs"), "{}");
    expect(await releaseStaleLock(instance, env)).toBe(true);
    expect(fs.readdirSync(locks)).toEqual(["one.json.attrs"]);
    expect(await releaseStaleLock(instance, env)).toBe(false);
  });

  test("is left to an update that runs, until that ends", async () => {
    lock();
    const said: string[] = [];
    const say = (line: string): void => {
      expect(fs.readdirSync(locks)).toEqual(["one.json"]);
      said.push(line);
      holder.kill("SIGKILL");
    };
    expect(await releaseStaleLock(instance, env, say)).toBe(true);
    expect(said).toEqual([`  process ${holder.pid} updates the stack already; waiting for it to end`]);
    expect(fs.readdirSync(locks)).toEqual([]);
  });

  test("is left to another machine, with a message that says what to do", async () => {
    lock(lockOf({ hostname: "elsewhere" }));
    await expect(releaseStaleLock(instance, env)).rejects.toThrow(
      /locked by an update of process \d+ on elsewhere, .*run `pulumi cancel` if it is gone/,
    );
    expect(fs.readdirSync(locks)).toEqual(["one.json"]);
  });
});

test.each<[string, () => void]>([
  ["before anything", () => undefined],
  ["with a lock alone", () => lock()],
  ["while it wrote the lock", () => lock(lockOf().slice(0, 10))],
  ["before the lock had its name", () => lock(lockOf(), "one.json.18ec07bc27fc1979.tmp")],
  ["between folder and file", () => fs.mkdirSync(path.dirname(stack()), { recursive: true })],
  ["while it wrote the file", () => (lock(), write(`${stack()}.18ec07aa02d0f9fa.tmp`, "{"))],
])("a stack is created if the creation before it was cut off %s", async (_where, cutOff) => {
  cutOff();
  await endHolder();
  await ensureStack(instance, env);
  expect(fs.existsSync(stack())).toBe(true);
});
