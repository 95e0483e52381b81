/** A node with the script that heals, and what it asks as stand-ins: for Docker, and for MinIO's client. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderHealingScript } from "@moorage/render";
import { afterEach, beforeEach, expect } from "vitest";
import { until } from "../../support/waiting";

let folder: string;
let running: ChildProcess | undefined;

export const at = (name: string): string => path.join(folder, name);
/** At once, as what runs reads it all the while. */
export const write = (name: string, text: string): void => {
  fs.writeFileSync(at(`${name}.new`), text);
  fs.renameSync(at(`${name}.new`), at(name));
};
export const read = (name: string): string =>
  fs.existsSync(at(name)) ? fs.readFileSync(at(name), "utf8") : "";

/** Stands for Docker: one container, in which a line is run here, with our `mc`. */
const docker = `#!/bin/sh
echo "$*" >> "$FAKE/docker.log"
case $1 in
  ps) [ -e "$FAKE/no-container" ] || echo c0ffee ;;
  exec) shift 2; exec "$@" ;;
esac
`;

/**
 * Stands for MinIO's client: drives by `drives`, their servers' age when it was written by `uptime`, how a server sees another by
 * `reached`, `failed` and `reconnected`, a healing's end by `heal`, and a list's, after `some`, by `list`.
 */
const mc = `#!/bin/sh
echo "$*" >> "$FAKE/mc.log"
echo "$MC_HOST_local" >> "$FAKE/login.log"
case "$*" in
  *"admin info"*)
    uptime=$(($(cat "$FAKE/uptime") + $(date +%s) - $(stat -c %Y "$FAKE/uptime")))
    for server in $(cat "$FAKE/drives"); do
      room=', "availspace": 4000000000'; if [ $server = full ]; then server=ok room=; fi
      printf '{ "state": "online", "uptime": %s,\\n "drives": [ { "endpoint": "x", "state": "%s"%s } ] }\\n' "$uptime" "$server" "$room"
      printf '{ "network": { "minio-a:9000": "online", "minio-b:9000": "%s" } }\\n' "$(cat "$FAKE/reached")"
    done ;;
  *prometheus*)
    printf 'minio_inter_node_traffic_dial_errors{server="a"} %s\\n' "$(date +%s%N)"
    printf 'minio_inter_node_traffic_errors_total{server="a"} %s\\n' "$(cat "$FAKE/failed")" ;;
  *"top rpc"*) printf '{\\n "connected": %s,\\n "reconnectCount": %s\\n}\\n' "$(date +%s%N)" "$(cat "$FAKE/reconnected")" ;;
  *--force-stop*) ;;
  *"ls --recursive local"*) cat "$FAKE/some"; exit "$(cat "$FAKE/list")" ;;
  *"admin heal --recursive local/registry/a b"*) . "$FAKE/reach" ;;
  *"admin heal"*) . "$FAKE/heal" ;;
esac
`;

/** What `mc --json` prints of one object, as it was and as it is on two drives. */
export const item = (before: string, after: string, state = "ok"): string => {
  const side = (color: string, second: string) => ({
    color,
    online: 2,
    drives: [
      { uuid: "", endpoint: "http://minio-a:9000/data", state: "ok" },
      { uuid: "", endpoint: "http://minio-b:9000/data", state: second },
    ],
  });
  const whole = { status: "success", type: "object", name: "registry/a", before: side(before, "missing") };
  return JSON.stringify({ ...whole, after: side(after, state), size: 9 });
};

export const summary = (scanned: number, done: number): string =>
  JSON.stringify({
    status: "success",
    type: "summary",
    objects_scanned: scanned,
    objects_healed: done,
    size: 9,
  });

export const failure = (cause: string): string =>
  JSON.stringify({
    status: "error",
    error: { message: "It did not work", cause: { message: cause, error: {} }, type: "fatal" },
  });

export const prints = (...lines: string[]): string => `cat <<'END'\n${lines.join("\n")}\nEND\n`;

/** What `mc --json` prints of one object that is on all drives but the second one, which is in this state. */
export const reached = (state: string): string => {
  const drives = [{ state: "ok" }, { state }];
  return prints(JSON.stringify({ type: "object", before: { drives }, after: { drives } }), summary(1, 0));
};

export const healed = prints(
  item("green", "green"),
  item("yellow", "green"),
  item("grey", "grey", "missing"),
  summary(3, 1),
);

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
  write("list", "0");
  write("reach", reached("ok"));
  render();
});

afterEach(async () => {
  await stopped();
  fs.rmSync(folder, { recursive: true });
});

export function render(changes: Partial<Parameters<typeof renderHealingScript>[0]> = {}): void {
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

export const env = () => ({ PATH: `${at("bin")}:${process.env.PATH ?? ""}`, FAKE: folder });

export function told(...args: string[]): { code: number | null; output: string } {
  const done = spawnSync("sh", [at("script"), ...args], { env: env(), encoding: "utf8", timeout: 20_000 });
  return { code: done.status, output: done.stdout + done.stderr };
}

export const said = (): Record<string, string> =>
  Object.fromEntries(
    told("say")
      .output.trim()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );

/** The unit's process, in a group of its own as systemd has it. */
export function watch(): void {
  running = spawn("sh", [at("script"), "watch"], {
    env: env(),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [running.stdout, running.stderr]) {
    stream?.on("data", (data: Buffer) => fs.appendFileSync(at("journal"), data));
  }
}

export async function stopped(): Promise<void> {
  if (running?.pid === undefined) return;
  const ended = new Promise((resolve) => running?.once("close", resolve));
  process.kill(-running.pid, "SIGKILL");
  await ended;
  running = undefined;
}

export const heals = (): number => (read("mc.log").match(/admin heal --recursive --scan/g) ?? []).length;

/** Waits until `probe` is true. */
export const shows = (what: string, probe: () => boolean): Promise<void> =>
  until(what, () => expect(probe(), `${read("journal")}\n${read("mc.log")}`).toBe(true), { everyMs: 20 });

/** Waits for so many more looks. */
export async function looks(count: number): Promise<void> {
  const infos = () => (read("mc.log").match(/admin info/g) ?? []).length;
  const before = infos();
  await shows(`${count} looks`, () => infos() >= before + count);
}

/** It has healed once for what it did not know, and has nothing to do. */
export async function settled(): Promise<void> {
  watch();
  await shows("the first healing", () => read("state/healed") !== "" && read("state/doing") === "");
  await looks(3);
  expect(heals(), read("journal")).toBe(1);
}
