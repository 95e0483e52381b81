/** A way to a host's SSH server that the test opens and closes. */
import { connect, createServer, type AddressInfo } from "node:net";
import type { Connection } from "../../../../hosts/src/contract";
import { afterwards } from "./stop";

/**
 * A port that leads to another one.
 * @param target called for each new connection, which is closed if it gives no port
 */
export async function forward(target: () => number | undefined): Promise<number> {
  const way = createServer((socket) => {
    const port = target();
    if (port === undefined) return void socket.destroy();
    const onward = connect(port, "127.0.0.1");
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      end.on("error", () => undefined);
      end.on("close", () => other.destroy());
    }
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => way.listen(0, "127.0.0.1", resolve));
  afterwards(() => way.close());
  return (way.address() as AddressInfo).port;
}

/** @param isClosed called for each new connection */
export async function wayTo(behind: Connection, isClosed: () => boolean): Promise<Connection> {
  return { ...behind, port: await forward(() => (isClosed() ? undefined : behind.port)) };
}
