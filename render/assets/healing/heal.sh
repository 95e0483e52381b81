#!/bin/sh
# Brings to all of MinIO's drives what was written while one of them was away. It runs on the first storage node.
#
#   heal.sh tick         checks the drives, and heals once all were there at two ticks; a timer runs it each minute
#   heal.sh now [deep]   heals at once; `deep` reads and checks every byte as well
#   heal.sh whole        checks the drives, and heals at once if something is missing
#   heal.sh status       prints what is known
set -eu
# shellcheck source=/dev/null
. "${0%/*}/heal.env"
state=${STATE_FOLDER:-/var/lib/moorage/healing}
mkdir -p "$state"

# Each fact is a file: `wanted` says since when and why a heal is due, `healed` when the last good one began.
save() {
    printf '%s\n' "$2" > "$state/.$1"
    mv -f "$state/.$1" "$state/$1"
}
saved() { cat "$state/$1" 2> /dev/null || :; }
want() { [ -e "$state/wanted" ] || { save wanted "$(date +%s) $1" && echo "to be healed: $1"; }; }

# Runs a line in MinIO's container, for $1 seconds. The login is in the environment there, and on no command line.
in_container() {
    id=$(timeout 10 docker ps --quiet --filter status=running --filter "label=com.docker.swarm.service.name=$SERVICE" | head -n 1)
    [ -n "$id" ] || { echo "no container of $SERVICE runs here"; return 1; }
    timeout "$(($1 + 15))" docker exec --env MC_CONFIG_DIR=/tmp/.mc "$id" timeout "$1" sh -c \
        "export MC_HOST_local=\"http://\$(cat $ROOT_USER_FILE):\$(cat $ROOT_PASSWORD_FILE)@127.0.0.1:9000\"; $2"
}

# Sets `whole` to yes if all drives are there, have room, and all servers have reached each other for a minute.
look() {
    answer=$(in_container 20 'mc --quiet --json admin info local && mc --quiet admin prometheus metrics local cluster &&
        mc --quiet --json support top rpc --dev -n 1 local' 2> /dev/null) || :
    info=$(printf %s "$answer" | tr -d '[:space:]')
    count() { printf %s "$info" | grep -o "$1" | wc -l; }
    there=$(count '"state":"ok"')
    # Nothing can be written to a full drive. MinIO leaves out a zero.
    roomy=$(printf %s "$info" | grep -o '"availspace":[0-9]*' | cut -d : -f 2 | awk '$1 > 67108864' | wc -l)
    [ "$roomy" -ge "$there" ] || there=$roomy
    # Two other servers may miss each other. These counters show it, also when it is over.
    [ "$(count '"network":{[^}]*"\(offline\|connection\)')" -eq 0 ] || there=$((DRIVES - 1))
    missed=$({ printf '%s\n' "$answer" | grep '^minio_inter_node_traffic_errors_total{'; printf %s "$info" | grep -o '"reconnectCount":[0-9]*'; } | sort)
    uptime=$(printf %s "$info" | grep -o '"uptime":[0-9]*' | cut -d : -f 2 | sort -n | head -n 1)

    now=$(date +%s)
    healed=$(saved healed)
    # A clock that was ahead once must not hold back what follows.
    [ "${healed:-0}" -le "$((now + 60))" ] || healed=
    before=$(saved missed)
    whole=no
    if [ "$there" -ne "$DRIVES" ]; then want "a drive was missing or full"
    elif [ -n "$before" ] && [ "$missed" != "$before" ]; then want "a server did not reach another"
    elif [ "$uptime" -ge "${STEADY_SECONDS:-60}" ]; then whole=yes; fi
    [ -z "$missed" ] || save missed "$missed"
    if [ -z "$healed" ]; then want "nothing was healed yet"
    elif [ "$((now - ${uptime:-0}))" -gt "$healed" ]; then want "a server was restarted"
    elif [ "$((now - healed))" -ge "$EVERY_SECONDS" ]; then want "the last heal is too long ago"; fi
    last=$(saved looked)
    save looked "$now $there $whole"
}

# `mc` says of each object on which drives it was, and is. One on too few drives to be read was deleted, as a rule.
# shellcheck disable=SC2016
summary='BEGIN { RS = "}" }
    /"status"/ { after = 0 }
    /"after"/ { after = 1; if ($0 ~ /"after" *: *\{[^{]*"color" *: *"(yellow|red)"/) left++ }
    after && left && /"state"/ && !/"state" *: *"ok"/ {
        drive = $0; sub(/.*"endpoint" *: *"[a-z]*:\/\//, "", drive); sub(/[:\/].*/, "", drive); missing[drive]++ }
    /"type" *: *"summary"/ { scanned = number("objects_scanned"); healed = number("objects_healed"); complete = 1 }
    /"error"/ || /rror response|no container/ { error = $0; sub(/.*"message" *: *"/, "", error) }
    /exit code [0-9]+/ { code = $0; sub(/.*exit code /, "", code); code += 0 }
    function number(key) { value = $0; sub(".*\"" key "\" *: *", "", value); return value + 0 }
    END {
        gsub(/\/\/[^@ ]*@/, "//", error); gsub(/[[:space:]]+/, " ", error)
        if (code != 0) print "not healed: exit code " code ": " substr(error, 1, 200)
        else if (!complete) print "not healed: it was cut off"
        else if (left) { names = ""; for (drive in missing) names = names " " drive; print "not healed: " left " objects are not on all drives:" names }
        else print "healed: " healed " of " scanned " objects" }'

# $1 is how MinIO looks at an object: `normal` or `deep`. What happens meanwhile is seen by the tick that follows.
heal() {
    begun=$(date +%s)
    save doing "$begun"
    echo "healing, by a $1 scan"
    # One whose client was cut off would still run, and refuse another.
    in_container 60 'exec mc --quiet --json admin heal --recursive --force-stop local' > /dev/null 2>&1 || :
    result=$({
        code=0
        in_container "${LIMIT_SECONDS:-43200}" "exec mc --quiet --json admin heal --recursive --scan $1 local" 2>&1 || code=$?
        printf '\nexit code %s\n' "$code"
    } | awk "$summary")
    rm -f "$state/doing"
    echo "$result"
    case $result in
        healed:*)
            save healed "$begun"
            rm -f "$state/wanted" "$state/failed"
            return 0 ;;
    esac
    want "the last heal failed"
    read -r _ tries _ 2> /dev/null < "$state/failed" || tries=0
    save failed "$(date +%s) $((tries + 1)) ${result#not healed: }"
    return 1
}

# A failed heal is repeated after a minute, then after two, and so on up to an hour.
is_due() {
    [ -e "$state/wanted" ] && [ "$whole ${last##* }" = "yes yes" ] || return 1
    read -r at tries _ 2> /dev/null < "$state/failed" || return 0
    [ "$tries" -lt 60 ] || tries=60
    [ "$now" -ge "$((at + tries * 60))" ] || [ "$at" -gt "$now" ]
}

exec 9>> "$state/lock"
case "$*" in
    tick)
        flock -n 9 || exit 0
        look
        if is_due; then heal normal || :; fi ;;
    now | "now deep")
        flock -n 9 || { echo "another heal is running: see $0 status"; exit 1; }
        heal "${2:-normal}" ;;
    whole)
        flock 9
        look
        [ "$there" -eq "$DRIVES" ] || { echo "$there of $DRIVES drives are there" >&2; exit 1; }
        if [ -e "$state/wanted" ]; then heal normal; else echo "all drives hold everything"; fi ;;
    status)
        for fact in looked healed wanted failed; do
            if [ -e "$state/$fact" ]; then echo "$fact=$(saved "$fact")"; fi
        done
        if [ -e "$state/doing" ] && ! flock -n 9; then echo "doing=$(saved doing)"; fi
        echo "all=$DRIVES" ;;
    *)
        echo "usage: $0 tick | now [deep] | whole | status" >&2
        exit 64 ;;
esac
