import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles } from "@moorage/render";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-alive-"));
const at = (name: string): string => path.join(folder, name);

const { files } = keepalivedFiles({
  node: "coreos1",
  interface: "eth0",
  address: "10.0.2.11",
  vip: "10.0.2.10",
  peers: ["10.0.2.12"],
  priority: 200,
  virtualRouterId: 51,
  image: `sha256:${"a".repeat(64)}`,
});

/** What there is of the node, by the commands that are asked for it. */
interface Seen {
  /** Of keepalived's instance; nothing where it has said nothing. */
  readonly state?: string;
  readonly hasVip?: boolean;
  readonly link?: "up" | "down" | "none";
  /** What answers with 200 on this node and at the VIP; all else refuses. */
  readonly answers?: readonly string[];
  /** What its own check of the front says. */
  readonly check?: boolean;
  /** Of life, from keepalived. @default no end of them */
  readonly signs?: number;
}

const docker = `#!/bin/sh
echo "$*" >> "$HERE/docker.log"
case "$*" in
  "kill --signal USR1 moorage-keepalived") : > "$HERE/told" ;;
  "exec moorage-keepalived /bin/sh /etc/moorage/keepalived/vrrp-state") rm "$HERE/told" && echo "$STATE" ;;
  "exec moorage-keepalived /etc/moorage/keepalived/check-front") [ "$CHECK" = true ] ;;
  "exec moorage-keepalived curl "*)
    for last; do :; done
    case " $ANSWERS " in *" $last "*) ;; *) exit 7 ;; esac ;;
  *) exit 64 ;;
esac
`;

const ip = `#!/bin/sh
case "$* $LINK" in
  "-o addr show dev eth0 to 10.0.2.10 "*) [ "$HAS_VIP" != true ] || echo "2: eth0 inet 10.0.2.10/32 scope global eth0" ;;
  "-o link show dev eth0 up") echo "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP" ;;
  "-o link show dev eth0 down") echo "2: eth0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN" ;;
  *) exit 1 ;;
esac
`;

/** While the script sleeps, keepalived shows a sign of life, as often as `signs` says. */
const sleep = `#!/bin/sh
read -r left < "$HERE/signs"
[ "$left" -gt 0 ] || exit 0
echo $((left - 1)) > "$HERE/signs"
exec "$HERE/heartbeat"
`;

beforeAll(() => {
  for (const [name, text] of Object.entries({ docker, ip, sleep }))
    fs.writeFileSync(at(name), text, { mode: 0o755 });
  const own = (name: string): string =>
    (files[name]?.content ?? "")
      .replaceAll("/run/moorage-keepalived/heartbeat", at("beats"))
      .replaceAll("/etc/moorage/keepalived/router.conf", at("router.conf"));
  // It tries fewer times.
  const hasty = own("/etc/moorage/keepalived-alive").replace("-lt 120 ]", "-lt 12 ]");
  fs.writeFileSync(at("alive"), hasty.replace("-lt 12 ]; do", "-lt 2 ]; do"));
  fs.writeFileSync(at("heartbeat"), own("/etc/moorage/keepalived/heartbeat"), { mode: 0o755 });
  fs.writeFileSync(at("router.conf"), own("/etc/moorage/keepalived/router.conf"));
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

function alive(seen: Seen = {}): { code: number | null; said: string } {
  const { state = "", hasVip = false, link = "up", answers = [], check = true, signs = 10_000 } = seen;
  const env = {
    PATH: `${folder}:${process.env.PATH ?? ""}`,
    ...{ HERE: folder, STATE: state, HAS_VIP: String(hasVip), LINK: link, CHECK: String(check) },
    ANSWERS: answers.join(" "),
  };
  fs.rmSync(at("docker.log"), { force: true });
  fs.writeFileSync(at("signs"), `${signs}\n`);
  const done = spawnSync("sh", [at("alive")], { env, encoding: "utf8" });
  return { code: done.status, said: done.stderr };
}

const front = "https://127.0.0.1:443/healthz";
const vip = "https://10.0.2.10:443/healthz";
const well = [front, `${front}/registry`];

describe("what starts keepalived, or reloads its configuration, is told", () => {
  it.each<[string, Seen]>([
    ["it has the VIP", { state: "MASTER", hasVip: true }],
    ["another node has it", { state: "BACKUP", answers: [...well, vip] }],
    ["it takes no part as nginx here is down", { state: "FAULT" }],
    ["it takes no part as a neighbour reaches a registry", { state: "FAULT", answers: [front, vip] }],
  ])("that it works where %s", (_, seen) => {
    expect(alive(seen)).toEqual({ code: 0, said: "" });
  });

  it.each<[string, Seen, string]>([
    ["says nothing", {}, "state unknown: it does not begin"],
    ["does not begin", { state: "INIT" }, "state INIT: it does not begin"],
    [
      "takes no part though the front here works",
      { state: "FAULT", answers: [...well, vip] },
      "state FAULT: it takes no part, though the front here works",
    ],
    ["has no link", { state: "FAULT", link: "down" }, "state FAULT: eth0 is down, or not there"],
    ["has no interface", { state: "FAULT", link: "none" }, "state FAULT: eth0 is down, or not there"],
    [
      "leaves the VIP to nobody",
      { state: "BACKUP", answers: well },
      "state BACKUP: nobody answers at 10.0.2.10, and it does not take it",
    ],
    [
      "leaves the VIP to others, and keeps it",
      { state: "BACKUP", hasVip: true, answers: [...well, vip] },
      "state BACKUP: eth0 has 10.0.2.10, though another node should",
    ],
    [
      "cannot set the VIP",
      { state: "MASTER", answers: well },
      "state MASTER: though it should, eth0 does not have 10.0.2.10",
    ],
    [
      "has not noticed yet that its check fails",
      { state: "MASTER", hasVip: true, check: false, answers: [...well, vip] },
      "state MASTER: its check of the front says no",
    ],
    [
      "has not noticed that yet, and leaves the VIP to others",
      { state: "BACKUP", check: false, answers: [...well, vip] },
      "state BACKUP: its check of the front says no",
    ],
  ])("that it does not where it %s", (_, seen, why) => {
    expect(alive(seen)).toEqual({ code: 1, said: `keepalived is in ${why}\n` });
  });

  it.each([
    ["never was there", 0],
    ["died, or froze, after five signs of life", 5],
  ])("that it does not live where it %s", (_, signs) => {
    expect(alive({ state: "MASTER", hasVip: true, signs })).toEqual({
      code: 1,
      said: "keepalived shows no sign of life\n",
    });
    expect(fs.existsSync(at("docker.log"))).toBe(false);
  });
});
