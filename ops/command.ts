/** One command of the operator's command line. */
export interface Command {
  /** Its arguments, as the list of commands shows them. */
  readonly usage: string;
  /** One line. */
  readonly does: string;
  /** The exit code. @throws UsageError for arguments that it does not take, Error for whatever else went wrong. */
  run(args: readonly string[]): Promise<number>;
}

/** A mistake in the arguments: answered with the command's usage. */
export class UsageError extends Error {}
