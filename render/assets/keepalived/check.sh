#!/bin/sh
# May this node hold the VIP? Run by keepalived; exit code 0 means yes.
# check.env beside it sets PORT, PEERS (the other edge nodes, separated by commas) and two limits in seconds.
# shellcheck source=/dev/null
. "${0%/*}/check.env"

# Asks this node for a path, or for several of them in braces, within so many seconds each.
ask() {
    curl -fsk --fail-early --noproxy '*' -o /dev/null --max-time "$1" "https://127.0.0.1:$PORT/$2"
}
neighbour_reaches_registry() {
    [ -n "$PEERS" ] || return 1
    case $(curl -fsk --noproxy '*' -Z --parallel-immediate --max-time "$REGISTRY_TIMEOUT" \
        -o /dev/null -w '%{http_code} ' "https://{$PEERS}:$PORT/healthz/registry" 2>/dev/null) in
        *200*) return 0 ;;
    esac
    return 1
}

# Both by one process. What fails is asked again, as a busy node may be late once.
ask "$TIMEOUT" '{healthz,healthz/registry}' && exit 0
ask "$TIMEOUT" healthz || exit 1
ask "$REGISTRY_TIMEOUT" healthz/registry && exit 0
# If no neighbour does better, the VIP stays: clients get cached content, and an answer.
if neighbour_reaches_registry; then exit 1; fi
