/** Docker's look at a service that answers HTTP, as a Dockerfile has it. */
import { lines } from "./text";

export interface HealthTestArgs {
  /** Port in the container. */
  readonly port: number;
  /** Path that a new one has to answer with one of `statuses`, before it counts as running. */
  readonly path: string;
  readonly statuses: readonly number[];
  /** Path that one which has done so has to answer with anything at all. @default `path` */
  readonly laterPath?: string;
  /** Folder that the container can write to and that is empty in each new one. @default "/tmp" */
  readonly runPath?: string;
  /** Seconds that a new one has for its first answer, in one look. @default 10 */
  readonly firstSeconds?: number;
  /** Seconds before each question of a later look. @default 10 */
  readonly pauseSeconds?: number;
  /** Seconds that one which has done its work may take for an answer. @default 5 */
  readonly answerSeconds?: number;
}

/** How long Docker has to let a look take, with the defaults. */
export const lookTimeoutSeconds = 50;

/**
 * A new one counts once it has done its work; afterwards it only has to be alive, as what it works with may be what is
 * gone, and a restart would not mend that. To start a look in the container costs Docker many times what a question does:
 * so a first one asks until it knows, and a later one asks three times, and ends at the first question without an answer.
 * Needs `sh`, and one of `curl`, `wget` and `bash`.
 */
export function httpHealthTest(args: HealthTestArgs): string[] {
  const { port, path, statuses, laterPath = path } = args;
  const { firstSeconds = 10, pauseSeconds = 10, answerSeconds = 5 } = args;
  const url = `http://127.0.0.1:${port}`;
  const script = lines(
    "# The status of an answer; 000 or nothing if there is none within $2 seconds.",
    "status() {",
    "    if command -v curl > /dev/null; then",
    `        curl -s -o /dev/null -w '%{http_code}' --max-time "$2" "${url}$1"`,
    "    elif command -v wget > /dev/null; then",
    `        timeout "$2" wget -q -S -T "$2" -O /dev/null "${url}$1" 2>&1 | sed -n 's/.*HTTP\\/[0-9.]* \\([0-9]*\\).*/\\1/p' | head -n 1`,
    "    else",
    `        timeout "$2" bash -c 'exec 3<> "/dev/tcp/127.0.0.1/${port}" && printf "GET %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3 && read -r _ said _ <&3 && echo "$said"' bash "$1"`,
    "    fi",
    "}",
    `served=${args.runPath ?? "/tmp"}/served`,
    'if [ -e "$served" ]; then',
    "    for _ in 1 2 3; do",
    `        sleep ${pauseSeconds}`,
    `        case $(status ${laterPath} ${answerSeconds}) in "" | 000) exit 1 ;; esac`,
    "    done",
    "    exit 0",
    "fi",
    `ends=$(($(date +%s) + ${firstSeconds}))`,
    "while :; do",
    `    said=$(status ${path} 3)`,
    `    case $said in ${statuses.join("|")}) : > "$served"; exit 0 ;; esac`,
    `    if [ "$(date +%s)" -ge "$ends" ]; then echo "${path}: status \${said:-000}"; exit 1; fi`,
    "    sleep 0.5",
    "done",
  );
  return ["CMD", "/bin/sh", "-c", script];
}
