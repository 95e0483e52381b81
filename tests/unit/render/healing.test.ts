import * as fs from "node:fs";
import { expect, it } from "vitest";
import {
  at,
  failure,
  healed,
  heals,
  item,
  looks,
  prints,
  read,
  render,
  said,
  settled,
  stopped,
  summary,
  told,
  until,
  watch,
  write,
} from "./healingNode";

it("heals once where nothing is known, and then has nothing to do", async () => {
  await settled();
  expect(read("journal")).toBe(
    "to be healed: it is not known what the drives hold\nhealing, by a normal scan\nhealed: 1 of 3 objects\n",
  );
  const now = Date.now() / 1000;
  const { healed: last, looked = "", ...rest } = said();
  expect(Math.abs(Number(last) - now)).toBeLessThan(15);
  expect(looked).toMatch(/^\d+ 4$/);
  expect(rest).toEqual({ all: "4" });
});

it.each(["offline", "full"])(
  "waits while a drive is %s, and heals once when all are there to stay",
  async (how) => {
    await settled();
    write("drives", `ok ${how} ok ok`);
    await until("the drive is missed", () => read("state/wanted").includes("a drive was away, or full"));
    await looks(4);
    expect(heals()).toBe(1);
    expect(said().looked).toMatch(/ 3$/);
    write("drives", "ok ok ok ok");
    await until("healed again", () => heals() === 2 && read("state/wanted") === "");
    await looks(4);
    expect(heals()).toBe(2);
  },
);

it("heals after a server was started anew between two looks", async () => {
  await settled();
  // Its clock counts whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  write("uptime", "0");
  await until("healed again", () => heals() === 2);
  expect(read("journal")).toContain("to be healed: a server was started anew\n");
});

it.each(["offline", "connection attempt timedout"])(
  "waits while one server has another %s, and heals once it has not",
  async (how) => {
    await settled();
    write("reached", how);
    await until("it is missed", () => read("state/wanted").includes("a drive was away, or full"));
    await looks(4);
    expect(heals()).toBe(1);
    expect(said().looked).toMatch(/ 3$/);
    write("reached", "online");
    await until("healed again", () => heals() === 2 && read("state/wanted") === "");
  },
);

it.each(["failed", "reconnected"])("heals after a server %s between two looks, once", async (counted) => {
  await settled();
  write(counted, "13");
  await until("healed again", () => heals() === 2 && read("state/doing") === "");
  expect(read("journal")).toContain("to be healed: a server did not reach another\n");
  await looks(4);
  expect(heals()).toBe(2);
});

it("waits for as many looks as it is told once it has something to heal", async () => {
  await settled();
  await stopped();
  render({ steadyLooks: 6 });
  watch();
  await looks(7);
  fs.appendFileSync(at("mc.log"), "counted\n");
  write("failed", "13");
  await until("healed again", () => heals() === 2);
  const [, between = ""] = /^counted$([^]*?)--scan/m.exec(read("mc.log")) ?? [];
  // The first of them may have been under way.
  expect(between.match(/admin info/g)?.length).toBeGreaterThanOrEqual(5);
});

it("remembers over a reboot what has to be healed, and what was cut off", async () => {
  await settled();
  write("drives", "ok ok ok");
  await until("the drive is missed", () => read("state/wanted") !== "");
  await stopped();
  fs.rmSync(at("run"), { recursive: true });
  write("heal", "sleep 30");
  write("drives", "ok ok ok ok");
  watch();
  await until("healing", () => read("state/doing") !== "" && heals() === 2);
  await stopped();
  fs.rmSync(at("run"), { recursive: true });
  write("heal", healed);
  watch();
  await until("healed", () => heals() === 3 && read("state/doing") === "");
  expect(read("journal")).toContain("to be healed: a healing was cut off\n");
  expect(read("state/wanted")).toBe("");
});

it("looks on while it heals, and heals again for what went away meanwhile", async () => {
  write("heal", `while [ -e "$FAKE/slow" ]; do sleep 0.02; done\n${healed}`);
  write("slow", "");
  watch();
  await until("healing", () => heals() === 1);
  write("drives", "ok ok ok");
  await until("the drive is missed", () => read("state/wanted") !== "");
  write("drives", "ok ok ok ok");
  await looks(3);
  expect(heals()).toBe(1);
  fs.rmSync(at("slow"));
  await until("healed again", () => heals() === 2 && read("state/wanted") === "");
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
])("tries again after %s, and says so", async (_what, line, reason) => {
  write("heal", line);
  watch();
  await until("two tries", () => /^\d+ 2 /.test(read("state/failed")));
  // Before it tries once more.
  await stopped();
  expect(said().failed).toMatch(new RegExp(`^\\d+ 2 ${reason}$`));
  expect(said().wanted).toMatch(/ the last healing failed$/);
  expect(said().healed).toBeUndefined();
  write("heal", healed);
  watch();
  await until("healed", () => read("state/healed") !== "" && read("state/failed") === "");
});

it("ends a healing that has no end", () => {
  render({ limitSeconds: 1 });
  write("heal", "exec sleep 20");
  const { code, output } = told("now");
  expect(code).toBe(1);
  expect(output).toMatch(/not healed: exit code 124/);
});

it("looks through everything after its time, and does not trust a clock that was ahead", async () => {
  await settled();
  await stopped();
  render({ everySeconds: 100 });
  write("state/healed", `${Math.floor(Date.now() / 1000) - 101}\n`);
  watch();
  await until("healed", () => heals() === 2);
  await stopped();
  expect(read("journal")).toContain("to be healed: it is time to look through everything\n");
  write("state/healed", `${Math.floor(Date.now() / 1000) + 10_000}\n`);
  fs.rmSync(at("state/doing"), { force: true });
  watch();
  await until("healed", () => heals() === 3);
});

it("heals nothing where MinIO does not run", async () => {
  write("no-container", "");
  watch();
  await until("looked", () => read("run/looked") !== "" && read("state/wanted") !== "");
  expect(said()).toMatchObject({ all: "4" });
  expect(said().looked).toMatch(/ 0$/);
  expect(heals()).toBe(0);
  expect(told("now").output).toMatch(/not healed: exit code 1: no container of minio-coreos1 runs here/);
});

it("heals at once by an operator's command, one at a time, deeply when asked", async () => {
  expect(told("now", "deep")).toEqual({
    code: 0,
    output: "healing, by a deep scan\nhealed: 1 of 3 objects\n",
  });
  expect(read("mc.log")).toMatch(
    /^.*admin heal --recursive --force-stop local\n.*admin heal --recursive --scan deep local\n$/,
  );
  expect(told("now", "faster").code).toBe(64);
  expect(told().code).toBe(64);
  write("heal", "sleep 30");
  watch();
  write("uptime", "0");
  await until("healing", () => heals() === 2);
  expect(told("now")).toEqual({ code: 1, output: expect.stringContaining("another healing runs") as string });
});

it("has its login on no command line", () => {
  expect(told("now").code).toBe(0);
  expect(new Set(read("login.log").trim().split("\n"))).toEqual(
    new Set(["http://someone:veryhidden@127.0.0.1:9000"]),
  );
  expect(read("docker.log")).not.toMatch(/someone|veryhidden/);
  expect(read("mc.log")).not.toMatch(/someone|veryhidden/);
});
