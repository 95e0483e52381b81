#!/bin/sh
# May this node hold the VIP? Run by keepalived; exit code 0 means yes.
# check.env beside it sets PORT, PEERS (the other edge nodes, separated by commas) and two limits in seconds.
# shellcheck source=/dev/null
. "${0%/*}/check.env"

# Asks this node for each path, within so many seconds.
ask() {
    limit=$1
    shift
    for path; do
        set -- "$@" -o /dev/null "https://127.0.0.1:$PORT$path"
        shift
    done
    curl -fsk --fail-early --noproxy '*' --max-time "$limit" "$@"
}
neighbour_reaches_registry() {
    [ -n "$PEERS" ] || return 1
    case $(curl -fsk --noproxy '*' -Z --parallel-immediate --max-time "$REGISTRY_TIMEOUT" \
        -o /dev/null -w '%{http_code} ' "https://{$PEERS}:$PORT/healthz/registry" 2>/dev/null) in
        *200*) return 0 ;;
    esac
    return 1
}

# One process, as a rule. A busy node may be late once, so what fails is asked again.
ask "$TIMEOUT" /healthz /healthz/registry && exit 0
ask "$TIMEOUT" /healthz || exit 1
ask "$REGISTRY_TIMEOUT" /healthz/registry && exit 0
# If no neighbour does better, the VIP stays: clients get cached content, and an answer.
if neighbour_reaches_registry; then exit 1; fi
