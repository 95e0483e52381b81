/**
 * Ends a provider process whose engine is gone. An engine that is killed leaves its Node.js provider running: it
 * would go on changing hosts side by side with the next update, and its broken output would keep it busy for ever.
 */
import * as net from "node:net";

const everyMs = 2_000;
const misses = 2;

/** Starts watching where this process is Pulumi's dynamic provider, whose first argument is the engine's address. */
export function endWithEngine(
  argv: readonly string[] = process.argv,
  exit: () => void = () => process.exit(1),
): void {
  const [, script, address] = argv;
  const [host, port] = (address ?? "").split(":");
  if (!script?.includes("dynamic-provider") || !host || !port) return;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") exit();
    });
  }
  let missed = 0;
  const look = async (): Promise<void> => {
    missed = (await listens(host, Number(port))) ? 0 : missed + 1;
    if (missed >= misses) exit();
  };
  setInterval(() => void look(), everyMs).unref();
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: everyMs });
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
    socket.once("timeout", () => answer(false));
  });
}
