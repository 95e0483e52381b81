/** Commands inside containers, with input and without anything secret on a command line. */
import type { Duplex } from "node:stream";
import type { Connection } from "../contract";
import { HostError, lastLines, redact } from "../errors";
import { told, within } from "../time";
import { dockerApi } from "./api";

export interface ContainerCommand {
  readonly container: string;
  readonly argv: readonly string[];
  /** Environment of the command alone; visible to root on the host only. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** @default 60 */
  readonly timeoutSeconds?: number;
  readonly purpose: string;
  readonly secrets?: readonly string[];
  /** @default [0] */
  readonly accept?: readonly number[];
}

export interface ContainerResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs a command in a running container. @throws HostError when its exit code is none of `accept`. */
export async function execInContainer(
  connection: Connection,
  command: ContainerCommand,
): Promise<ContainerResult> {
  const { argv, env = {}, stdin, timeoutSeconds = 60, purpose, secrets = [], accept = [0] } = command;
  const api = dockerApi(connection);
  const { Id } = await api.post<{ Id: string }>(`/containers/${command.container}/exec`, {
    purpose,
    json: {
      AttachStdin: stdin !== undefined,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
      Cmd: argv,
      Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    },
  });
  const output = await collect(connection, Id, stdin, timeoutSeconds, purpose);
  const { ExitCode } = await api.get<{ ExitCode: number }>(`/exec/${Id}/json`, { purpose });
  const stdout = redact(output.stdout, secrets);
  const stderr = redact(output.stderr, secrets);
  if (!accept.includes(ExitCode)) {
    const said = lastLines(stderr, 4) || lastLines(stdout, 4);
    throw new HostError(connection.node, `${purpose} failed with exit code ${ExitCode}: ${said}`);
  }
  return { stdout, stderr, code: ExitCode };
}

async function collect(
  connection: Connection,
  id: string,
  stdin: string | undefined,
  timeoutSeconds: number,
  purpose: string,
): Promise<{ stdout: string; stderr: string }> {
  const answer = await dockerApi(connection).open("POST", `/exec/${id}/start`, {
    purpose,
    json: { Detach: false, Tty: false },
    headers: { Connection: "Upgrade", Upgrade: "tcp" },
  });
  try {
    if (stdin !== undefined) answer.socket.end(stdin);
    // Without the upgrade the output is an ordinary body, and there is no way in for standard input.
    const source = answer.message.statusCode === 101 ? answer.socket : answer.message;
    return await within(
      timeoutSeconds,
      demultiplex(source as Duplex),
      () => new HostError(connection.node, `${purpose}: no end after ${told(timeoutSeconds)} s`),
    );
  } finally {
    answer.close();
  }
}

/** Splits Docker's stream of frames (1 byte kind, 3 unused, 4 length, payload) into its two outputs. */
export async function demultiplex(
  source: AsyncIterable<Buffer | string>,
): Promise<{ stdout: string; stderr: string }> {
  const outputs: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  let rest = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = Buffer.concat([rest, Buffer.from(chunk as Buffer)]);
    while (rest.length >= 8) {
      const end = 8 + rest.readUInt32BE(4);
      if (rest.length < end) break;
      outputs[rest[0] === 2 ? "stderr" : "stdout"].push(rest.subarray(8, end));
      rest = rest.subarray(end);
    }
  }
  return {
    stdout: Buffer.concat(outputs.stdout).toString("utf8"),
    stderr: Buffer.concat(outputs.stderr).toString("utf8"),
  };
}
