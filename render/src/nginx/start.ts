/** How nginx starts in its container, and how it leaves. */
import { lines, word } from "../text";

/** keepalived asks every two seconds whether nginx is well, and gives the VIP away at the first 503. */
const leavingSeconds = 3;

/** Starts nginx in the foreground; the log goes to stderr before the configuration is read, too. */
export function nginxCommand(configPath: string): string[] {
  return ["nginx", "-e", "stderr", "-c", configPath];
}

/** While this file is there, nginx serves and says of itself that it does not. */
export const leavingPath = (run: string): string => `${word(run, "run path")}/leaving`;

/** Allows the node that nginx's container is on, for `include`. */
export const nodeSourcePath = (run: string): string => `${word(run, "run path")}/node.conf`;

/**
 * Starts nginx under a shell that is told to stop in nginx's place: first the VIP has to leave the node, or clients
 * would find nobody there until it has. Then nginx ends what it has begun.
 * @param runPath the folder that `renderNginx` was given. @default "/tmp"
 */
export function nginxStart(configPath: string, runPath = "/tmp", routesPath = "/proc/net/route"): string[] {
  const script = lines(
    "# What the node itself sends to nginx comes from the container's gateway. The kernel has its bytes in reverse.",
    "while read -r _ to gateway _; do",
    '    [ "$to" = 00000000 ] || continue',
    "    n=$((0x$gateway))",
    '    echo "allow $((n & 255)).$((n >> 8 & 255)).$((n >> 16 & 255)).$((n >> 24));"',
    `done < ${word(routesPath, "routes")} > ${nodeSourcePath(runPath)}`,
    "leave() {",
    "    trap '' TERM QUIT",
    `    : > ${leavingPath(runPath)}`,
    `    sleep ${leavingSeconds}`,
    '    kill -s QUIT "$nginx"',
    "}",
    '"$0" "$@" &',
    "nginx=$!",
    "trap leave TERM QUIT",
    "# A signal ends the wait, not nginx.",
    "while :; do",
    '    wait "$nginx"',
    "    code=$?",
    '    kill -s 0 "$nginx" 2>/dev/null || exit "$code"',
    "done",
  );
  return ["/bin/sh", "-c", script, ...nginxCommand(configPath)];
}

/**
 * Docker's look at nginx, as a Dockerfile has it. To start a process in the container costs many times what that
 * asks. So one that is new is told of at once, and afterwards a look asks six times in half a minute. It ends at the
 * first no.
 * @param runPath the folder that `renderNginx` was given. @default "/tmp"
 * @param pauseSeconds seconds before each question of a later look. @default 5
 */
export function nginxHealthTest(port: number, runPath = "/tmp", pauseSeconds = 5): string[] {
  const well = `${word(runPath, "run path")}/well`;
  const script = lines(
    `well() { curl -fsk --max-time 3 -o /dev/null "https://127.0.0.1:${port}/healthz"; }`,
    "well || exit 1",
    `[ -e ${well} ] || { : > ${well}; exit 0; }`,
    "for _ in 1 2 3 4 5 6; do",
    `    sleep ${pauseSeconds}`,
    "    well || exit 1",
    "done",
  );
  return ["CMD", "/bin/sh", "-c", script];
}
