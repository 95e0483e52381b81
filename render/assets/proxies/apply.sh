#!/bin/bash
# Puts the wanted configuration of nginx and HAProxy in force on this node, without restarting a container.
#   apply.sh           each program's wanted/ becomes a folder of its own: checked in the running container, named by
#                      `current`, loaded. If the program does not take it, the one before stays in force.
#   apply.sh remove    removes what this made
# apply.env beside it sets NGINX and HAPROXY (Swarm services, empty where this node has none) and GRACE (seconds for
# which a replaced password is accepted).
set -euo pipefail

here=${BASH_SOURCE[0]%/*}
# shellcheck source=/dev/null
. "$here/apply.env"
root=${ROOT:-/etc/moorage} cache=${CACHE:-/var/lib/moorage/cache}

fail() {
    echo "$1" >&2
    exit 1
}
containers() { timeout 20 docker ps -q --filter "label=com.docker.swarm.service.name=$1" 2> /dev/null || :; }

# ask CONTAINER PORT TEXT: what a program answers on its own loopback address
ask() {
    local pid
    pid=$(docker inspect -f '{{.State.Pid}}' "$1") || return 1
    # shellcheck disable=SC2016
    timeout 5 nsenter -t "$pid" -n bash -c \
        'exec 3<> "/dev/tcp/127.0.0.1/$1" && printf "$2" >&3 && cat <&3' bash "$2" "$3" 2> /dev/null
}
in_force() { ask "$1" 8404 'GET / HTTP/1.0\r\n\r\n' | tail -n 1 | tr -d '\r'; }

check_nginx() { docker exec "$1" nginx -q -t -c "$2/nginx.conf"; }
check_haproxy() { docker exec "$1" haproxy -q -c -f "$2/version.cfg" -f "$2/haproxy.cfg" -f "$2/servers.cfg"; }
# shellcheck disable=SC2016
load_nginx() { docker exec "$1" sh -c 'kill -s HUP "$(cat /tmp/nginx.pid)"'; }
load_haproxy() {
    ask "$1" 8405 'show servers state\n' | docker exec -i "$1" sh -c 'cat > /tmp/servers.state' || :
    docker kill --signal USR2 "$1" > /dev/null
}

# The previous passwords of users whose password is another one than in folder $1: with their end, in seconds since 1970.
previous_passwords() {
    local now
    now=$(date +%s)
    touch "$2/previous.htpasswd" "$2/previous.json"
    for file in users.htpasswd previous.htpasswd previous.json; do
        if [ -f "$1/$file" ]; then cat "$1/$file"; fi | sed "s/^/$file /"
    done | awk -v users="$2/users.htpasswd" -v now="$now" -v grace="$GRACE" -v to="$2/previous" '
        function name(entry) { return substr(entry, 1, index(entry, ":") - 1) }
        { entry = substr($0, length($1) + 2) }
        $1 == "users.htpasswd" { before[name(entry)] = entry }
        $1 == "previous.htpasswd" { previous[name(entry)] = entry }
        $1 == "previous.json" && split(entry, part, "\"") > 2 { end[part[2]] = substr(part[3], 2) + 0 }
        END {
            while ((getline entry < users) > 0) {
                user = name(entry)
                if (user in before && before[user] != entry) { previous[user] = before[user]; end[user] = now + grace }
                if (!(user in previous) || end[user] <= now) continue
                print previous[user] > (to ".htpasswd")
                json = json (json ? ",\n" : "") "\"" user "\":" end[user]
            }
            print "{" json "}" > (to ".json")
        }'
}
# extra PROGRAM FOLDER: what only this node knows
extra() {
    local version=${2##*/}
    if [ "$1" = haproxy ]; then
        printf 'global\n    setenv VERSION %s\n' "$version" > "$2/version.cfg"
        return
    fi
    # shellcheck disable=SC2016
    printf 'map "" $version {\n    default %s;\n}\n' "$version" > "$2/version.conf"
    mkdir -p "$cache"
    chown "$3:$3" "$cache"
    chmod 700 "$cache"
    # nginx leaves a tenth of the disk free.
    sed -i "s/@MIN_FREE@/$(df --output=size -B 10M "$cache" | tail -n 1 | tr -d ' ')m/" "$2/cache.conf"
    previous_passwords "$root/nginx/current" "$2"
}
# make PROGRAM FOLDER USER
make() {
    mkdir -p "$2"
    chmod 750 "$2"
    cp "$root/$1"/wanted/* "$2/"
    extra "$@"
    chown -R "root:$3" "$2"
    chmod 440 "$2"/*
    chmod 550 "$2"/*.sh 2> /dev/null || :
    # SELinux lets containers read only what has their label.
    if selinuxenabled 2> /dev/null; then chcon -R -t container_file_t "$root/$1" "$cache" 2> /dev/null || :; fi
}
switch() { ln -sfn "$2" "$root/$1/.next" && mv -fT "$root/$1/.next" "$root/$1/current"; }

# load PROGRAM CONTAINER VERSION: false if the program goes on with another version
load() {
    [ "$(in_force "$2")" = "$3" ] && return
    "load_$1" "$2" || return
    for _ in {1..40}; do
        sleep 0.25
        [ "$(in_force "$2")" = "$3" ] && return
    done
    return 1
}
is_running() { [ "$(docker inspect -f '{{.State.Running}}' "$1" 2> /dev/null)" = true ]; }

# apply PROGRAM USER SERVICE
apply() {
    local program=$1 user=$2 service=$3 folder=$root/$1 sum old new container words started
    sum=$(cd "$folder/wanted" && sha256sum -- * | sha256sum | head -c 16)
    old=$(readlink "$folder/current" || :)
    new=$old
    [ "${old%-*}" = "$sum" ] || new=$sum-$(date +%s%N)
    if [ "$new" != "$old" ]; then
        make "$program" "$folder/$new" "$user"
        for container in $(containers "$service"); do
            words=$("check_$program" "$container" "$folder/$new" 2>&1) && continue
            is_running "$container" || continue
            rm -rf "${folder:?}/$new"
            fail "$program refuses its new configuration; the one before stays in force: $words"
        done
        switch "$program" "$new"
    fi
    started=$(date +%s)
    for container in $(containers "$service"); do
        load "$program" "$container" "$new" && continue
        is_running "$container" || continue
        words=$(docker logs --since "$started" "$container" 2>&1 | grep -E '\[emerg\]|\[ALERT\]' | tail -n 3 || :)
        if [ -n "$old" ] && [ "$new" != "$old" ]; then
            switch "$program" "$old"
            load "$program" "$container" "$old" || :
            rm -rf "${folder:?}/$new"
        fi
        fail "$program does not load its new configuration; the one before is in force: ${words:-no word in its log}"
    done
    find "$folder" -mindepth 1 -maxdepth 1 -type d ! -name wanted ! -name "$new" -exec rm -rf {} +
}

mkdir -p /run/moorage
exec 9> /run/moorage/proxies.lock
flock 9
case ${1:-} in
    remove)
        # This runs at each shutdown, too.
        [ "$(systemctl is-system-running)" = stopping ] && exit 0
        for program in nginx haproxy; do
            rm -f "$root/$program/current"
            find "$root/$program" -mindepth 1 -maxdepth 1 -type d ! -name wanted -exec rm -rf {} + 2> /dev/null || :
        done
        rm -rf "$cache"
        ;;
    *)
        # HAProxy first: nginx may want servers that only its new configuration has.
        [ -z "$HAPROXY" ] || apply haproxy 65531 "$HAPROXY"
        [ -z "$NGINX" ] || apply nginx 65533 "$NGINX"
        ;;
esac
