import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles } from "@moorage/render";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const { files } = keepalivedFiles({
  node: "coreos1",
  interface: "eth0",
  address: "10.0.2.11",
  vip: "10.0.2.10",
  prefixLength: 24,
  peers: ["10.0.2.12"],
  priority: 200,
  virtualRouterId: 51,
  image: `sha256:${"a".repeat(64)}`,
});

/** Stands for ip: the node has the address while there is a file of that name. */
const ip = `#!/bin/sh
case "$*" in
  "-o addr show dev eth0 to 10.0.2.10") [ ! -e "$HERE/address" ] || echo '2: eth0 inet 10.0.2.10/24 scope global eth0' ;;
  "addr del 10.0.2.10/24 dev eth0") rm "$HERE/address" ;;
  *) echo "ip $*?" >> "$HERE/odd"; exit 64 ;;
esac
`;

/** Stands for the guard's waits of a quarter of a second: what happens in each, and whether the node has the address before it. */
const wait = `read() {
  if [ "$2" != -t ]; then builtin read "$@"; return; fi
  [ -e "$HERE/address" ] && echo has >> "$HERE/seen" || echo lacks >> "$HERE/seen"
  builtin read -r -u 8 event || exit 0
  case $event in *beats*) "$HERE/heartbeat" ;; esac
  case $event in *gets*) : > "$HERE/address" ;; esac
}
exec 8< "$HERE/events"
`;

let folder: string;
const at = (name: string): string => path.join(folder, name);
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-guard-"));
  const own = (name: string): string =>
    (files[`/etc/moorage/${name}`]?.content ?? "").replaceAll(
      "/run/moorage-keepalived/heartbeat",
      at("beats"),
    );
  fs.writeFileSync(at("ip"), ip, { mode: 0o755 });
  fs.writeFileSync(at("heartbeat"), own("keepalived/heartbeat"), { mode: 0o755 });
  fs.writeFileSync(at("guard"), wait + own("vip-guard"));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const times = (count: number, event = ""): string[] => Array<string>(count).fill(event);

/** Runs the guard through those waits. Whether the node has the address, before each of them and at the end. */
function guarded(...events: string[]): string {
  fs.writeFileSync(at("events"), events.map((event) => `${event}\n`).join(""));
  const env = { PATH: `${folder}:${process.env.PATH}`, HERE: folder };
  const { status, stderr } = spawnSync("bash", [at("guard")], { env, encoding: "utf8" });
  expect([status, stderr, fs.existsSync(at("odd"))]).toEqual([0, "", false]);
  const seen = fs.readFileSync(at("seen"), "utf8").trim().split("\n");
  return seen.map((one) => (one === "has" ? "+" : "-")).join("");
}

describe("the guard beside keepalived", () => {
  it("leaves the VIP alone while keepalived lives, which shows each half second", () => {
    expect(guarded("gets beats", ...times(10, "").flatMap(() => ["", "beats"]))).toBe(`-${"+".repeat(21)}`);
  });

  it("removes the VIP two seconds after the last sign of life", () => {
    expect(guarded("gets beats", "", "beats", ...times(10))).toBe(`-${"+".repeat(10)}---`);
  });

  it("removes it from a node where keepalived never was", () => {
    expect(guarded("gets", ...times(9))).toBe(`-${"+".repeat(7)}---`);
  });

  it("removes it again, sooner, where it comes back to a silent node", () => {
    expect(guarded("gets", ...times(7), "gets", ...times(5))).toBe(`-${"+".repeat(7)}-${"+".repeat(3)}---`);
  });

  it("does nothing where a silent node has no VIP, and leaves it alone once keepalived goes on", () => {
    expect(guarded(...times(12), "beats gets", "", "beats", "")).toBe(`${"-".repeat(13)}++++`);
  });
});
