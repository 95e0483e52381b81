/** Where a fault is done, and how commands are run there while it lasts. */
import { run, type Finished } from "../exec";
import { consoleCommand } from "../hosts";
import type { Host, Instance } from "../instance";

/** One host of one lab. */
export interface Place {
  readonly instance: Instance;
  readonly host: Host;
}

const PATIENCE_SECONDS = 20;

/**
 * Runs a shell line as root in a host, past its network. It ends in time also where what it asks hangs: the limit is
 * kept inside, since a process there outlives the command that entered.
 */
export async function shellIn(
  { host }: Place,
  line: string,
  seconds: number = PATIENCE_SECONDS,
): Promise<Finished> {
  const limited = ["timeout", "-k", "1", String(seconds), "sh", "-c", line];
  const [program = "nsenter", ...args] = await consoleCommand(host, limited);
  return run(program, args);
}
