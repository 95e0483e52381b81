#!/bin/sh
# Starts nginx under a shell that gets the signal to stop: first the VIP has to leave the node, or clients would find
# nobody there until it has. Then nginx ends what it has begun.
RUN=${RUN:-/tmp}

# Requests of the node itself come from the container's gateway. The kernel has its bytes in reverse.
while read -r _ to gateway _; do
    [ "$to" = 00000000 ] || continue
    n=$((0x$gateway))
    echo "allow $((n & 255)).$((n >> 8 & 255)).$((n >> 16 & 255)).$((n >> 24));"
done < "${ROUTES:-/proc/net/route}" > "$RUN/node.conf"

leave() {
    trap '' TERM QUIT
    : > "$RUN/leaving"
    # keepalived asks every two seconds, and gives the VIP to another node at the first 503.
    sleep 5
    kill -s QUIT "$nginx"
}
nginx -e stderr -c "${0%/*}/nginx.conf" "$@" &
nginx=$!
trap leave TERM QUIT
# A signal ends the wait, not nginx.
while :; do
    wait "$nginx"
    code=$?
    kill -s 0 "$nginx" 2> /dev/null || exit "$code"
done
