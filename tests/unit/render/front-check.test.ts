import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderFrontCheck } from "../../../render/src/front-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

const peers = ["10.0.2.12", "10.0.2.13", "10.0.2.14"];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-check-"));
const script = path.join(folder, "check-front");
/** It stands still, but for what times out. */
const [clockPath, uptime] = [path.join(folder, "uptime"), 1000];

/**
 * Stands for curl: answers from ANSWERS, a list of `host/path=answer`, one URL after the other until one fails. `late` is
 * a timeout, in which the clock goes on, and then well.
 */
const curl = `#!/bin/sh
echo "$*" >> "$0.calls"
answer_of() {
  host=\${1%%:*}
  path=/\${1#*/}
  for pair in $ANSWERS; do
    case $pair in "$host$path="*) echo \${pair#*=}; return ;; esac
  done
}
timed_out() {
  read -r up _ < "\${0%/*}/uptime"
  awk -v up=$up -v limit=$limit 'BEGIN { printf "%.2f 0.00\\n", up + limit }' > "\${0%/*}/uptime"
  touch "$0.late"
}
for word; do
  [ "$last" != --max-time ] || limit=$word
  last=$word
  answer=$(answer_of \${word#*://})
  [ "$answer" != late ] || [ ! -e "$0.late" ] || answer=ok
  [ "$answer" != late ] || timed_out
  case $word in
    %{http_code}_) codes=yes ;;
    "%{exitcode}_%{time_connect}_%{time_total} ") codes=no ;;
    "%{http_code} ") codes=each ;;
    https://* | ftp://*)
      case $answer in
        ok) status=0 code=200 times=0.001_0.004 ;;
        503) status=22 code=503 times=0.001_0.004 ;;
        refused) status=7 code=000 times=0.000000_0.000312 ;;
        unreachable) status=7 code=000 times=0.000000_0.312000 ;;
        *) status=28 code=000 times=0.000000_0.400000 ;;
      esac
      case $codes in
        yes) printf '%s_' $code ;;
        no) printf '%s_%s ' $status $times && continue ;;
        each) printf '%s ' $code && continue ;;
      esac
      [ $status = 0 ] || exit $status ;;
  esac
done
`;

beforeAll(() => {
  fs.writeFileSync(path.join(folder, "curl"), curl, { mode: 0o755 });
  const check = { port: 443, peers, witnesses: peers, seenFolder: folder, clockPath };
  fs.writeFileSync(script, renderFrontCheck(check), { mode: 0o755 });
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

function mayHold(answers: Record<string, string>): boolean {
  fs.rmSync(path.join(folder, "curl.late"), { force: true });
  fs.writeFileSync(clockPath, `${uptime}.00 0.00\n`);
  const text = Object.entries(answers).map(([place, answer]) => `${place}=${answer}`);
  const env = { PATH: `${folder}:${process.env.PATH ?? ""}`, ANSWERS: text.join(" ") };
  const result = spawnSync("sh", [script], { env });
  expect(result.stderr.toString()).toBe("");
  return result.status === 0;
}

/** The curls that were started since the last time. */
function curls(): string[] {
  const file = path.join(folder, "curl.calls");
  const calls = fs.readFileSync(file, "utf8").trim().split("\n");
  fs.rmSync(file);
  return calls;
}

/** What the watches have noted, so many seconds ago; the last 200 may have been longer ago. */
function seen(codes: Readonly<Record<string, number>>, seconds: number, well = seconds): void {
  for (const [name, code] of Object.entries(codes)) {
    const note = `${(uptime - seconds).toFixed(2)} ${code} ${(uptime - well).toFixed(2)}\n`;
    fs.writeFileSync(path.join(folder, `seen-${name}`), note);
  }
}

const here = "127.0.0.1/healthz";
const works = "127.0.0.1/healthz/registry";

describe("whether a node may hold the VIP", () => {
  it.each([
    ["all is well", { [here]: "ok", [works]: "ok", "10.0.2.12/healthz": "ok" }, true],
    ["nginx here is down", { [here]: "refused", "10.0.2.12/healthz": "ok" }, false],
    ["nginx here hangs", { "10.0.2.12/healthz": "ok" }, false],
    ["nginx here is late once", { [here]: "late", [works]: "ok", "10.0.2.12/healthz": "ok" }, true],
    ["only one neighbour is left", { [here]: "ok", [works]: "ok", "10.0.2.14/healthz": "ok" }, true],
    [
      "a neighbour's nginx is down but the node is there",
      { [here]: "ok", [works]: "ok", "10.0.2.13/healthz": "refused" },
      true,
    ],
    ["cut off from all, with a registry that still seems to work", { [here]: "ok", [works]: "ok" }, false],
    ["no route to any", { [here]: "ok", [works]: "ok", "10.0.2.12/healthz": "unreachable" }, false],
    [
      "a neighbour answers to Swarm's gossip alone",
      { [here]: "ok", [works]: "ok", "10.0.2.13/": "ok" },
      true,
    ],
    [
      "a neighbour refuses that at once, and drops the rest",
      { [here]: "ok", [works]: "ok", "10.0.2.13/": "refused" },
      true,
    ],
    [
      "no registry from here, but from a neighbour",
      { [here]: "ok", [works]: "503", "10.0.2.12/healthz": "ok", "10.0.2.13/healthz/registry": "ok" },
      false,
    ],
    [
      "a registry from here is late once, and a neighbour's works",
      { [here]: "ok", [works]: "late", "10.0.2.12/healthz": "ok", "10.0.2.13/healthz/registry": "ok" },
      true,
    ],
    [
      "a registry from here hangs, and a neighbour's works",
      { [here]: "ok", "10.0.2.12/healthz": "ok", "10.0.2.13/healthz/registry": "ok" },
      false,
    ],
    [
      "no registry for anyone: somebody has to say so",
      { [here]: "ok", [works]: "503", "10.0.2.12/healthz": "ok", "10.0.2.12/healthz/registry": "503" },
      true,
    ],
  ])("%s", (_, answers, expected) => {
    expect(mayHold(answers as unknown as Record<string, string>)).toBe(expected);
  });

  it("starts one curl where all is well, and asks a registry that fails no second time", () => {
    mayHold({ [here]: "ok" });
    curls();
    expect(mayHold({ [here]: "ok", [works]: "ok", "10.0.2.12/healthz": "ok" })).toBe(true);
    expect(curls()).toHaveLength(1);
    expect(mayHold({ [here]: "ok", [works]: "503", "10.0.2.12/healthz": "ok" })).toBe(true);
    expect(curls().filter((call) => call.includes("127.0.0.1"))).toHaveLength(1);
  });

  describe("where the watches have seen", () => {
    const good = { front: 200, witness: 200, registry: 200 };
    const wellThere = { [here]: "ok", [works]: "ok", "10.0.2.12/healthz": "ok" };
    beforeEach(() => {
      mayHold({});
      curls();
    });
    afterEach(() => {
      for (const name of Object.keys(good)) fs.rmSync(path.join(folder, `seen-${name}`));
    });

    it("that all is well, a short while ago: asks nobody", () => {
      seen(good, 0.3);
      expect(mayHold({})).toBe(true);
      expect(fs.existsSync(path.join(folder, "curl.calls"))).toBe(false);
    });

    it.each([
      ["that longer ago", good, 2],
      ["that a little longer ago than an answer of nginx counts", good, 0.8],
      ["no nginx here", { ...good, front: 0 }, 0.1],
      ["an nginx here that is leaving", { ...good, front: 503 }, 0.1],
      ["no witness", { ...good, witness: 0 }, 0.1],
      ["no registry that works", { ...good, registry: 503 }, 0.1],
    ])("%s: asks for itself", (_, codes, seconds) => {
      seen(codes, seconds);
      expect(mayHold({})).toBe(false);
      expect(mayHold(wellThere)).toBe(true);
    });

    it.each([
      [200, 0.69],
      [0, 0.1],
    ])("an nginx here (%d) that is late once, as late as the check may ask: asks again", (code, seconds) => {
      seen({ ...good, witness: 0, front: code }, seconds, 1.2);
      expect(mayHold({ ...wellThere, [here]: "late" })).toBe(true);
    });

    it("an nginx here that has been silent for 2.6 s: asks nobody, either", () => {
      seen({ ...good, front: 0 }, 0.1, 2.7);
      expect(mayHold(wellThere)).toBe(false);
      expect(fs.existsSync(path.join(folder, "curl.calls"))).toBe(false);
    });

    it.each([
      ["that is silent: waits for the rest of 2.6 s", 0, 0.1, 2.2, "0.40"],
      ["that answered a while ago: waits for 0.7 s", 200, 0.75, 0.75, "0.70"],
      ["long ago, as its watch is gone: waits as long", 0, 3, 4, "0.70"],
    ])("an nginx here %s", (_, code, seconds, well, limit) => {
      seen({ ...good, front: code }, seconds, well);
      expect(mayHold(wellThere)).toBe(true);
      expect(/--max-time (\S+) https:\/\/127\.0\.0\.1/.exec(curls().join("\n"))?.[1]).toBe(limit);
    });
  });

  const among = (count: number, edges: number): void => {
    const others = Array.from({ length: count - 1 }, (_, at) => `10.0.2.1${at + 2}`);
    const check = { port: 443, peers: others.slice(0, edges - 1), witnesses: others };
    fs.writeFileSync(script, renderFrontCheck(check), { mode: 0o755 });
  };

  it.each([
    ["of two nodes keeps the one that is left", 2, 2, {}, true],
    ["of two edge nodes among four takes none that is cut off", 4, 2, {}, false],
    [
      "of two edge nodes among four keeps the one that others refuse",
      4,
      2,
      { "10.0.2.13/healthz": "refused" },
      true,
    ],
    ["of two edge nodes among four keeps the one whose others drop that", 4, 2, { "10.0.2.14/": "ok" }, true],
    ["of one edge node among four keeps it: nobody else takes the VIP", 4, 1, {}, true],
  ])("%s", (_, count, edges, answers, expected) => {
    among(count, edges);
    expect(mayHold({ [here]: "ok", [works]: "ok", ...(answers as Record<string, string>) })).toBe(expected);
  });
});
