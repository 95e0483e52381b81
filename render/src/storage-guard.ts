/** The unit that keeps a member of MinIO that has fallen silent, or whose drive takes nothing, from holding up the others. */
import type { NodeFiles } from "./model";
import { ownDrive } from "./storage-guard-drive";
import { lines, word } from "./text";
import { besideDocker, renderUnit, unitCommand } from "./unit";

export interface StorageGuardArgs {
  /** Swarm service that is MinIO on this node. */
  readonly service: string;
  /** How many other members there are. */
  readonly others: number;
  /** This member's place in the list of all, from 0: where two drives take nothing, the first one is left out. */
  readonly place: number;
  /** Folder of the drive in MinIO's container. @default "/data" */
  readonly drive?: string;
  /** @default 9000 */
  readonly port?: number;
}

export const storageGuardUnit = "moorage-storage-guard.service";
const path = "/etc/moorage/storage-guard";

/**
 * A read of MinIO waits for each member whose connections stand. To a frozen process they stand until MinIO gives them
 * up after 20 s; to a node without power each that was kept has to fail by itself, for seconds. This one asks every
 * member twice each second. Where one does not answer for two seconds, it ends MinIO's connections to that one, and has
 * the kernel refuse new ones until it answers again: a frozen process's kernel would accept them. Where a member's kernel does
 * not so much as take a connection, twice in a row, that counts as silence at once, as far as curl tells: a busy process's kernel
 * does, and to a container that is gone MinIO would go on connecting, and each read with it. Once is enough at an address that has never
 * answered: a new container's, which Docker's overlay does not know here yet.
 *
 * Only while as many others answer as a read takes, and no more than one is neither silent nor answers, three times in a row: a
 * node that is cut off, or so busy that nobody answers it in time, refuses nothing, and of two that come back at the same time
 * the later one is waited for. Without two of four nothing can be written, so two are refused once they are silent for six seconds.
 * What is refused goes by MinIO's user, so that this one can ask on as another, and by the port that is asked, so that a member
 * that is refused is answered all the same.
 */
export function renderStorageGuard(args: StorageGuardArgs): string {
  return lines(
    "#!/bin/bash",
    "# Keeps MinIO from waiting for members that are silent, as long as enough others answer, and from a drive of this node that",
    "# takes nothing, as long as all do. The unit runs `watch`.",
    "set -u",
    `service=${word(args.service, "service")}`,
    `others=${args.others}`,
    `port=${args.port ?? 9000}`,
    `folder=${word(args.drive ?? "/data", "folder")}`,
    "# Of the others so many as a read takes.",
    "needed=$(((others - 1) / 2))",
    "# In half seconds: without an answer a member is silent, and refused where it is not the only one; so long the others have",
    "# answered; without a connection it is forgotten; refused ones are tried.",
    "limit=4 late=12 steady=3 memory=40 trial=600",
    "# So many connections in a row that are not taken are silence, too: of one that has answered before, or else a single one.",
    "vain=2",
    "# As long, in half seconds too, its own drive may take nothing: the member before it in the list is missed by then.",
    `later=${6 * args.place}`,
    "# Who asks.",
    "nobody=65534",
    "# Of the rules that refuse another one, and all.",
    "priority=5 own_priority=4",
    "",
    ...asking,
    "",
    ...refusing,
    "",
    ...ownDrive,
    "",
    ...guarding,
    "",
    ...watching,
  );
}

const asking = [
  "# By one curl that stays, where it can: to start one costs some ten times what it asks. Else by bash itself, if it can:",
  "# Flatcar's is built without /dev/tcp, and says what it says of any file that is missing. Nobody listens at 0.",
  "way() {",
  "    if curl -q --rate 2/s --version >/dev/null 2>&1; then echo by_curl; return; fi",
  '    [[ $(LC_ALL=C; : 2>&1 </dev/tcp/127.0.0.1/0) == *"No such file"* ]] || echo by_bash',
  "}",
  "by_curl() {",
  "    local about",
  '    while [ -d "/proc/$PPID" ] && read -r about; do',
  "        case $about in",
  '            200*) echo "$1" ;;',
  "            # Its time was up, and there was no connection.",
  '            "000 28 0.000000") echo "vain=$1" ;;',
  "        esac",
  "    done < <(",
  "        exec curl -q -s --noproxy '*' --rate 2/s --connect-timeout 0.4 --max-time 2 -H 'Connection: close' -o /dev/null \\",
  "            -w '%{stderr}%{http_code} %{exitcode} %{time_connect}\\n' \"http://$1:$port/minio/health/live#[1-600]\" 2>&1",
  "    )",
  "}",
  "by_bash() {",
  "    local answer",
  "    trap '' PIPE",
  '    exec 3<>"/dev/tcp/$1/$port" || return',
  "    printf 'GET /minio/health/live HTTP/1.1\\r\\nHost: minio\\r\\nConnection: close\\r\\n\\r\\n' >&3",
  "    # It reads a longer answer byte by byte.",
  '    if read -r -t 2 -N 12 answer <&3 && [[ $answer == *" 200" ]]; then echo "$1"; fi',
  "    exec 3>&-",
  "}",
  "# Says a member's address whenever it has answered, twice each second, each time by a new connection.",
  "ask() {",
  "    local idle",
  "    exec {idle}<> <(:)",
  '    while [ -d "/proc/$PPID" ]; do',
  '        "$way" "$1" 2>/dev/null',
  '        read -r -t 0.5 -u "$idle"',
  "    done",
  "    # What it has started.",
  "    kill 0",
  "}",
  "# Another user's process for each member that MinIO has connections to, or wants to. Those that this one asks by are no",
  "# reason: an address that a member has left would never be forgotten.",
  "look() {",
  "    local own peer address rest",
  "    while read -r _ _ _ own peer rest; do",
  '        [[ " $rest " != *" uid:$nobody "* ]] || continue',
  "        address=${peer%:*}",
  "        # It asks itself, too.",
  `        [[ $address != 127.* && $address != "\${own%:*}" ]] || continue`,
  "        seen[$address]=$now",
  '        [ -z "${asker[$address]-}" ] || continue',
  "        # In a group of its own, and by coreutils' chroot, which every distribution has: Flatcar builds no setpriv.",
  '        setsid chroot --userspec="$nobody:$nobody" --groups= / bash -c "$(declare -f by_curl by_bash ask); way=$way port=$port; ask $address" >&4 &',
  "        # One that has never answered is silent once a connection was not taken, and not for what does not come.",
  "        # What was asked here before, and is told late, says nothing of it.",
  "        asker[$address]=$! missed[$address]=0 vainly[$address]=0",
  '    done < <(ss -Hten state connected exclude time-wait dport = ":$port")',
  "}",
  "forget() {",
  '    [ -z "${asker[$1]-}" ] || kill -- "-${asker[$1]}" 2>/dev/null',
  '    unset "seen[$1]" "asker[$1]" "missed[$1]" "vainly[$1]" "known[$1]"',
  "}",
  "# Those that have answered within half a second, or until one counts as silent, and what is said of the drive.",
  "listen() {",
  "    local end=$((${EPOCHREALTIME/[.,]/} + 500000)) left about",
  '    heard=" "',
  "    # A clock that is set back would make that long.",
  '    while left=$((end - ${EPOCHREALTIME/[.,]/})); ((left > 0 && left <= 500000)) && [ -z "$ended" ]; do',
  '        printf -v left "0.%06d" "$left"',
  '        read -r -t "$left" about <&4 || continue',
  "        case $about in",
  "            drive=*) drive=${about#drive=} ;;",
  "            vain=?*)",
  "                about=${about#vain=}",
  "                vainly[$about]=$((${vainly[$about]-0} + 1))",
  "                ((vainly[$about] != ${known[$about]-1})) || return",
  "                ;;",
  "            # What is read as the time is over may leave nothing but the end of its line.",
  '            ?*) heard+="$about " vainly[$about]=0 ;;',
  "        esac",
  "    done",
  "}",
];

const refusing = [
  "# Its kernel takes no connection, or it has answered and no longer does. What has been so for long holds nobody up who is since.",
  "is_silent() {",
  "    ((missed[$1] <= memory)) || return",
  "    ((${vainly[$1]-0} >= ${known[$1]-1})) && return",
  '    [ -n "${known[$1]-}" ] && ((missed[$1] >= limit))',
  "}",
  "accept() {",
  '    while ip rule del priority "$priority" to "$1/32" 2>/dev/null; do :; done',
  '    unset "refused[$1]"',
  "}",
  "accept_all() {",
  '    while ip rule del priority "$priority" 2>/dev/null; do :; done',
  "    refused=()",
  "}",
  "refuse() {",
  "    # By the port, too: what that one asks is still answered, or two would refuse each other for minutes.",
  '    ip rule add priority "$priority" uidrange "$user-$user" ipproto tcp to "$1/32" dport "$port" unreachable || return',
  "    refused[$1]=$now",
  '    ss -K -t dst "$1" >/dev/null',
  '    echo "$1 is silent: its connections are ended, new ones refused"',
  "}",
];

const guarding = [
  "# In the network of MinIO's container, as long as its process lives.",
  "guard() {",
  "    # When each was refused, too.",
  "    local -A seen=() missed=() vainly=() known=() asker=() refused=()",
  "    local -a silent=()",
  "    local address answering now=0 calm=0 amiss=yes user ended= drive= aside= together= ill=0 few=0 leaving=0 tester=",
  '    user=$(stat -c %u "/proc/$1" 2>/dev/null) || return 0',
  "    accept_all",
  "    come_back || aside=yes",
  "    # To exit in a trap would end a bash that reads with a time limit by a fault of its own.",
  "    trap ended=yes TERM INT",
  "    exec 4<> <(:)",
  "    # Without, its drive is taken for well.",
  '    if type iptables >/dev/null; then start_test "$1"; fi',
  '    while [ -z "$ended" ] && [ -d "/proc/$1" ]; do',
  "        # More often at first, until MinIO has connections to all, and while one does not answer: it may be at a new address.",
  '        ((now++ % 10 && now > 20)) && [ -z "$amiss" ] || look',
  '        [ -z "$tester" ] || kill -0 "$tester" 2>/dev/null || start_test "$1"',
  "        listen",
  "        answering=0 silent=() amiss=",
  '        for address in "${!seen[@]}"; do',
  "            missed[$address]=$((missed[$address] + 1))",
  '            if [[ $heard == *" $address "* ]]; then',
  "                missed[$address]=0 known[$address]=$vain",
  "                # One too many is forgotten where MinIO has no connection to it: it may be another service's by now.",
  "                ((${#seen[@]} > others)) || seen[$address]=$now",
  '                [ -z "${refused[$address]-}" ] || { accept "$address"; echo "$address answers again"; }',
  "            fi",
  '            [ -z "${refused[$address]-}" ] || continue',
  '            if ((now - seen[$address] > memory)); then forget "$address"; continue; fi',
  '            ! is_silent "$address" || silent+=("$address")',
  "            # Half a second late is late, and not silent.",
  '            [ -z "${known[$address]-}" ] || ((missed[$address] > 1)) || answering=$((answering + 1))',
  "            ((missed[$address] == 0)) || amiss=yes",
  "        done",
  "        ((answering >= others)) || amiss=yes",
  "        # At most one neither answers nor is known to be silent.",
  "        ((answering >= needed && answering + ${#silent[@]} + ${#refused[@]} >= others - 1)) && calm=$((calm + 1)) || calm=0",
  "        # Where all members answer, nobody has an address that does not.",
  "        if ((answering >= others)); then",
  '            for address in "${silent[@]}" "${!refused[@]}"; do forget "$address"; done',
  "            ((${#refused[@]} == 0)) || accept_all",
  "            silent=()",
  "        fi",
  "        weigh_drive",
  "        # Whoever stands aside has no connections.",
  '        [ -z "$aside" ] || continue',
  "        # By now nobody may have that address.",
  '        for address in "${!refused[@]}"; do',
  '            ((now - refused[$address] < trial)) || { forget "$address"; accept "$address"; }',
  "        done",
  "        ((calm >= steady)) || continue",
  '        for address in "${silent[@]}"; do',
  "            # Without two members nothing can be written, and where all but one answer, all others are addresses of that one.",
  '            ((answering >= others - 1 || ${#silent[@]} + ${#refused[@]} < 2 || missed[$address] >= late)) && refuse "$address"',
  "        done",
  "    done",
  "    accept_all",
  "    come_back || come_back",
  '    [ -z "$tester" ] || kill -- "-$tester" 2>/dev/null',
  '    for address in "${!seen[@]}"; do forget "$address"; done',
  "}",
];

const watching = [
  "way=$(way)",
  '[ "$1" = watch ] || { guard "$2"; exit; }',
  '((BASH_VERSINFO[0] >= 5)) || { echo "a silent member is not refused: that takes bash 5, and here is $BASH_VERSION"; exec sleep infinity; }',
  '[ -n "$way" ] || { echo "a silent member is not refused: nobody here can ask them, as that takes curl 7.84, or a bash with /dev/tcp"; exec sleep infinity; }',
  "while :; do",
  '    id=$(timeout 10 docker ps --quiet --filter status=running --filter "label=com.docker.swarm.service.name=$service" | head -n 1)',
  '    pid=$([ -z "$id" ] || timeout 10 docker inspect --format \'{{.State.Pid}}\' "$id")',
  '    [ "${pid:-0}" = 0 ] || nsenter --net="/proc/$pid/ns/net" "$0" guard "$pid"',
  "    sleep 2",
  "done",
];

export function storageGuardFiles(args: StorageGuardArgs): NodeFiles {
  return {
    files: {
      [path]: {
        content: renderStorageGuard(args),
        mode: 0o755,
        apply: { action: "restart", unit: storageGuardUnit },
      },
    },
    units: { [storageGuardUnit]: { content: serviceUnit(), enabled: true } },
  };
}

function serviceUnit(): string {
  return renderUnit({
    Unit: {
      Description: "Keeps MinIO from waiting for a member that is silent, or whose drive takes nothing",
      ...besideDocker,
    },
    Service: {
      ExecStart: unitCommand(["/bin/bash", path, "watch"]),
      Restart: "always",
      RestartSec: 2,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}
