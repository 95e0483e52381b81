/** What a node does for its member of etcd: one shell script with a verb for each thing. */
import { lines, word } from "./text";
import { shellCommand } from "./shell";

export interface EtcdScriptArgs {
  readonly image: string;
  /** Folder of this script, of the settings and of the certificates. */
  readonly folder: string;
  /** The unit that runs `start`. */
  readonly unit: string;
  /** Host folder of the member's data, root's: the member has its `store` in there alone. */
  readonly dataFolder: string;
  /** Where the data disk is mounted, when the data lie on one; nothing is written beside a disk that is missing. */
  readonly mountPoint?: string;
}

export const etcdContainer = "moorage-etcd";
const runFolder = "/run/moorage-etcd";
/** Certificates as etcd reads them: copies that its user may read, in memory. */
export const etcdTlsFolder = `${runFolder}/tls`;
/** Who etcd runs as: a number that no distribution and no directory service hands out. */
const user = 61000;

/**
 * A member without data never starts by itself: with static bootstrap it would vote with an empty log under an id
 * that has voted before. It waits to be admitted, by `pulumi up`, which knows the other members.
 */
export function renderEtcdScript(args: EtcdScriptArgs): string {
  return lines(
    "#!/bin/sh",
    "# This node's member of etcd. The unit runs `start` and `reload`; `pulumi up` uses `look`, `admit`, `settle`,",
    "# `aside` and `restart`. `alone` is an operator's, for the only member that still has the data.",
    "set -eu",
    `folder=${word(args.folder, "folder")}`,
    `data=${word(args.dataFolder, "data folder")}`,
    `disk=${args.mountPoint === undefined ? "" : word(args.mountPoint, "mount point")}`,
    `run=${runFolder}`,
    `user=${user}`,
    `unit=${word(args.unit, "unit")}`,
    "initial=$data/initial.env",
    "",
    ...helpers,
    "",
    "start() {",
    '    mounted || { echo "the data disk is not mounted on $disk" >&2; exit 1; }',
    "    make_folders",
    "    place_certificates",
    '    digest > "$run/applied"',
    `    sed -n 's/^ETCD_ADVERTISE_CLIENT_URLS=//p' "$folder/member.env" > "$run/client"`,
    '    if ! has_data && [ ! -s "$initial" ]; then',
    '        echo "no data here: waiting for pulumi up, which forms the cluster or adds this member to it"',
    '        until [ -s "$initial" ]; do sleep 1; done',
    "    fi",
    "    set --",
    '    if [ -s "$initial" ]; then set -- --env-file "$initial"; fi',
    '    if [ -e "$data/alone" ]; then set -- "$@" --env ETCD_FORCE_NEW_CLUSTER=true; fi',
    `    exec ${shellCommand(containerCommand(args))} "$@" ${shellCommand(["--entrypoint", "etcd", args.image])}`,
    "}",
    "",
    ...verbs,
  );
}

function containerCommand({ folder, dataFolder }: EtcdScriptArgs): string[] {
  return [
    ...["docker", "run", "--rm", "--name", etcdContainer, "--log-driver", "none"],
    ...["--network", "host", "--cap-drop", "ALL", "--user", `${user}:${user}`, "--read-only"],
    // A member that gets no time on a busy node is taken for dead.
    ...["--cpu-shares", "4096", "--pids-limit", "1024"],
    // With the label (`z`) by which SELinux lets containers read them; of both folders the script has seen that they are there.
    ...["--volume", `${dataFolder}/store:${dataFolder}/store:z`],
    ...["--volume", `${etcdTlsFolder}:${etcdTlsFolder}:ro,z`],
    ...["--env-file", `${folder}/member.env`],
  ];
}

const helpers = [
  'mounted() { [ -z "$disk" ] || mountpoint -q "$disk"; }',
  'has_data() { [ -d "$data/store/member/wal" ]; }',
  "# What root writes lies where the member's user cannot leave a symbolic link: it owns its store, and nothing beside it.",
  "make_folders() {",
  '    install -d -m 0700 -o root -g root "$data"',
  '    install -d -m 0700 -o "$user" -g "$user" "$data/store"',
  "}",
  "# What a running member has to be restarted for. It reads its certificate anew for each connection.",
  "digest() {",
  '    cat "$folder/member.env" "$folder/ca.pem" "$folder/member" "/etc/systemd/system/$unit" | sha256sum | cut -d " " -f 1',
  "}",
  "# Where SELinux is enforced, a member that runs reads what has the label of its folder, which is not the one of the path. One",
  "# that cannot get it keeps the files that it has; at a start Docker gives it to all.",
  "labelled() {",
  '    [ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" = 1 ] || return 0',
  '    if chcon --reference="$run/tls" "$1"; then return 0; fi',
  '    echo "$1 does not get the label by which SELinux lets the member read it" >&2',
  '    [ "$verb" = start ]',
  "}",
  "place_certificates() {",
  '    mkdir -p "$run"',
  '    install -d -m 0750 -o root -g "$user" "$run/tls"',
  "    for file in ca.pem member.pem member-key.pem; do",
  '        install -m 0600 -o "$user" -g "$user" "$folder/$file" "$run/tls/.$file"',
  '        labelled "$run/tls/.$file"',
  '        mv -f "$run/tls/.$file" "$run/tls/$file"',
  "    done",
  "}",
];

const verbs = [
  "# Prints what is so here, one `key=value` a line.",
  "look() {",
  "    if ! mounted; then echo data=unknown; elif has_data; then echo data=yes; else echo data=no; fi",
  `    echo "initial=$(sed -n 's/^ETCD_INITIAL_CLUSTER_STATE=//p' "$initial" 2>/dev/null || :)"`,
  '    echo "active=$(systemctl is-active "$unit" || :)"',
  '    applied=$(cat "$run/applied" 2>/dev/null || :)',
  '    if [ -n "$applied" ] && [ "$applied" != "$(digest)" ]; then echo stale=yes; else echo stale=no; fi',
  '    echo "client=$(cat "$run/client" 2>/dev/null || :)"',
  '    journalctl -b -n 4 --no-pager -o cat -u "$unit" 2>/dev/null | sed "s/^/journal=/" || :',
  "    # How often it ended by itself, and its last word when it did.",
  '    systemctl show -p NRestarts "$unit" 2>/dev/null | sed -n "s/^NRestarts=/restarts=/p" || :',
  '    journalctl -b -n 150 --no-pager -o cat -u "$unit" 2>/dev/null |',
  `        grep -E '^(panic|fatal error): |"level":"(fatal|panic)"' | tail -n 1 | cut -c 1-400 | sed "s/^/ended=/" || :`,
  "    echo end=yes",
  "}",
  "",
  "# $1 is `new` or `existing`, $2 all members with their peer URLs.",
  "admit() {",
  '    mounted || { echo "the data disk is not mounted on $disk" >&2; exit 1; }',
  "    make_folders",
  '    ( umask 077; printf "ETCD_INITIAL_CLUSTER_STATE=%s\\nETCD_INITIAL_CLUSTER=%s\\n" "$1" "$2" > "$initial.part" )',
  '    mv -f "$initial.part" "$initial"',
  '    systemctl start "$unit"',
  "}",
  "",
  "# Data of a member that the cluster does not have any more, or with $1 `broken`: kept, once, out of the way.",
  "aside() {",
  "    name=before",
  '    if [ "${1:-}" = broken ]; then name=broken-$(date -u +%Y%m%dT%H%M%SZ); fi',
  '    systemctl stop "$unit"',
  '    rm -rf "$data"/store.* "$initial"',
  '    mv "$data/store" "$data/store.$name"',
  '    systemctl start "$unit"',
  "}",
  "",
  "alone() {",
  '    has_data || { echo "no data here: run this on the member that still has them" >&2; exit 1; }',
  '    touch "$data/alone"',
  '    systemctl restart "$unit"',
  "    for second in $(seq 60); do",
  "        sleep 1",
  `        if ${shellCommand(["docker", "exec", etcdContainer, "etcdctl", "endpoint", "health"])} >/dev/null 2>&1; then`,
  "            # At another start it would forget members that came meanwhile.",
  '            rm "$data/alone"',
  '            echo "this member is the whole cluster now: run pulumi up, which adds the others"',
  "            return 0",
  "        fi",
  "    done",
  '    rm "$data/alone"',
  '    echo "it does not serve after 60 s: see journalctl -u $unit" >&2',
  "    exit 1",
  "}",
  "",
  "verb=${1:-}",
  'if [ "$#" -gt 0 ]; then shift; fi',
  'case "$verb" in',
  '    start|look|admit|aside|alone) "$verb" "$@" ;;',
  "    reload) place_certificates ;;",
  '    settle) rm -f "$initial" ;;',
  '    restart) systemctl restart "$unit" ;;',
  '    *) echo "usage: member start | reload | look | admit STATE MEMBERS | settle | aside [broken] | restart | alone" >&2; exit 64 ;;',
  "esac",
];
