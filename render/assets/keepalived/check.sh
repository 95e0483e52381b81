#!/bin/sh
# May this node hold the VIP? Run by keepalived; exit code 0 means yes.
# check.env beside it sets PORT, PEERS (the other edge nodes, separated by commas) and two limits in seconds.
# shellcheck source=/dev/null
. "${0%/*}/check.env"

ask() {
    curl -fsk --noproxy '*' -o /dev/null --max-time "$1" "https://127.0.0.1:$PORT$2"
}
# Asks again after a timeout (28): a busy node may be late once. A refusal or a 503 counts at once.
works() {
    ask "$@" || { [ $? -eq 28 ] && ask "$@"; }
}
neighbour_reaches_registry() {
    [ -n "$PEERS" ] || return 1
    case $(curl -fsk --noproxy '*' -Z --parallel-immediate --max-time "$REGISTRY_TIMEOUT" \
        -o /dev/null -w '%{http_code} ' "https://{$PEERS}:$PORT/healthz/registry" 2>/dev/null) in
        *200*) return 0 ;;
    esac
    return 1
}

works "$TIMEOUT" /healthz || exit 1
works "$REGISTRY_TIMEOUT" /healthz/registry && exit 0
# If no neighbour does better, the VIP stays: clients get cached content, and an answer.
if neighbour_reaches_registry; then exit 1; fi
