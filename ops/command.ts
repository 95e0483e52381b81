/** What each of the operator's commands is. */
export interface Command {
  /** Its arguments, and what it is for. */
  readonly usage: string;
  /** Gives back the exit code. */
  run(args: readonly string[]): Promise<number>;
}

/** Arguments that make no sense; the usage is shown with it. */
export class UsageError extends Error {}
