/** `heal.sh` with stand-ins for Docker and for MinIO's client. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { healingFiles, healingScriptPath } from "@moorage/render";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** One container, in which a line is run here, with our `mc`. */
const docker = `#!/bin/sh
echo "$*" >> "$FAKE/docker.log"
case $1 in
  ps) [ -e "$FAKE/no-container" ] || echo c0ffee ;;
  exec) shift 4; exec "$@" ;;
esac
`;

/** Each fact of the store is a file: `drives`, their servers' `uptime`, `reached`, `failed`, `reconnected`, and `heal`. */
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
  *"admin heal"*) . "$FAKE/heal" ;;
esac
`;

let folder: string;
const at = (name: string): string => path.join(folder, name);
const write = (name: string, text: string): void => fs.writeFileSync(at(name), text);
const read = (name: string): string =>
  fs.existsSync(at(name)) ? fs.readFileSync(at(name), "utf8").trim() : "";

/** What `mc --json` prints of one object, as it was and as it is on two drives. */
const item = (before: string, after: string, state = "ok"): string => {
  const side = (color: string, second: string) => ({
    color,
    online: 2,
    drives: [
      { uuid: "", endpoint: "http://minio-a:9000/data", state: "ok" },
      { uuid: "", endpoint: "http://minio-b:9000/data", state: second },
    ],
  });
  const object = { status: "success", type: "object", name: "registry/a" };
  return JSON.stringify({ ...object, before: side(before, "missing"), after: side(after, state), size: 9 });
};

const summary = (scanned: number, healed: number): string =>
  JSON.stringify({
    status: "success",
    type: "summary",
    objects_scanned: scanned,
    objects_healed: healed,
    size: 9,
  });

const failure = (cause: string): string =>
  JSON.stringify({
    status: "error",
    error: { message: "It did not work", cause: { message: cause, error: {} }, type: "fatal" },
  });

const prints = (...lines: string[]): string => `cat <<'END'\n${lines.join("\n")}\nEND\n`;

const allHealed = prints(
  item("green", "green"),
  item("yellow", "green"),
  item("grey", "grey", "missing"),
  summary(3, 1),
);
const done = "healing, by a normal scan\nhealed: 1 of 3 objects\n";
const nothing = { code: 0, output: "" };

function run(...args: string[]): { code: number | null; output: string } {
  const env = { PATH: `${at("bin")}:${process.env.PATH ?? ""}`, FAKE: folder };
  const ended = spawnSync("sh", [at("heal.sh"), ...args], { env, encoding: "utf8", timeout: 20_000 });
  return { code: ended.status, output: ended.stdout + ended.stderr };
}

const heals = (): number => (read("mc.log").match(/admin heal --recursive --scan/g) ?? []).length;
const wanted = (): string => read("state/wanted").replace(/^\d+ /, "");

function setUp(...settings: string[]): void {
  const { files } = healingFiles({
    service: "minio-coreos1",
    drives: 4,
    everySeconds: 3600,
    rootUserFile: at("user"),
    rootPasswordFile: at("password"),
  });
  const [env, script] = ["/etc/moorage/healing/heal.env", healingScriptPath].map(
    (file) => files[file]?.content ?? "",
  );
  write("heal.sh", script ?? "");
  write("heal.env", [env, `STATE_FOLDER=${at("state")}`, ...settings].join("\n"));
}

const fromNow = (seconds: number): string => String(Math.floor(Date.now() / 1000 + seconds));

/** All was healed by a heal that began so many seconds ago. */
function healedBefore(seconds: number): void {
  fs.mkdirSync(at("state"), { recursive: true });
  write("state/healed", `${fromNow(-seconds)}\n`);
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-healing-"));
  fs.mkdirSync(at("bin"));
  for (const [name, text] of Object.entries({ docker, mc })) {
    fs.writeFileSync(at(`bin/${name}`), text, { mode: 0o755 });
  }
  const facts = {
    user: "someone",
    password: "veryhidden",
    reached: "online",
    failed: "12",
    reconnected: "0",
  };
  for (const [name, text] of Object.entries({ ...facts, drives: "ok ok ok ok", uptime: "90000" })) {
    write(name, text);
  }
  write("heal", allHealed);
  setUp();
});

afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("a tick heals", () => {
  it("what is not known, at the second tick, and then nothing", () => {
    expect(run("tick")).toEqual({ code: 0, output: "to be healed: nothing was healed yet\n" });
    expect(run("tick")).toEqual({ code: 0, output: done });
    expect(run("tick")).toEqual(nothing);
    expect([heals(), wanted()]).toEqual([1, ""]);
  });

  it.each([
    ["a drive is offline", "drives", "ok ok ok offline", "ok ok ok ok"],
    ["a drive is full", "drives", "ok full ok ok", "ok ok ok ok"],
    ["one server does not reach another", "reached", "offline", "online"],
    ["one server waits for another", "reached", "connection attempt timedout", "online"],
    ["the store does not answer", "drives", "", "ok ok ok ok"],
  ])("not while %s, and once when all drives were there at two ticks", (_, name, bad, good) => {
    healedBefore(1000);
    write(name, bad);
    expect(run("tick").output).toBe("to be healed: a drive was missing or full\n");
    expect(run("tick")).toEqual(nothing);
    write(name, good);
    expect(run("tick")).toEqual(nothing);
    expect(run("tick").output).toBe(done);
    expect(run("tick")).toEqual(nothing);
  });

  it.each([
    ["failed", "13"],
    ["reconnected", "1"],
  ])("after a server did not reach another, which the counter %s shows", (name, count) => {
    healedBefore(1000);
    expect(run("tick")).toEqual(nothing);
    write(name, count);
    expect(run("tick").output).toBe("to be healed: a server did not reach another\n");
    expect(run("tick")).toEqual(nothing);
    expect(run("tick").output).toBe(done);
  });

  it("after a restart, once the server has been up for a minute", () => {
    healedBefore(1000);
    write("uptime", "10");
    expect(run("tick").output).toBe("to be healed: a server was restarted\n");
    expect(run("tick")).toEqual(nothing);
    write("uptime", "70");
    expect(run("tick")).toEqual(nothing);
    expect(run("tick").output).toBe(done);
  });

  it("everything after its time, and where the clock was ahead", () => {
    healedBefore(3601);
    expect(run("tick").output).toBe("to be healed: the last heal is too long ago\n");
    fs.rmSync(at("state"), { recursive: true });
    healedBefore(-10_000);
    expect(run("tick").output).toBe("to be healed: nothing was healed yet\n");
  });

  it("again what was cut off", () => {
    run("tick");
    write("heal", "kill -9 $(cat $FAKE/state/pid)");
    const env = { PATH: `${at("bin")}:${process.env.PATH ?? ""}`, FAKE: folder };
    spawnSync("sh", ["-c", `echo $$ > ${at("state/pid")}; exec sh ${at("heal.sh")} tick`], { env });
    expect([heals(), wanted(), read("state/doing")]).toEqual([
      1,
      "nothing was healed yet",
      expect.any(String),
    ]);
    write("heal", allHealed);
    expect(run("status").output).not.toMatch(/doing/);
    expect(run("tick").output).toBe(done);
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
    ["an end without a summary", prints(item("yellow", "green")), "it was cut off"],
  ])("again a minute after %s, which it reports", (_, line, reason) => {
    write("heal", line);
    run("tick");
    expect(run("tick")).toMatchObject({ code: 0 });
    expect(run("status").output).toMatch(new RegExp(`^failed=\\d+ 1 ${reason}$`, "m"));
    expect(run("tick")).toEqual(nothing);
    write("state/failed", `${read("state/failed").replace(/^\d+/, fromNow(-61))}\n`);
    run("tick");
    expect(run("status").output).toMatch(new RegExp(`^failed=\\d+ 2 ${reason}$`, "m"));
    write("heal", allHealed);
    expect(run("now").output).toBe(done);
    expect(run("status").output).not.toMatch(/failed|wanted/);
  });
});

describe("before a node goes, what is missing", () => {
  it("is healed at once", () => {
    write("uptime", "10");
    expect(run("whole").output).toBe(`to be healed: nothing was healed yet\n${done}`);
    write("uptime", "90000");
    expect(run("whole")).toEqual({ code: 0, output: "all drives hold everything\n" });
  });

  it("has to be on all drives", () => {
    healedBefore(1000);
    write("drives", "ok ok ok");
    expect(run("whole")).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^3 of 4 drives are there$/m) as string,
    });
    expect(heals()).toBe(0);
  });

  it("has to be healed", () => {
    write("heal", "exit 3");
    expect(run("whole")).toMatchObject({
      code: 1,
      output: expect.stringMatching(/not healed: exit code 3/) as string,
    });
  });
});

describe("an operator", () => {
  it("heals at once, deeply when asked", () => {
    const output = "healing, by a deep scan\nhealed: 1 of 3 objects\n";
    expect(run("now", "deep")).toEqual({ code: 0, output });
    expect(read("mc.log")).toMatch(
      /^.*admin heal --recursive --force-stop local\n.*admin heal --recursive --scan deep local$/,
    );
    expect([run("now", "faster").code, run().code]).toEqual([64, 64]);
  });

  it("sees a heal that takes too long end", () => {
    setUp("LIMIT_SECONDS=1");
    write("heal", "exec sleep 60");
    expect(run("now")).toMatchObject({
      code: 1,
      output: expect.stringMatching(/not healed: exit code 124/) as string,
    });
  });

  it("sees that MinIO does not run", () => {
    write("no-container", "");
    expect(run("now").output).toMatch(/not healed: exit code 1: no container of minio-coreos1 runs here/);
  });

  it("sees that a heal is running", () => {
    const script = `sh ${at("heal.sh")}`;
    write(
      "heal",
      `for verb in status now tick; do ${script} $verb >> ${at("meanwhile")}; done\n${allHealed}`,
    );
    expect(run("now").code).toBe(0);
    expect(read("meanwhile")).toMatch(/^doing=\d+\nall=4\nanother heal is running/m);
    expect(heals()).toBe(1);
  });

  it("has the login on no command line", () => {
    expect(run("now").code).toBe(0);
    expect(new Set(read("login.log").split("\n"))).toEqual(
      new Set(["http://someone:veryhidden@127.0.0.1:9000"]),
    );
    expect(read("docker.log") + read("mc.log")).not.toMatch(/someone|veryhidden/);
  });
});
