import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cacheRoot, madeOnce, pointTo, withLock } from "../../../toolchain/cache";
import { run } from "../../../toolchain/run";
import { CHECKOUT, World } from "./world";

let world: World;
beforeEach(() => void (world = new World()));
afterEach(() => world.remove());

describe("the cache", () => {
  it("stands where MOORAGE_CACHE, XDG_CACHE_HOME or HOME say, in this order", () => {
    expect(cacheRoot({ MOORAGE_CACHE: "/m", XDG_CACHE_HOME: "/x", HOME: "/h" })).toBe("/m");
    expect(cacheRoot({ XDG_CACHE_HOME: "/x", HOME: "/h" })).toBe("/x/moorage");
    expect(cacheRoot({ HOME: "/h" })).toBe("/h/.cache/moorage");
  });

  it("makes a folder once when two ask for it at a time: the second says that it waits", async () => {
    const target = path.join(world.cache, "tools/thing");
    let made = 0;
    const make = () =>
      madeOnce(target, "thing 1", world.setting.log, async (temporary) => {
        made++;
        await new Promise((resolve) => setTimeout(resolve, 100));
        fs.writeFileSync(path.join(temporary, "file"), "whole");
      });
    expect(await Promise.all([make(), make()])).toEqual([target, target]);
    expect(made).toBe(1);
    expect(world.lines).toEqual(["thing 1: waiting for another run that is at it"]);
    expect(fs.readFileSync(path.join(target, "file"), "utf8")).toBe("whole");
  });

  it("has let a lock go when the work is done, so that the next one does not wait", async () => {
    const file = path.join(world.cache, "lock");
    for (let round = 0; round < 5; round++)
      await withLock(file, "thing", world.setting.log, async () => undefined);
    expect(world.lines).toEqual([]);
  });

  it("leaves nothing behind when making fails, and makes it the next time", async () => {
    const target = path.join(world.cache, "tools/thing");
    const fails = madeOnce(target, "thing", world.setting.log, async (temporary) => {
      fs.writeFileSync(path.join(temporary, "half"), "");
      throw new Error("no");
    });
    await expect(fails).rejects.toThrow("no");
    expect(fs.readdirSync(path.dirname(target)).filter((name) => !name.endsWith(".lock"))).toEqual([]);
    await madeOnce(target, "thing", world.setting.log, async () => undefined);
    expect(fs.readdirSync(target)).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("goes into nothing that a run cut off left mounted", async () => {
    const target = path.join(world.cache, "tools/thing");
    const mounted = path.join(world.cache, "tools/.thing.tmp/mounted");
    fs.mkdirSync(mounted, { recursive: true });
    await run("mount", ["-t", "tmpfs", "tmpfs", mounted], { env: process.env });
    try {
      fs.writeFileSync(path.join(mounted, "file"), "");
      const made = madeOnce(target, "thing", world.setting.log, async () => undefined);
      await expect(made).rejects.toThrow(/\.thing\.tmp cannot be removed: rm: .*mounted/);
      expect(fs.readdirSync(mounted)).toEqual(["file"]);
    } finally {
      await run("umount", [mounted], { env: process.env });
    }
    expect(await madeOnce(target, "thing", world.setting.log, async () => undefined)).toBe(target);
  });

  it("does not wait for a run that was killed while it held the lock", async () => {
    const lock = path.join(world.cache, "lock");
    const script = `require("tsx/cjs"); require("./toolchain/cache").withLock(${JSON.stringify(lock)}, "x", console.log,
      () => { console.log("held"); return new Promise(() => setInterval(() => 0, 1000)); })`;
    const other = spawn(process.execPath, ["-e", script], {
      cwd: CHECKOUT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(other.stdout, "data");
    other.kill("SIGKILL");
    expect(await withLock(lock, "x", world.setting.log, async () => "mine")).toBe("mine");
  });

  it("replaces a link in one step", () => {
    const link = path.join(world.cache, "bin/tool");
    pointTo(link, "/one");
    pointTo(link, "/two");
    expect(fs.readlinkSync(link)).toBe("/two");
    expect(fs.readdirSync(path.dirname(link))).toEqual(["tool"]);
  });
});
