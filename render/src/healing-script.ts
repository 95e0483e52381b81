/** What one storage node does for MinIO's redundancy: one shell script with a verb for each thing. */
import { lines, word } from "./text";

export interface HealingScriptArgs {
  /** Swarm service that is MinIO on this node; its container has `mc`, `sh`, `cat` and `timeout`. */
  readonly service: string;
  /** How many drives the store has. */
  readonly drives: number;
  /** Seconds after which all is looked through again, whatever was seen. */
  readonly everySeconds: number;
  /** Where MinIO finds its root user in its container. */
  readonly rootUserFile: string;
  readonly rootPasswordFile: string;
  /** Folder of what has to be known after a reboot. @default "/var/lib/moorage/healing" */
  readonly stateFolder?: string;
  /** Folder of what need not. @default "/run/moorage-healing" */
  readonly runFolder?: string;
  /** Seconds between two looks, each of which starts MinIO's client three times. @default 20 */
  readonly intervalSeconds?: number;
  /**
   * So many looks in a row have to find all drives before anything is healed. A server of MinIO tries for up to 30 s
   * to reach again what it had lost, and says nothing of it. @default 3
   */
  readonly steadyLooks?: number;
  /** Seconds after which a healing that has no end is given up. @default 43200 */
  readonly limitSeconds?: number;
  /** Seconds until a failed one is tried again, each time after twice as long, up to an hour. @default 30 */
  readonly retrySeconds?: number;
}

/**
 * MinIO writes an object where three of its four drives are there, tries the fourth once more a second later, and
 * then leaves it to a scanner that takes days. So once all drives are there again, everything is looked through.
 */
export function renderHealingScript(args: HealingScriptArgs): string {
  return lines(
    "#!/bin/sh",
    "# Brings what was written while a drive of MinIO was away to all drives. The unit runs `watch`; `now` heals at",
    "# once, `now deep` reads and checks every byte besides, and `say` tells how things stand. `settle` ends once nothing",
    "# is missing on any drive: whoever asks for it has seen that MinIO's servers reach each other.",
    "set -eu",
    `service=${word(args.service, "service")}`,
    `all=${args.drives}`,
    `state=${word(args.stateFolder ?? "/var/lib/moorage/healing", "folder")}`,
    `run=${word(args.runFolder ?? "/run/moorage-healing", "folder")}`,
    `every=${args.everySeconds}`,
    `interval=${args.intervalSeconds ?? 20}`,
    `limit=${args.limitSeconds ?? 43_200}`,
    `retry=${args.retrySeconds ?? 30}`,
    `looks=${args.steadyLooks ?? 3}`,
    "",
    ...notes,
    "",
    ...asking(args),
    "",
    ...looking,
    "",
    ...healing,
    "",
    ...verbs,
  );
}

const notes = [
  "# Each fact is a file: `wanted` is why something has to be healed, `doing` and `healed` are when it began.",
  "# By a name of this process's own: an operator may heal while the service looks on.",
  'note() { printf "%s\\n" "$2" > "$state/.$1.$$$writer"; mv -f "$state/.$1.$$$writer" "$state/$1"; }',
  "writer=",
  'noted() { cat "$state/$1" 2>/dev/null || :; }',
  "# It is healed some looks after what was seen last.",
  'want() { [ -e "$state/wanted" ] || { note wanted "$(date +%s) $1"; echo "to be healed: $1"; steady=0; }; }',
];

const asking = ({ rootUserFile, rootPasswordFile }: HealingScriptArgs): string[] => [
  "# A line in MinIO's container, for $1 seconds. The login is in the environment there, and on no command line.",
  "inside() {",
  '    id=$(timeout 10 docker ps --quiet --filter status=running --filter "label=com.docker.swarm.service.name=$service" | head -n 1)',
  '    if [ -z "$id" ]; then echo "no container of $service runs here"; return 1; fi',
  `    login='MC_HOST_local="http://$(cat ${word(rootUserFile, "file")}):$(cat ${word(rootPasswordFile, "file")})@127.0.0.1:9000"'`,
  '    timeout "$(($1 + 15))" docker exec "$id" timeout "$1" sh -c "export MC_CONFIG_DIR=/tmp/.mc $login; $2"',
  "}",
];

/** What MinIO knows of its drives and servers, and two counts of what servers did not reach: by HTTP, and by its own grid. */
const mcQuestions =
  "mc --quiet --json admin info local && { mc --quiet admin prometheus metrics local cluster; exec mc --quiet --json support top rpc --dev -n 1 local; }";

const looking = [
  "# How many drives are there, when the last of the servers started, and whether all have reached each other since.",
  "look() {",
  `    told=$(inside 20 '${mcQuestions}' 2>/dev/null) || :`,
  `    info=$(printf %s "$told" | tr -d '[:space:]')`,
  `    there=$(printf %s "$info" | grep -o '"state":"ok"' | wc -l)`,
  `    uptime=$(printf %s "$info" | grep -o '"uptime":[0-9]*' | cut -d : -f 2 | sort -n | head -n 1)`,
  "    # One that is full takes nothing, as if it were away; MinIO leaves a zero out.",
  `    roomy=$(printf %s "$info" | grep -o '"availspace":[0-9]*' | cut -d : -f 2 | awk '$1 > 67108864' | wc -l)`,
  '    if [ "$roomy" -lt "$there" ]; then there=$roomy; fi',
  "    # One server may miss a drive that this one has: as long as that lasts, and by what servers count afterwards.",
  `    if [ "$there" -eq "$all" ] && printf %s "$info" | grep -Eq '"network":[{][^}]*"(offline|connection)'; then there=$((all - 1)); fi`,
  `    missed=$({ printf '%s\\n' "$told" | grep '^minio_inter_node_traffic_errors_total{'; printf %s "$info" | grep -o '"reconnectCount":[0-9]*'; } | sort)`,
  '    before=$(cat "$run/missed" 2>/dev/null) || before=$missed',
  '    if [ -n "$missed" ]; then printf "%s\\n" "$missed" > "$run/missed"; fi',
  "    now=$(date +%s)",
  "    covered=$(noted doing)",
  '    [ -n "$covered" ] || covered=$(noted healed)',
  "    # A clock that was ahead once would otherwise hold back all that follows.",
  '    if [ -n "$covered" ] && [ "$covered" -gt "$((now + 60))" ]; then covered=; fi',
  '    if [ "$there" -ne "$all" ]; then want "a drive was away, or full"',
  '    elif [ -z "$covered" ]; then want "it is not known what the drives hold"',
  '    elif [ "$((now - ${uptime:-0}))" -gt "$covered" ]; then want "a server was started anew"',
  '    elif [ -n "$missed" ] && [ "$missed" != "$before" ]; then want "a server did not reach another"',
  '    elif [ "$((now - covered))" -ge "$every" ]; then want "it is time to look through everything"; fi',
  "    # A drive that comes and goes is left alone until it stays.",
  '    if [ "$there" -eq "$all" ]; then steady=$((steady + 1)); else steady=0; fi',
  '    echo "$now $there" > "$run/.looked.$$"',
  '    mv -f "$run/.looked.$$" "$run/looked"',
  "}",
  "",
  "due() {",
  '    [ "$steady" -ge "$looks" ] && [ -e "$state/wanted" ] && [ ! -e "$state/doing" ] || return 1',
  '    read -r last tries _ 2>/dev/null < "$state/failed" || return 0',
  "    pause=$retry",
  '    while [ "$tries" -gt 1 ] && [ "$pause" -lt 3600 ]; do pause=$((pause * 2)); tries=$((tries - 1)); done',
  '    [ "$now" -ge "$((last + pause))" ] || [ "$last" -gt "$now" ]',
  "}",
];

const healing = [
  "# Of each object MinIO says on which drives it was, and is. What is on too few to be read is the rest of something",
  "# that was deleted while a drive was away, as a rule, and is swept.",
  "sum_up() {",
  `    awk 'BEGIN { RS = "}" }`,
  '        /"status"/ { after = 0 }',
  '        /"after"/ { after = 1; if ($0 ~ /"after" *: *\\{[^{]*"color" *: *"(yellow|red)"/) left++ }',
  '        after && left && /"state"/ && !/"state" *: *"ok"/ {',
  '            drive = $0; sub(/.*"endpoint" *: *"[a-z]*:\\/\\//, "", drive); sub(/[:\\/].*/, "", drive); missed[drive]++ }',
  '        /"type" *: *"summary"/ { scanned = number("objects_scanned"); healed = number("objects_healed"); whole = 1 }',
  '        /"error"/ || /rror response|no container/ { wrong = $0; sub(/.*"message" *: *"/, "", wrong) }',
  '        /ended [0-9]+/ { code = $0; sub(/.*ended /, "", code); code = code + 0 }',
  '        function number(key) { value = $0; sub(".*\\"" key "\\" *: *", "", value); return value + 0 }',
  "        END {",
  '            gsub(/\\/\\/[^@ ]*@/, "//", wrong); gsub(/[[:space:]]+/, " ", wrong)',
  '            if (code == "") print "no: cut off"',
  '            else if (code != 0) print "no: exit code " code ": " substr(wrong, 1, 200)',
  '            else if (!whole) print "no: it was cut off"',
  '            else if (left > 0) { said = ""; for (drive in missed) said = said " " drive; print "no: " left " objects are not on all drives:" said }',
  '            else print "yes: " healed " of " scanned " objects"',
  "        }'",
  "}",
  "",
  "# Before anyone looks again. Ends with 1 where another one is at it.",
  "begin() {",
  '    exec 9> "$run/lock"',
  '    flock -n 9 || { exec 9>&-; echo "another healing runs: see $0 say"; return 1; }',
  "    began",
  "}",
  "began() {",
  "    begun=$(date +%s)",
  '    note doing "$begun"',
  '    rm -f "$state/wanted"',
  "}",
  "# $1 is MinIO's way of looking, `normal` or `deep`. It has begun.",
  "heal() (",
  "    # The watch has the same number.",
  "    writer=.healing",
  '    echo "healing, by a $1 scan"',
  "    # One whose client was cut off would still be there, and have none beside it.",
  "    inside 60 'exec mc --quiet --json admin heal --recursive --force-stop local' > /dev/null 2>&1 || :",
  "    result=$(",
  '        { code=0; inside "$limit" "exec mc --quiet --json admin heal --recursive --scan $1 local" 2>&1 || code=$?',
  '          printf "\\nended %s\\n" "$code"; } | sum_up',
  "    )",
  "    case $result in",
  "        yes:*)",
  '            note healed "$begun"',
  '            rm -f "$state/failed"',
  '            echo "healed: ${result#yes: }" ;;',
  "        *)",
  '            want "the last healing failed"',
  '            read -r _ tries _ 2>/dev/null < "$state/failed" || tries=0',
  '            note failed "$(date +%s) $((tries + 1)) ${result#no: }"',
  '            echo "not healed: ${result#no: }" >&2 ;;',
  "    esac",
  '    rm -f "$state/doing"',
  '    [ "${result%%:*}" = yes ]',
  ")",
];

const verbs = [
  "# The lock goes with its process; the note stays, over a reboot too.",
  'cut_off() { want "a healing was cut off"; rm -f "$state/doing"; }',
  "",
  "watch() {",
  "    steady=0",
  "    while :; do",
  '        if [ -e "$state/doing" ] && flock -n "$run/lock" test -e "$state/doing"; then cut_off; fi',
  "        look",
  "        # Looking goes on meanwhile: what is away for a moment then is healed afterwards.",
  "        if due && begin; then",
  "            heal normal &",
  "            # The lock is the healing's alone.",
  "            exec 9>&-",
  "        fi",
  '        sleep "$interval"',
  "    done",
  "}",
  "",
  "# What a server writes large objects by can be away for up to 30 s longer than all it says of itself, but it heals by",
  "# that. So it is asked to heal some object that is there, and says where it was.",
  "reach() {",
  "    # MinIO's own image has no more than the shell and coreutils. A store counts as empty once a list of it ends well.",
  `    some=$(inside 20 'mc --quiet --json ls --recursive local | { IFS= read -r line; printf %s "$line"; }' 2>/dev/null | sed -n 's/.*"key":"\\([^"]*\\)".*/\\1/p')`,
  "    [ -n \"$some\" ] || { inside 20 'exec mc --quiet ls --recursive local' > /dev/null 2>&1; return; }",
  `    states=$(inside 20 "exec mc --quiet --json admin heal --recursive 'local/$some'" 2>/dev/null | tr -d '[:space:]' | grep -o '"state":"[a-z-]*"' | sort -u) || :`,
  `    [ "$states" = '"state":"ok"' ]`,
  "}",
  "",
  "settle() {",
  "    steady=0",
  "    # One that is under way may have passed by what is missing now.",
  '    exec 9> "$run/lock"',
  "    flock 9",
  '    if [ -e "$state/doing" ]; then cut_off; fi',
  '    reach || { echo "this server does not reach all drives" >&2; return 1; }',
  "    look",
  '    if [ "$there" -ne "$all" ]; then echo "$there of $all drives are there" >&2; return 1; fi',
  '    if [ ! -e "$state/wanted" ]; then echo "all drives hold everything"; return 0; fi',
  "    began",
  "    heal normal",
  "}",
  "",
  "say() {",
  '    for fact in healed doing wanted failed; do if [ -e "$state/$fact" ]; then echo "$fact=$(noted $fact)"; fi; done',
  '    echo "looked=$(cat "$run/looked" 2>/dev/null || :)"',
  '    echo "all=$all"',
  "}",
  "",
  'mkdir -p "$state" "$run"',
  "case ${1:-} in",
  '    watch|say|settle) "$1" ;;',
  "    now)",
  '        case ${2:-normal} in normal|deep) ;; *) echo "usage: $0 now [deep]" >&2; exit 64 ;; esac',
  '        begin && heal "${2:-normal}" ;;',
  '    *) echo "usage: $0 watch | say | settle | now [deep]" >&2; exit 64 ;;',
  "esac",
];
