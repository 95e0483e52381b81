/** Whether keepalived works: what whoever starts it, or has it read its configuration anew, waits for. */
import { lines, word } from "./text";

export const vrrpStateName = "vrrp-state";

/** Where keepalived writes what it knows when it gets SIGUSR1, in its container. */
const dataPath = "/tmp/keepalived.data";

/**
 * Run in keepalived's container. A state is read once: keepalived writes the next one.
 * @param data where keepalived writes it. @default "/tmp/keepalived.data"
 */
export function renderVrrpState(data = dataPath): string {
  const path = word(data, "data path");
  return lines(
    "#!/bin/sh",
    "# Prints the state that keepalived has told of: INIT, BACKUP, MASTER or FAULT.",
    "while read -r name _ state _; do",
    '    case "$name $state" in',
    '        "State INIT" | "State BACKUP" | "State MASTER" | "State FAULT") echo "$state"; break ;;',
    "    esac",
    `done < ${path}`,
    `: > ${path}`,
  );
}

export interface AliveArgs {
  readonly container: string;
  readonly interface: string;
  /** Port the front is published on. */
  readonly port: number;
  readonly heartbeatPath: string;
  /** The file with the VIP, which nodes agree on: it may be another one before this script is. */
  readonly routerPath: string;
  /** `renderVrrpState()` and `renderFrontCheck()`, as the container sees them. */
  readonly statePath: string;
  readonly checkPath: string;
}

/**
 * Ends well once keepalived has shown signs of life for three seconds, by which it may have the VIP again, and its VRRP
 * does what it should: it has the VIP, or somebody else has, or the front here is not well, which is no fault of
 * keepalived's. Badly after half a minute without signs of life, or a quarter of one in which that was not so.
 */
export function renderAlive(args: AliveArgs): string {
  return lines(
    "#!/bin/sh",
    "# Waits until keepalived lives, and one node has the VIP where this one could.",
    ...signsOfLife(args),
    "",
    ...questions(args),
    "",
    ...verdict(args),
  );
}

function signsOfLife({ heartbeatPath }: AliveArgs): string[] {
  const read = `{ read -r now < ${word(heartbeatPath, "heartbeat")}; } 2>/dev/null`;
  return [
    "# What it writes changes twice each second, as long as it lives.",
    "now=",
    read,
    "signs=0",
    "tries=0",
    'while [ "$signs" -lt 6 ]; do',
    '    [ "$tries" -lt 120 ] || { echo "keepalived shows no sign of life" >&2; exit 1; }',
    "    tries=$((tries + 1))",
    "    last=$now",
    "    sleep 0.25",
    `    ${read}`,
    '    [ "$now" = "$last" ] || signs=$((signs + 1))',
    "done",
  ];
}

function questions(args: AliveArgs): string[] {
  const device = word(args.interface, "interface");
  const container = word(args.container, "container");
  return [
    "vip=",
    "while read -r word _; do",
    "    case $word in */*) vip=${word%/*} ;; esac",
    `done < ${word(args.routerPath, "router path")}`,
    `inside() { timeout 5 docker exec ${container} "$@" 2>/dev/null; }`,
    "state() {",
    `    timeout 5 docker kill --signal USR1 ${container} >/dev/null 2>&1`,
    "    sleep 1",
    `    inside /bin/sh ${word(args.statePath, "state script")}`,
    "}",
    "# keepalived itself waits for eight seconds.",
    `may_have_it() { timeout 10 docker exec ${container} ${word(args.checkPath, "check script")}; }`,
    "asks() { inside curl -sk --noproxy '*' -o /dev/null --max-time 2 \"$@\"; }",
    `has_vip() { [ -n "$(ip -o addr show dev ${device} to "$vip" 2>/dev/null)" ]; }`,
    `connected() { case $(ip -o link show dev ${device} 2>/dev/null) in *[\\<,]LOWER_UP[,\\>]*) ;; *) return 1 ;; esac; }`,
    "well() {",
    `    asks -f https://127.0.0.1:${args.port}/healthz && asks -f https://127.0.0.1:${args.port}/healthz/registry`,
    "}",
  ];
}

function verdict({ interface: device, port }: AliveArgs): string[] {
  return [
    "tries=0",
    'while [ "$tries" -lt 12 ]; do',
    "    tries=$((tries + 1))",
    "    state=$(state)",
    "    case $state in",
    "        MASTER)",
    `            if ! has_vip; then why="though it should, ${device} does not have $vip"`,
    '            elif ! may_have_it; then why="its check of the front says no"',
    "            else exit 0; fi ;;",
    "        BACKUP)",
    `            if has_vip; then why="${device} has $vip, though another node should"`,
    `            elif ! asks "https://$vip:${port}/healthz"; then why="nobody answers at $vip, and it does not take it"`,
    '            elif ! may_have_it; then why="its check of the front says no"',
    "            else exit 0; fi ;;",
    "        FAULT)",
    `            if ! connected; then why="${device} is down, or not there"`,
    '            elif well; then why="it takes no part, though the front here works"',
    "            # Whoever has no front that works is right not to.",
    "            else exit 0; fi ;;",
    '        *) why="it does not begin" ;;',
    "    esac",
    "done",
    'echo "keepalived is in state ${state:-unknown}: $why" >&2',
    "exit 1",
  ];
}
