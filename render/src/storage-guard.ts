/** The unit that keeps a member of MinIO that has fallen silent from holding up the others. */
import type { NodeFiles } from "./model";
import { lines, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

export interface StorageGuardArgs {
  /** Swarm service that is MinIO on this node. */
  readonly service: string;
  /** How many other members there are. */
  readonly others: number;
  /** @default 9000 */
  readonly port?: number;
}

export const storageGuardUnit = "moorage-storage-guard.service";
const path = "/etc/moorage/storage-guard";

/**
 * A read of MinIO waits for each member whose connections stand. To a frozen process they stand until MinIO gives them
 * up after 20 s; to a node without power each that was kept has to fail by itself, for seconds. This one asks every
 * member twice each second, and ends the connections to the one that has not answered for a second and a half.
 *
 * Only ever one at a time, and only while all others answer: a node that is cut off, or so busy that nobody answers it
 * in time, does nothing. It leaves nothing behind that would have to be taken back.
 */
export function renderStorageGuard(args: StorageGuardArgs): string {
  return lines(
    "#!/bin/bash",
    "# Ends MinIO's connections to a member that has fallen silent, as long as all others answer. The unit runs `watch`.",
    "set -u",
    `service=${word(args.service, "service")}`,
    `others=${args.others}`,
    `port=${args.port ?? 9000}`,
    "# Half seconds without an answer after which a member is silent, and seconds without a connection after which it is forgotten.",
    "limit=3 memory=20",
    "",
    ...asking,
    "",
    ...guarding,
    "",
    ...watching,
  );
}

const asking = [
  "# Members that MinIO has connections to, or wants to, and when it had one last.",
  "look() {",
  "    local peer",
  "    while read -r _ _ _ _ peer _; do",
  "        seen[${peer%:*}]=$SECONDS",
  '    done < <(ss -Htn state connected dport = ":$port")',
  "}",
  "# Says the member's address on 4 once it has answered.",
  "ask() {",
  "    {",
  '        exec 3<>"/dev/tcp/$1/$port" && printf "GET /minio/health/live HTTP/1.0\\r\\n\\r\\n" >&3 &&',
  '            read -r -t 2 line <&3 && [[ $line == *" 200 "* ]] && echo "$1" >&4',
  "    } 2>/dev/null &",
  "}",
  "# Those that have answered within half a second.",
  "listen() {",
  "    local end=$((${EPOCHREALTIME/[.,]/} + 500000)) left address",
  '    heard=" "',
  "    while left=$((end - ${EPOCHREALTIME/[.,]/})); ((left > 0)); do",
  '        printf -v left "0.%06d" "$left"',
  '        if read -r -t "$left" address <&4; then heard+="$address "; fi',
  "    done",
  "}",
];

const guarding = [
  "# In the network of MinIO's container, as long as its process lives.",
  "guard() {",
  "    local -A seen=() missed=()",
  "    local address answering silent ended= count=0",
  "    exec 4<> <(:)",
  '    while [ -d "/proc/$1" ]; do',
  "        (((count++) % 2)) || look",
  '        for address in "${!seen[@]}"; do ask "$address"; done',
  "        listen",
  "        answering=0 silent=",
  '        for address in "${!seen[@]}"; do',
  '            if [[ $heard == *" $address "* ]]; then',
  '                if [ "$address" = "$ended" ]; then ended= && echo "$address answers again"; fi',
  "                missed[$address]=0 answering=$((answering + 1))",
  "            elif ((SECONDS - seen[$address] > memory)); then",
  '                unset "seen[$address]" "missed[$address]"',
  "            else",
  "                missed[$address]=$((missed[$address] + 1))",
  '                ((missed[$address] < limit)) || silent+="$address "',
  "            fi",
  "        done",
  '        [[ $silent =~ ^[^" "]+" "$ ]] && ((answering >= others - 1)) || continue',
  "        address=${silent% }",
  '        [ "$address" = "$ended" ] || echo "$address is silent: its connections are ended"',
  "        ended=$address",
  '        ss -K -t dst "$address" >/dev/null',
  "    done",
  "}",
];

const watching = [
  '[ "$1" = watch ] || { guard "$2"; exit; }',
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
      Description: "Ends MinIO's connections to a member that has fallen silent",
      // Stopped with Docker, and started by it again: asking it would wake a Docker that someone has stopped.
      Requires: "docker.service",
      After: "docker.service",
      StartLimitIntervalSec: 0,
    },
    Service: {
      ExecStart: unitCommand(["/bin/bash", path, "watch"]),
      Restart: "always",
      RestartSec: 2,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}
