/** What the storage guard does about its own node's drive: a part of its script. */

/**
 * MinIO takes its own drive for well as long as it is there. While that takes nothing, pushes through this node fail, as
 * MinIO looks for unfinished uploads there alone; nobody sees that it misses what is written; and while it is full, no
 * member takes anything. So this node's member stands aside, as if it had ended: the others write without it, know that
 * they do, and it is healed afterwards.
 *
 * Only while all others answer: else it is wanted, as what is on a drive that takes nothing can still be read. Where two
 * stand aside at once, both are soon back, and then the later one waits until it would have seen that the other is gone.
 */
export const ownDrive: readonly string[] = [
  "# Why this node's drive takes nothing, every two seconds; once it has not, it has to take more, as a little is soon full",
  "# again. By another user than root, for whom a file system keeps some room back. What is gone again at once is not",
  "# written to the disk, as a rule.",
  "test_drive() {",
  "    export LC_ALL=C",
  "    local said why mebibytes=1 file=$1/.minio.sys/tmp/moorage-storage-guard idle",
  "    exec {idle}<> <(:)",
  '    while [ -d "/proc/$PPID" ]; do',
  '        said=$({ chroot --userspec="$nobody:$nobody" --groups= / dd if=/dev/zero bs=1M count=$mebibytes status=none >"$file"; } 2>&1)',
  '        rm -f "$file" 2>/dev/null',
  "        # Whatever else fails says nothing about the drive: MinIO may not have made its folders yet.",
  "        why=${said##*: }",
  "        case $why in",
  '            "Read-only file system" | "No space left on device" | "Disk quota exceeded") mebibytes=64 ;;',
  '            "Input/output error" | "Structure needs cleaning") mebibytes=64 ;;',
  "            *) why= mebibytes=1 ;;",
  "        esac",
  '        echo "drive=$why"',
  '        read -r -t 2 -u "$idle"',
  "    done",
  "    kill 0",
  "}",
  "# What asks on this node goes on, and so do the questions that this one asks.",
  "shut() {",
  '    iptables -w 5 "$1" INPUT ! -i lo -p tcp --dport "$port" -j REJECT --reject-with tcp-reset',
  "}",
  "end_connections() {",
  '    ss -K -t "( sport = :$port or dport = :$port ) and not dst 127.0.0.0/8" >/dev/null',
  "}",
  "stand_aside() {",
  '    if ! { shut -I && ip rule add priority "$own_priority" uidrange "$user-$user" ipproto tcp dport "$port" unreachable; }; then',
  "        come_back",
  "        # Not before a minute has passed.",
  "        ill=$((patience - 120))",
  "        return",
  "    fi",
  "    end_connections",
  "    aside=yes few=0",
  '    echo "its own drive takes nothing ($drive): the others do without, until it takes something"',
  "}",
  "come_back() {",
  "    while shut -D 2>/dev/null; do :; done",
  '    while ip rule del priority "$own_priority" 2>/dev/null; do :; done',
  "    aside= ill=0",
  "}",
  "# After a round of questions: `answering` others have answered, and `silent` ones have not for long.",
  "weigh_drive() {",
  '    if [ -n "$aside" ]; then',
  "        ((answering >= others)) && few=0 || few=$((few + 1))",
  '        if [ -z "$drive" ]; then come_back; patience=$soon; echo "its own drive takes something again: this member is back"',
  '        elif ((few >= limit)); then come_back; patience=$later; echo "the others do not all answer: this member is back, with a drive that takes nothing"; fi',
  "    elif [[ -z $drive || -n $silent$refused ]]; then ill=0",
  "    elif ((answering >= others && ++ill > patience)); then stand_aside; fi",
  "}",
];
