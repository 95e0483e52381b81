/** Commands on hosts: built from arguments, judged by their exit code. */
import { Readable } from "node:stream";
import type { ClientChannel } from "ssh2";
import type { Connection } from "../contract";
import { CommandError, HostError, UnreachableError, fullDiskAdvice, lastLines, redact } from "../errors";
import { told, within } from "../time";
import { patient } from "./connect";
import type { Patience } from "./connect";
import { openSession } from "./pool";
import { commandLine } from "./quote";

export interface ExecOptions {
  /** Sent to the command's standard input, which is then closed; the place for secrets, and for streams of any length. */
  readonly stdin?: string | Buffer | Readable;
  /** As root; by sudo unless the user is root. @default false */
  readonly sudo?: boolean;
  /** @default 60 */
  readonly timeoutSeconds?: number;
  /** What the command is for, in error messages: "formatting the data disk". @default the command itself */
  readonly purpose?: string;
  /** What to do when it fails, for error messages. */
  readonly advice?: string;
  /** Values never shown in messages. */
  readonly secrets?: readonly string[];
  /** Exit codes that are not failures. @default [0] */
  readonly accept?: readonly number[];
  readonly patience?: Patience;
}

/** For `accept`, where whoever asks judges the exit code by itself. */
export const anyCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code);

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/**
 * Runs a command on a host and waits for its end.
 * @throws CommandError when it fails, is killed or takes too long; UnreachableError when the connection is lost.
 */
export async function exec(
  connection: Connection,
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const { timeoutSeconds = 60, accept = [0], secrets = [], patience = patient } = options;
  const asRoot = options.sudo === true && connection.user !== "root";
  const line = commandLine(asRoot ? ["sudo", "-n", "--", ...argv] : argv);
  const attempted = options.purpose ?? redact(line, secrets);
  // One that fails while the connection is made is asked for its error afterwards.
  if (options.stdin instanceof Readable) options.stdin.on("error", () => undefined);
  const { channel, release } = await openSession(connection, line, patience);
  try {
    const result = await within(
      timeoutSeconds,
      finished(connection, channel, attempted, options.stdin),
      () => new HostError(connection.node, `${attempted}: no end after ${told(timeoutSeconds)} s`),
      () => channel.destroy(),
    );
    if (!accept.includes(result.code)) throw failed(connection.node, attempted, result, options);
    return result;
  } finally {
    release();
  }
}

/**
 * Runs a POSIX shell script, sent by standard input, so that nothing of it shows in a process list.
 * `args` are its `$1`, `$2`, …; they do show.
 */
export function runScript(
  connection: Connection,
  script: string,
  args: readonly string[] = [],
  options: Omit<ExecOptions, "stdin"> = {},
): Promise<ExecResult> {
  // In a function, so that a connection lost half way runs nothing, and no command eats the rest of the script.
  const stdin = `moorage() {\n${script}\n}\nmoorage "$@" </dev/null\n`;
  return exec(connection, ["sh", "-s", "--", ...args], { ...options, stdin });
}

function finished(
  { node }: Connection,
  channel: ClientChannel,
  attempted: string,
  stdin: ExecOptions["stdin"],
): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    channel.on("data", (chunk: Buffer) => out.push(chunk));
    channel.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    // A command may end without reading its input; its exit code says all.
    channel.on("error", () => undefined);
    // The exit code comes with this event too, and unlike `exit` it waits until it is listened for.
    channel.on("close", (code?: number | null, signal?: string) => {
      if (typeof code !== "number" && signal === undefined) {
        return reject(
          new UnreachableError(
            node,
            `the connection was lost during: ${attempted}\nSee on its console whether it hangs, and run again.`,
          ),
        );
      }
      resolve({
        stdout: Buffer.concat(out).toString("utf8"),
        stderr: Buffer.concat(err).toString("utf8"),
        code: code ?? 128,
      });
    });
    if (!(stdin instanceof Readable)) return void channel.end(stdin ?? "");
    channel.on("close", () => stdin.destroy());
    // A channel that is still written to may never be closed by the other side.
    channel.on("exit", () => {
      stdin.destroy();
      channel.end();
    });
    const unread = (error: Error): void => {
      reject(new HostError(node, `${attempted}: ${error.message}`));
      channel.destroy();
    };
    if (stdin.errored) return unread(stdin.errored);
    stdin.on("error", unread);
    stdin.pipe(channel);
  });
}

function failed(node: string, attempted: string, result: ExecResult, options: ExecOptions): CommandError {
  const { stdout, stderr, code } = result;
  const said = redact(lastLines(stderr) || lastLines(stdout), options.secrets ?? []);
  const sudo = code === 1 && /^sudo: /m.test(stderr);
  const advice = sudo
    ? "The user needs sudo without a password (NOPASSWD: ALL)."
    : (fullDiskAdvice(stderr) ?? options.advice ?? "");
  return new CommandError(
    node,
    `${attempted} failed with exit code ${code}${said === "" ? "" : `:\n${said}`}${advice === "" ? "" : `\n${advice}`}`,
    code,
    redact(stderr, options.secrets ?? []),
  );
}
