import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

const script = path.join(__dirname, "../../../lab/guest/supervisor.sh");

let folder: string;
let other: ChildProcess;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-supervisor-"));
  other = spawn("sleep", ["60"], { stdio: "ignore" });
});

afterEach(() => {
  other.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true });
});

/** A host of which the kernel has listed one process a moment ago. */
function listed({ pid }: ChildProcess, netns: string): void {
  const ip = `#!/bin/sh\n[ "$*" != "netns pids ${netns}" ] || echo ${pid}\n`;
  fs.writeFileSync(path.join(folder, "ip"), ip, { mode: 0o755 });
  const values = { HOST: "host", PREFIX: "none", NETNS: netns, CGROUP: "no/such" };
  const lines = Object.entries(values).map(([name, value]) => `${name}='${value}'\n`);
  fs.writeFileSync(path.join(folder, "boot.env"), `PATH=${folder}:$PATH\n${lines.join("")}`);
}

const kill = () => spawnSync("bash", [script, "kill", folder], { encoding: "utf8" });
const alive = (one: ChildProcess): boolean => one.exitCode === null && one.signalCode === null;

it("leaves a process alone that has the number of one that was the host's", async () => {
  listed(other, "no-such-namespace");
  const done = kill();
  expect([done.status, done.stderr]).toEqual([0, ""]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(alive(other)).toBe(true);
});

it("kills one that is in the host's namespace", async () => {
  const netns = `moorage-unit-${process.pid}`;
  expect(spawnSync("ip", ["netns", "add", netns]).status).toBe(0);
  try {
    const its = spawn("ip", ["netns", "exec", netns, "sleep", "60"], { stdio: "ignore" });
    const ended = once(its, "exit");
    const inside = () => spawnSync("ip", ["netns", "pids", netns], { encoding: "utf8" }).stdout.trim();
    await vi.waitFor(() => expect(inside()).toBe(String(its.pid)), 5000);
    listed(its, netns);
    kill();
    expect(await ended).toEqual([null, "SIGKILL"]);
  } finally {
    spawnSync("ip", ["netns", "del", netns]);
  }
});
