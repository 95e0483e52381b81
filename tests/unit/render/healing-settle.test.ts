import { spawn } from "node:child_process";
import { expect, it } from "vitest";
import {
  at,
  env,
  healed,
  heals,
  item,
  prints,
  reached,
  read,
  summary,
  told,
  until,
  watch,
  write,
} from "./healingNode";

it("settles what is missing before something goes, and heals nothing where nothing is", async () => {
  expect(told("settle")).toEqual({
    code: 0,
    output:
      "to be healed: it is not known what the drives hold\nhealing, by a normal scan\nhealed: 1 of 3 objects\n",
  });
  expect(told("settle")).toEqual({ code: 0, output: "all drives hold everything\n" });
  expect(heals()).toBe(1);
  write("drives", "ok ok ok offline");
  expect(told("settle")).toEqual({
    code: 1,
    output: "to be healed: a drive was away, or full\n3 of 4 drives are there\n",
  });
  write("drives", "ok ok ok ok");
  write("heal", prints(item("yellow", "yellow", "missing"), summary(1, 0)));
  expect(told("settle")).toEqual({
    code: 1,
    output: expect.stringContaining("1 objects are not on all drives: minio-b") as string,
  });
  write("heal", healed);
  expect(told("settle").output).toMatch(/healed: 1 of 3 objects\n$/);
  expect(read("state/wanted")).toBe("");
});

it("settles nothing before its server reaches all drives by what it writes with, where there is anything", async () => {
  write("reach", reached("offline"));
  expect(told("settle")).toEqual({ code: 1, output: "this server does not reach all drives\n" });
  expect(heals()).toBe(0);
  write("some", "");
  expect(told("settle").code).toBe(0);
});

it("takes a store that does not say what it has for one that it does not reach", async () => {
  write("some", JSON.stringify({ status: "error", error: { message: "Unable to list folder." } }));
  write("list", "1");
  expect(told("settle")).toEqual({ code: 1, output: "this server does not reach all drives\n" });
  expect(heals()).toBe(0);
});

it("settles what a healing had begun that was cut off, though nobody has looked since", async () => {
  expect(told("settle").code).toBe(0);
  write("state/doing", read("state/healed"));
  expect(told("settle").output).toMatch(
    /^to be healed: a healing was cut off\n[^]*healed: 1 of 3 objects\n$/,
  );
  expect([heals(), read("state/doing")]).toEqual([2, ""]);
});

it("settles after a healing that is under way, whose beginning may be before what is missing", async () => {
  write("heal", `sleep 2\n${healed}echo ended >> "$FAKE/mc.log"\n`);
  watch();
  await until("healing", () => heals() === 1);
  // Its clock counts whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  write("uptime", "0");
  const settling = spawn("sh", [at("script"), "settle"], { env: env(), stdio: "ignore" });
  const code = await new Promise((resolve) => settling.on("exit", resolve));
  expect(code).toBe(0);
  expect(read("mc.log").match(/--scan|^ended$/gm)).toEqual(["--scan", "ended", "--scan", "ended"]);
});
