/** What the script decides at one look, by `settle`, which looks and heals, and what else an operator may ask of it. */
import * as fs from "node:fs";
import { describe, expect, it } from "vitest";
import {
  at,
  failure,
  healed,
  heals,
  item,
  prints,
  reached,
  read,
  render,
  said,
  summary,
  told,
  write,
} from "./healingNode";

const settle = () => told("settle");
const done = "healing, by a normal scan\nhealed: 1 of 3 objects\n";
const healing = (why: string) => ({ code: 0, output: `to be healed: ${why}\n${done}` });
const nothing = { code: 0, output: "all drives hold everything\n" };

const setHealed = (secondsFromNow: number): void =>
  write("state/healed", `${Math.floor(Date.now() / 1000) + secondsFromNow}\n`);

/** Its last healing began a while ago. */
function healedBefore(seconds = 1000): void {
  fs.mkdirSync(at("state"));
  setHealed(-seconds);
}

describe("what is missing is healed before a node goes:", () => {
  it("once where nothing is known, and then nothing", () => {
    expect(settle()).toEqual(healing("it is not known what the drives hold"));
    expect(settle()).toEqual(nothing);
    expect(heals()).toBe(1);
    expect(said()).toMatchObject({ all: "4", looked: expect.stringMatching(/^\d+ 4$/) as string });
  });

  it.each([
    ["a drive is offline", "drives", "ok ok ok offline", "ok ok ok ok"],
    ["a drive is full", "drives", "ok full ok ok", "ok ok ok ok"],
    ["one server does not reach another", "reached", "offline", "online"],
    ["one server waits for another", "reached", "connection attempt timedout", "online"],
  ])("not while %s, and once when all are there again", (_, name, bad, good) => {
    healedBefore();
    write(name, bad);
    const output = "to be healed: a drive was away, or full\n3 of 4 drives are there\n";
    expect(settle()).toEqual({ code: 1, output });
    write(name, good);
    expect(settle()).toEqual({ code: 0, output: done });
    expect([heals(), read("state/wanted")]).toEqual([1, ""]);
  });

  it.each([
    ["a server was started anew", "uptime", "0"],
    ["a server did not reach another", "failed", "13"],
    ["a server did not reach another", "reconnected", "13"],
    ["a healing was cut off", "state/doing", "1"],
  ])("once after %s: %s", (why, name, text) => {
    healedBefore();
    // It compares what servers count with the time before.
    expect(settle()).toEqual(nothing);
    write(name, text);
    expect(settle()).toEqual(healing(why));
    expect([heals(), read("state/wanted"), read("state/doing")]).toEqual([1, "", ""]);
  });

  it("everything after its time, and where the clock was ahead", () => {
    render({ everySeconds: 100 });
    healedBefore(101);
    expect(settle()).toEqual(healing("it is time to look through everything"));
    setHealed(10_000);
    expect(settle()).toEqual(healing("it is not known what the drives hold"));
  });

  it.each([
    [
      "a client that fails",
      `${prints(failure("Get http://someone:veryhidden@x: refused"))}exit 1`,
      "exit code 1: Get http://x: refused.*",
    ],
    [
      "objects that stay behind",
      prints(item("red", "yellow", "unknown (CRC mismatch)"), item("green", "green"), summary(2, 0)),
      "1 objects are not on all drives: minio-b",
    ],
    ["an end without a sum", prints(item("yellow", "green")), "it was cut off"],
  ])("once more after %s, which it reports", (_, line, reason) => {
    write("heal", line);
    for (const tries of [1, 2]) {
      expect(settle().code).toBe(1);
      const { failed, wanted, healed: last } = said();
      expect(failed).toMatch(new RegExp(`^\\d+ ${tries} ${reason}$`));
      expect(wanted).toMatch(/ the last healing failed$/);
      expect(last).toBeUndefined();
    }
    write("heal", healed);
    expect(settle()).toEqual({ code: 0, output: done });
    expect(read("state/failed") + read("state/wanted")).toBe("");
  });

  it("nothing before its server reaches all drives by what it writes with, where there is anything", () => {
    write("reach", reached("offline"));
    expect(settle()).toEqual({ code: 1, output: "this server does not reach all drives\n" });
    expect(heals()).toBe(0);
    write("some", "");
    expect(settle().code).toBe(0);
  });

  it("nothing where the store does not tell what it has", () => {
    write("some", JSON.stringify({ status: "error", error: { message: "Unable to list folder." } }));
    write("list", "1");
    expect(settle()).toEqual({ code: 1, output: "this server does not reach all drives\n" });
    expect(heals()).toBe(0);
  });
});

describe("an operator", () => {
  it("heals at once, deeply when asked", () => {
    expect(told("now", "deep")).toEqual({
      code: 0,
      output: "healing, by a deep scan\nhealed: 1 of 3 objects\n",
    });
    expect(read("mc.log")).toMatch(
      /^.*admin heal --recursive --force-stop local\n.*admin heal --recursive --scan deep local\n$/,
    );
    expect(told("now", "faster").code).toBe(64);
    expect(told().code).toBe(64);
  });

  it("sees a healing that takes too long end", () => {
    render({ limitSeconds: 1 });
    write("heal", "exec sleep 60");
    const { code, output } = told("now");
    expect(code).toBe(1);
    expect(output).toMatch(/not healed: exit code 124/);
  });

  it("is told where MinIO does not run", () => {
    write("no-container", "");
    expect(told("now").output).toMatch(/not healed: exit code 1: no container of minio-coreos1 runs here/);
    expect(heals()).toBe(0);
  });

  it("has the login on no command line", () => {
    expect(told("now").code).toBe(0);
    expect(new Set(read("login.log").trim().split("\n"))).toEqual(
      new Set(["http://someone:veryhidden@127.0.0.1:9000"]),
    );
    expect(read("docker.log")).not.toMatch(/someone|veryhidden/);
    expect(read("mc.log")).not.toMatch(/someone|veryhidden/);
  });
});
