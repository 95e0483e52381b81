/** Running commands where VirtualBox is: on this machine, or over SSH. */
import { spawn } from "node:child_process";
import type { Connection } from "../contract";
import { CommandError, HostError, lastLines } from "../errors";
import type { Patience } from "../ssh/connect";
import { anyCode, exec } from "../ssh/exec";
import type { ExecResult } from "../ssh/exec";
import { within } from "../time";
import type { Hypervisor } from "./contract";

const thisMachine = "hypervisor";

/** Name of the hypervisor in messages. */
export function nameOf({ connection }: Hypervisor): string {
  return connection?.node ?? thisMachine;
}

export interface RunOptions {
  readonly stdin?: string | Buffer;
  readonly timeoutSeconds?: number;
  readonly purpose: string;
  readonly patience?: Patience;
}

/** Runs a command and gives back its exit code and output, whatever the code is. */
export async function runOn(
  hypervisor: Hypervisor,
  argv: readonly string[],
  options: RunOptions,
): Promise<ExecResult> {
  const { connection } = hypervisor;
  if (connection === undefined) return runHere(argv, options);
  return exec(connection, argv, { ...options, accept: anyCode });
}

function runHere(argv: readonly string[], options: RunOptions): Promise<ExecResult> {
  const { timeoutSeconds = 60, purpose } = options;
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<ExecResult>((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => undefined);
    child.on("error", (error) =>
      reject(new HostError(thisMachine, `${purpose}: cannot run ${program}: ${error.message}`)),
    );
    child.on("close", (code) =>
      resolve({
        stdout: Buffer.concat(out).toString("utf8"),
        stderr: Buffer.concat(err).toString("utf8"),
        code: code ?? 128,
      }),
    );
    child.stdin.end(options.stdin ?? "");
  });
  return within(
    timeoutSeconds,
    ended,
    () => new HostError(thisMachine, `${purpose}: no end after ${timeoutSeconds} s`),
    () => child.kill("SIGKILL"),
  );
}

/**
 * Runs a POSIX shell script there, sent by standard input. `args` are its `$1`, `$2`, …
 * @throws CommandError when it fails.
 */
export async function scriptOn(
  hypervisor: Hypervisor,
  script: string,
  args: readonly string[],
  options: Omit<RunOptions, "stdin">,
): Promise<string> {
  const stdin = `moorage() {\n${script}\n}\nmoorage "$@" </dev/null\n`;
  const done = await runOn(hypervisor, ["sh", "-s", "--", ...args], { ...options, stdin });
  if (done.code === 0) return done.stdout;
  throw failure(hypervisor, options.purpose, done);
}

/** Writes what comes by standard input to a file that only its owner reads; whole or not at all. `$1` the file. */
const receiveScript = `set -eu; umask 077; mkdir -p "$(dirname "$1")"; cat > "$1.new"; chmod 0600 "$1.new"; mv -f "$1.new" "$1"`;

export async function writeOn(
  hypervisor: Hypervisor,
  file: string,
  content: Buffer,
  purpose: string,
): Promise<void> {
  const done = await runOn(hypervisor, ["sh", "-c", receiveScript, "sh", file], { stdin: content, purpose });
  if (done.code !== 0) throw failure(hypervisor, purpose, done);
}

function failure(hypervisor: Hypervisor, purpose: string, done: ExecResult): CommandError {
  const said = lastLines(done.stderr) || lastLines(done.stdout);
  const advice = noPosixShell(done)
    ? "\nA POSIX shell is needed there. On Windows make Git's bash the shell of its SSH server (registry key " +
      "HKLM\\SOFTWARE\\OpenSSH, DefaultShell = C:\\Program Files\\Git\\bin\\bash.exe)"
    : "";
  return new CommandError(
    nameOf(hypervisor),
    `${purpose} failed with exit code ${done.code}${said === "" ? "" : `:\n${said}`}${advice}`,
    done.code,
    done.stderr,
  );
}

/** What cmd.exe and PowerShell say of `sh`. */
export function noPosixShell({ stderr }: Pick<ExecResult, "stderr">): boolean {
  return /is not recognized as (an internal or external command|the name of a cmdlet)/.test(stderr);
}

/** What tells hypervisors apart within this process. */
export function keyOf({ connection, vboxManage }: Hypervisor): string {
  const at = (one: Connection) => [one.user, one.host, one.port, one.hostKey];
  return JSON.stringify([connection ? at(connection) : [], vboxManage]);
}
