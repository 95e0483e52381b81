import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderHealingScript } from "@moorage/render";
import { afterEach, beforeEach, expect, it } from "vitest";
import { failure, healed, item, prints, reached, summary } from "./healing-said";

let folder: string;
let running: ChildProcess | undefined;

const at = (name: string): string => path.join(folder, name);
/** At once, as what runs reads it all the while. */
const write = (name: string, text: string): void => {
  fs.writeFileSync(at(`${name}.new`), text);
  fs.renameSync(at(`${name}.new`), at(name));
};
const read = (name: string): string => (fs.existsSync(at(name)) ? fs.readFileSync(at(name), "utf8") : "");

/** Stands for Docker: one container, in which a line is run here, with our `mc`. */
const docker = `#!/bin/sh
echo "$*" >> "$FAKE/docker.log"
case $1 in
  ps) [ -e "$FAKE/no-container" ] || echo c0ffee ;;
  exec) shift 2; exec "$@" ;;
esac
`;

/**
 * Stands for MinIO's client: drives by `drives`, their servers' age by `uptime`, how a server sees another by
 * `reached`, `failed` and `reconnected`, a healing's end by `heal`.
 */
const mc = `#!/bin/sh
echo "$*" >> "$FAKE/mc.log"
echo "$MC_HOST_local" >> "$FAKE/login.log"
case "$*" in
  *"admin info"*)
    for server in $(cat "$FAKE/drives"); do
      room=', "availspace": 4000000000'; if [ $server = full ]; then server=ok room=; fi
      printf '{ "state": "online", "uptime": %s,\\n "drives": [ { "endpoint": "x", "state": "%s"%s } ] }\\n' "$(cat "$FAKE/uptime")" "$server" "$room"
      printf '{ "network": { "minio-a:9000": "online", "minio-b:9000": "%s" } }\\n' "$(cat "$FAKE/reached")"
    done ;;
  *prometheus*)
    printf 'minio_inter_node_traffic_dial_errors{server="a"} %s\\n' "$(date +%s%N)"
    printf 'minio_inter_node_traffic_errors_total{server="a"} %s\\n' "$(cat "$FAKE/failed")" ;;
  *"top rpc"*) printf '{\\n "connected": %s,\\n "reconnectCount": %s\\n}\\n' "$(date +%s%N)" "$(cat "$FAKE/reconnected")" ;;
  *--force-stop*) ;;
  *"ls --recursive local"*) cat "$FAKE/some" ;;
  *"admin heal --recursive local/registry/a b"*) . "$FAKE/reach" ;;
  *"admin heal"*) . "$FAKE/heal" ;;
esac
`;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-healing-"));
  fs.mkdirSync(at("bin"));
  for (const [name, text] of Object.entries({ docker, mc })) {
    fs.writeFileSync(at(`bin/${name}`), text, { mode: 0o755 });
  }
  write("user", "someone");
  write("password", "veryhidden");
  write("drives", "ok ok ok ok");
  write("uptime", "90000");
  write("reached", "online");
  write("failed", "12");
  write("reconnected", "0");
  write("heal", healed);
  write("some", JSON.stringify({ status: "success", type: "file", size: 9, key: "registry/a b" }));
  write("reach", reached("ok"));
  render();
});

afterEach(async () => {
  await stopped();
  fs.rmSync(folder, { recursive: true });
});

function render(changes: Partial<Parameters<typeof renderHealingScript>[0]> = {}): void {
  const text = renderHealingScript({
    service: "minio-coreos1",
    drives: 4,
    everySeconds: 3600,
    rootUserFile: at("user"),
    rootPasswordFile: at("password"),
    stateFolder: at("state"),
    runFolder: at("run"),
    intervalSeconds: 0.05,
    steadyLooks: 2,
    retrySeconds: 1,
    ...changes,
  });
  write("script", text);
}

const env = () => ({ PATH: `${at("bin")}:${process.env.PATH ?? ""}`, FAKE: folder });

function told(...args: string[]): { code: number | null; output: string } {
  const done = spawnSync("sh", [at("script"), ...args], { env: env(), encoding: "utf8", timeout: 20_000 });
  return { code: done.status, output: done.stdout + done.stderr };
}

const said = (): Record<string, string> =>
  Object.fromEntries(
    told("say")
      .output.trim()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );

/** The unit's process, in a group of its own as systemd has it. */
function watch(): void {
  running = spawn("sh", [at("script"), "watch"], {
    env: env(),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [running.stdout, running.stderr]) {
    stream?.on("data", (data: Buffer) => fs.appendFileSync(at("journal"), data));
  }
}

async function stopped(): Promise<void> {
  if (running?.pid === undefined) return;
  const ended = new Promise((resolve) => running?.once("close", resolve));
  process.kill(-running.pid, "SIGKILL");
  await ended;
  running = undefined;
}

const heals = (): number => (read("mc.log").match(/admin heal --recursive --scan/g) ?? []).length;

async function until(what: string, probe: () => boolean): Promise<void> {
  const end = Date.now() + 45_000;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`not in time: ${what}\n${read("journal")}\n${read("mc.log")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** So many more looks were taken. */
async function looks(count: number): Promise<void> {
  const infos = () => (read("mc.log").match(/admin info/g) ?? []).length;
  const before = infos();
  await until(`${count} looks`, () => infos() >= before + count);
}

/** It has healed once for what it did not know, and has nothing to do. */
async function settled(): Promise<void> {
  watch();
  await until("the first healing", () => read("state/healed") !== "" && read("state/doing") === "");
  await looks(3);
  expect(heals(), read("journal")).toBe(1);
}

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
  write("uptime", "90000");
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
  render({ intervalSeconds: 0.2, steadyLooks: 6 });
  watch();
  await looks(7);
  write("failed", "13");
  await until("it is wanted", () => read("state/wanted") !== "");
  await looks(3);
  expect(heals()).toBe(1);
  await until("healed again", () => heals() === 2);
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

it("settles after a healing that is under way, whose beginning may be before what is missing", async () => {
  write("heal", `sleep 2\n${healed}`);
  watch();
  await until("healing", () => heals() === 1);
  // Its clock counts whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  write("uptime", "0");
  const settling = spawn("sh", [at("script"), "settle"], { env: env(), stdio: "ignore" });
  const code = await new Promise((resolve) => settling.on("exit", resolve));
  expect(code).toBe(0);
  expect(heals()).toBe(2);
  write("uptime", "90000");
});
