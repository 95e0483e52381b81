/** The service that looks and heals by itself, over several of its looks. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { expect, it } from "vitest";
import { pause } from "../../support/waiting";
import {
  at,
  env,
  failure,
  healed,
  heals,
  looks,
  prints,
  read,
  render,
  said,
  settled,
  shows,
  stopped,
  told,
  watch,
  write,
} from "../../unit/render/healingNode";

it("waits while a drive is offline, and heals once when all are there to stay", async () => {
  await settled();
  write("drives", "ok offline ok ok");
  await shows("the drive is missed", () => read("state/wanted").includes("a drive was away, or full"));
  await looks(4);
  expect(heals()).toBe(1);
  expect(said().looked).toMatch(/ 3$/);
  write("drives", "ok ok ok ok");
  await shows("healed again", () => heals() === 2 && read("state/wanted") === "");
  await looks(4);
  expect(heals()).toBe(2);
});

it("waits for a given number of looks once it has something to heal", async () => {
  await settled();
  await stopped();
  render({ steadyLooks: 6 });
  watch();
  await looks(7);
  fs.appendFileSync(at("mc.log"), "counted\n");
  write("failed", "13");
  await shows("healed again", () => heals() === 2);
  const [, between = ""] = /^counted$([^]*?)--scan/m.exec(read("mc.log")) ?? [];
  // The first of them may have been under way.
  expect(between.match(/admin info/g)?.length).toBeGreaterThanOrEqual(5);
});

it("remembers over a reboot what has to be healed, and what was cut off", async () => {
  await settled();
  write("drives", "ok ok ok");
  await shows("the drive is missed", () => read("state/wanted") !== "");
  await stopped();
  fs.rmSync(at("run"), { recursive: true });
  write("heal", "sleep 30");
  write("drives", "ok ok ok ok");
  watch();
  await shows("healing", () => read("state/doing") !== "" && heals() === 2);
  await stopped();
  fs.rmSync(at("run"), { recursive: true });
  write("heal", healed);
  watch();
  await shows("healed", () => heals() === 3 && read("state/doing") === "");
  expect(read("journal")).toContain("to be healed: a healing was cut off\n");
  expect(read("state/wanted")).toBe("");
});

it("looks on while it heals, and heals again for what went away meanwhile", async () => {
  write("heal", `while [ -e "$FAKE/slow" ]; do sleep 0.02; done\n${healed}`);
  write("slow", "");
  watch();
  await shows("healing", () => heals() === 1);
  expect(told("now")).toEqual({ code: 1, output: expect.stringContaining("another healing runs") as string });
  write("drives", "ok ok ok");
  await shows("the drive is missed", () => read("state/wanted") !== "");
  write("drives", "ok ok ok ok");
  await looks(3);
  expect(heals()).toBe(1);
  fs.rmSync(at("slow"));
  await shows("healed again", () => heals() === 2 && read("state/wanted") === "");
});

it("tries again after a failure", async () => {
  write("heal", `${prints(failure("refused"))}exit 1`);
  watch();
  await shows("two tries", () => /^\d+ 2 /.test(read("state/failed")));
  write("heal", healed);
  await shows("healed", () => read("state/healed") !== "" && read("state/failed") === "");
});

it("settles after a healing that is under way, whose beginning may be before what is missing", async () => {
  write("heal", `sleep 2\n${healed}echo ended >> "$FAKE/mc.log"\n`);
  watch();
  await shows("healing", () => heals() === 1);
  // Its clock counts whole seconds.
  await pause(1100);
  write("uptime", "0");
  const settling = spawn("sh", [at("script"), "settle"], { env: env(), stdio: "ignore" });
  const code = await new Promise((resolve) => settling.on("exit", resolve));
  expect(code).toBe(0);
  expect(read("mc.log").match(/--scan|^ended$/gm)).toEqual(["--scan", "ended", "--scan", "ended"]);
});
