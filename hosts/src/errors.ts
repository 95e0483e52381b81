/** What went wrong on a host, in words for the person who runs the program. */

/** Something that a host, the way to it or its services refused. The message names node, attempt and remedy. */
export class HostError extends Error {
  constructor(
    readonly node: string,
    message: string,
  ) {
    super(`${node}: ${message}`);
    this.name = "HostError";
  }
}

/** No session could be had: off, frozen, cut off, or refusing connections. Says nothing about what is on the host. */
export class UnreachableError extends HostError {
  override readonly name = "UnreachableError";
}

/** Whoever answers does not show the pinned host key. */
export class HostKeyError extends HostError {
  override readonly name = "HostKeyError";
}

/** The host refused the login. */
export class LoginError extends HostError {
  override readonly name = "LoginError";
}

/** Nothing that is waited for makes this go. */
export class RefusedError extends HostError {
  override readonly name: string = "RefusedError";
}

/** Something that comes later in this very update has to be done first: the next one does it. */
export class PutOffError extends RefusedError {
  override readonly name = "PutOffError";
}

/** A command that ran and failed. */
export class CommandError extends HostError {
  override readonly name = "CommandError";
  constructor(
    node: string,
    message: string,
    readonly exitCode: number,
    readonly stderr: string,
  ) {
    super(node, message);
  }
}

/** An answer of the Docker API other than the one hoped for. */
export class DockerError extends HostError {
  override readonly name = "DockerError";
  constructor(
    node: string,
    message: string,
    readonly status: number,
    /** Docker's own words. */
    readonly reason: string,
  ) {
    super(node, message);
  }
}

/**
 * A creation or a change that failed after part of its work was done. Pulumi records `properties` under `id`, so that the
 * next update goes on from there.
 */
export class PartialFailure<Outputs extends object = object> extends Error {
  readonly reasons: string[];
  constructor(
    readonly id: string,
    readonly properties: Outputs,
    cause: unknown,
  ) {
    super(messageOf(cause), { cause });
    this.name = "PartialFailure";
    this.reasons = [this.message];
  }
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

/** What an error says, without the node's name: for a message that has it already. */
export function reasonOf(error: unknown, node: string): string {
  return messageOf(error).replace(`${node}: `, "");
}

/** What to do where a command, or Docker, says that a disk is full. */
export function fullDiskAdvice(said: string): string | undefined {
  if (!/no space left on device/i.test(said)) return undefined;
  return (
    "The disk is full: see with `df -h` where, free some space there (`docker system df`, " +
    "`journalctl --vacuum-size=100M`), and run again. What is done already stays."
  );
}

/** Replaces every secret in a text that is about to be shown. Short ones are left: they would blank ordinary words. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= 4)
    .reduce((shown, secret) => shown.split(secret).join("[secret]"), text);
}

/** The last lines of a command's output that say something. */
export function lastLines(text: string, count = 8): string {
  const lines = text.split("\n").map((line) => line.trimEnd());
  return lines
    .filter((line) => line !== "")
    .slice(-count)
    .join("\n");
}
