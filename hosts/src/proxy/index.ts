/** The Docker provider's way into the Swarm, by any manager that works. */
import type { Connection } from "../contract";
import { messageOf } from "../errors";
import { closeConnections } from "../ssh/pool";
import { ManagerChoice } from "./choose";
import { managersOfStack } from "./managers";
import { serveSsh } from "./server";

export interface DockerProxyOptions {
  /** The stack whose Swarm it is, as `pulumi --stack` takes it. */
  readonly stack: string;
  /** Where the managers are taken from. @default the stack's state */
  readonly managers?: () => Promise<Connection[]>;
}

/**
 * Serves one OpenSSH connection on standard input and output. Returns the exit code: 1, after one line on
 * standard error, when no manager is in reach.
 */
export async function runDockerProxy({ stack, managers }: DockerProxyOptions): Promise<number> {
  try {
    const choice = new ManagerChoice(await (managers ?? (() => managersOfStack(stack)))());
    await choice.current();
    await serveSsh(process.stdin, process.stdout, () => choice.stream());
    return 0;
  } catch (error) {
    process.stderr.write(`moorage: ${messageOf(error).replaceAll("\n", "; ")}\n`);
    return 1;
  } finally {
    closeConnections();
  }
}
