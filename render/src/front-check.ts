/** Whether a node may hold the VIP: the check that keepalived runs, and the watches that make it cheap. */
import { lines, word } from "./text";

export const frontCheckName = "check-front";
export const frontWatchName = "watch-front";
export const keepalivedStartName = "start";

/** What is watched, each by a process of its own; wherever keepalived runs, as to start others would restart it. */
const frontWatches = ["front", "witness", "registry"];

/** Where every node of a Swarm listens, whatever else it does. */
const gossipPort = 7946;

export interface FrontCheckArgs {
  /** Port the front is published on. */
  readonly port: number;
  /** Addresses of the other edge nodes. */
  readonly peers: readonly string[];
  /** Addresses of all other nodes, those included, to tell a node that is cut off. */
  readonly witnesses: readonly string[];
  /** Folder where the watches note what they have seen, in keepalived's container. @default "/run" */
  readonly seenFolder?: string;
  /** File that begins with the seconds since the boot. @default "/proc/uptime" */
  readonly clockPath?: string;
}

const seenPath = ({ seenFolder = "/run" }: FrontCheckArgs): string => `${word(seenFolder, "folder")}/seen-$1`;

const clock = ({ clockPath = "/proc/uptime" }: FrontCheckArgs): string => word(clockPath, "clock");

/**
 * The edge node that tells this one, by its nginx, that it is not cut off. Nobody where that is no question: of two nodes
 * neither can tell which of them is, and nobody takes the VIP of the only edge node.
 */
const witnessOf = ({ peers, witnesses }: FrontCheckArgs): string | undefined =>
  witnesses.length > 1 ? peers[0] : undefined;

interface Watched {
  readonly url: string;
  /** How long an answer may take. */
  readonly seconds: number;
  /** For how many seconds an answer counts. */
  readonly counts: number;
}

/** What is watched. */
const watched = (args: FrontCheckArgs): Readonly<Record<string, Watched>> => {
  const url = (host: string, path: string) => `https://${word(host, "address")}:${args.port}${path}`;
  const witness = witnessOf(args);
  return {
    front: { url: url("127.0.0.1", "/healthz"), seconds: 0.7, counts: 0.7 },
    ...(witness !== undefined && { witness: { url: url(witness, "/healthz"), seconds: 0.6, counts: 1 } }),
    registry: { url: url("127.0.0.1", "/healthz/registry"), seconds: 1.5, counts: 1 },
  };
};

/** Starts the watches, and becomes keepalived. */
export function renderKeepalivedStart(scriptFolder: string): string {
  const watch = `${word(scriptFolder, "script folder")}/${frontWatchName}`;
  return lines(
    "#!/bin/sh",
    "# Run in keepalived's place: what check-front wants to know is watched beside it.",
    `for what in ${frontWatches.join(" ")}; do ${watch} "$what" & done`,
    'exec keepalived "$@"',
  );
}

/**
 * Asks twice each second what the check wants to know, by one curl that stays for five minutes: to start one costs some
 * ten times what it asks. Each time by a new connection, as a client would. Where nothing was seen for a moment, or anything but
 * a 200, the check asks for itself.
 */
export function renderFrontWatch(args: FrontCheckArgs): string {
  return lines(
    "#!/bin/sh",
    "# Notes what one part of the front answers, and when, and when it was well: front, witness or registry.",
    "set -f",
    "case $1 in",
    ...Object.entries(watched(args)).map(
      ([name, { url, seconds }]) => `    ${name}) limit=${seconds} url="${url}?[1-600]" ;;`,
    ),
    "    *) exit 0 ;;",
    "esac",
    "curl -sk --noproxy '*' --rate 2/s --connect-timeout 0.5 --max-time \"$limit\" -H 'Connection: close' -o /dev/null \\",
    "    -w '%{stderr}%{http_code}\\n' \"$url\" 2>&1 | {",
    "    told= well=",
    "    while read -r code; do",
    "        case $code in [0-9][0-9][0-9]) told=yes ;; *) exit 1 ;; esac",
    `        read -r up _ < ${clock(args)}`,
    '        [ "$code" != 200 ] || well=$up',
    `        echo "$up $code $well" > "${seenPath(args)}"`,
    "    done",
    '    [ -n "$told" ]',
    "# A curl from before 7.84 knows no rate.",
    "} || exit 1",
    "# This file may be another one by now.",
    'exec "$0" "$1"',
  );
}

/** Ends the check where all is well by what the watches have seen, and says for how long nginx may be silent where it is not. */
function seeing(args: FrontCheckArgs): string[] {
  const all = Object.entries(watched(args)).map(([name, { counts }]) => `seen ${name} ${100 * counts}`);
  return [
    "# In hundredths of a second.",
    `read_clock() { read -r up _ < ${clock(args)}; now=\${up%.*}\${up#*.}; }`,
    `read_note() { { read -r at code well < "${seenPath(args)}"; } 2>/dev/null; }`,
    "# The last answer was good, and came a short while ago.",
    "seen() {",
    "    read_note $1 || return",
    '    [ "$code" = 200 ] && [ "$((now - ${at%.*}${at#*.}))" -le "$2" ]',
    "}",
    "# Sets the seconds that nginx here may take, so that it has been silent for no more than 2.6; fails where it has been. Where its",
    "# watch says nothing either, that is not known. A first question begins 1.2 s after the last answer at most: there is time for",
    "# one that times out, and for another one.",
    "has_time() {",
    "    left=70",
    "    read_clock",
    '    if read_note front && [ -n "$well" ] && [ "$((now - ${at%.*}${at#*.}))" -le 150 ]; then',
    "        left=$((${well%.*}${well#*.} + 260 - now))",
    "    fi",
    '    [ "$left" -le 70 ] || left=70',
    '    [ "$left" -ge 10 ] && limit=0.$left',
    "}",
    "read_clock",
    `if ${all.join(" && ")}; then exit 0; fi`,
  ];
}

/** What the check asks, and of whom. */
const asking = (witness: string): string[] => [
  'ask() { curl $quiet "$@"; }',
  "",
  "# What nginx here, a node beside and a registry say, as far as all is well.",
  "in_one_go() {",
  `    code="$quiet -w %{http_code}_"`,
  '    curl --fail-early $code --max-time "$limit" "https://127.0.0.1:$port/healthz" \\',
  `        --next $code --connect-timeout 0.4 --max-time 0.6 "https://${witness}:$port/healthz" \\`,
  '        --next $code --connect-timeout 0.5 --max-time 1.5 "https://127.0.0.1:$port/healthz/registry"',
  "}",
  `front_runs() { ask --max-time "$limit" "https://127.0.0.1:$port/healthz"; }`,
  `registry_works() { ask --connect-timeout 0.5 --max-time 1.5 "https://127.0.0.1:$port/healthz/registry"; }`,
  "# URLs ($2) of several hosts ($1), all at once: keepalived takes a check that goes on for too long for a no. By $3",
  "# seconds each has to be connected to, by $4 to have answered; $5 is what curl says of each. It takes 50 at once, unless told.",
  "of_each() {",
  "    hosts=$1 urls=$2 connected=$3 answered=$4 form=$5",
  "    set --",
  "    for host in $hosts; do for url in $urls; do",
  '        set -- "$@" -o /dev/null "${url%HOST*}$host${url#*HOST}"',
  "    done; done",
  "    [ $# -gt 0 ] || return 0",
  `    curl -Z --parallel-immediate --parallel-max 300 -fsk --noproxy '*' --connect-timeout "$connected" --max-time "$answered" -w "$form" "$@" 2>/dev/null`,
  "}",
  "neighbour_works() {",
  `    case $(of_each "$peers" "https://HOST:$port/healthz/registry" 0.5 1.5 '%{http_code} ') in`,
  "        *200*) return 0 ;;",
  "    esac",
  "    return 1",
  "}",
  "# No other node answers. A connection refused at once is an answer, too: that is what a node says on the front's port",
  "# that is no edge node. A filter may drop it there, but lets nodes through to Swarm's gossip. There a connection is all",
  "# that is wanted, so it is asked by a protocol in which the server speaks first, and hears nothing that it would log.",
  "cut_off() {",
  "    form='%{exitcode}_%{time_connect}_%{time_total} '",
  `    urls="https://HOST:$port/healthz ftp://HOST:${gossipPort}/"`,
  '    for answer in $(of_each "$witnesses" "$urls" 0.4 0.6 "$form"); do',
  "        case $answer in",
  "            7_0.000000_0.0[0-4]*) return 1 ;;",
  "            *_0.000000_*) ;;",
  "            *) return 1 ;;",
  "        esac",
  "    done",
  "    return 0",
  "}",
];

/**
 * May this node hold the VIP? Run twice each second inside keepalived's container, which has sh and curl: one that is cut
 * off is without the VIP within three seconds, of which another has it for less than two.
 *
 * Without a working nginx, no. Cut off from every other node, no: they have chosen another holder by then. And when
 * nginx here reaches no registry that works, only if no neighbour does better: with the store down for all, somebody
 * has to hold the VIP to say so.
 *
 * What is so nearly always has been seen by the watches, or else is asked by one curl.
 */
export function renderFrontCheck(args: FrontCheckArgs): string {
  const list = (addresses: readonly string[]): string =>
    addresses.map((one) => word(one, "address")).join(" ");
  const witness = word(witnessOf(args) ?? "127.0.0.1", "address");
  return lines(
    "#!/bin/sh",
    "# May this node hold the VIP? Run twice each second by keepalived; 0 says yes.",
    "set -f",
    `port=${args.port}`,
    `peers="${list(args.peers)}"`,
    `witnesses="${list(args.witnesses)}"`,
    'quiet="-fsk --noproxy * -o /dev/null"',
    ...seeing(args),
    "",
    ...asking(witness),
    "",
    "has_time || exit 1",
    "case $(in_one_go) in",
    "    200_200_200_) exit 0 ;;",
    "    # Refused; one that timed out is asked once more.",
    "    200_200_[1-9]*) if neighbour_works; then exit 1; else exit 0; fi ;;",
    "    200_*) ;;",
    "    *) has_time && front_runs || exit 1 ;;",
    "esac",
    witnessOf(args) !== undefined && "if cut_off && cut_off; then exit 1; fi",
    "registry_works && exit 0",
    "if neighbour_works; then exit 1; fi",
    "exit 0",
  );
}
