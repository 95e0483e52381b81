#!/bin/sh
# Starts MinIO in its container, with the arguments that the container has.
set -eu

# Docker keeps secrets in memory: after a power loss it may start a container without them, and MinIO without a root user
# uses its well-known default. If this ends, Swarm creates a container that has them.
for file in "$MINIO_ROOT_USER_FILE" "$MINIO_ROOT_PASSWORD_FILE"; do
    [ -s "$file" ] || {
        echo "$file is not in this container" >&2
        exit 1
    }
done

is_read_only() {
    while read -r _ _ _ _ point options rest; do
        case "$point ,$options,${rest##* }," in
            "/data "*,ro,* | "/data "*,emergency_ro,*) return 0 ;;
        esac
    done < "${MOUNTINFO:-/proc/self/mountinfo}"
    return 1
}

# MinIO on a read-only drive answers, and has the others wait for its writes.
while is_read_only; do
    echo "waiting: the file system of /data is read-only"
    sleep 5
done
exec "$0" "$@"
