/** A way to a host's SSH server that ends where the host says so, as a network does that does not work. */
import { connect, createServer, type AddressInfo } from "node:net";
import type { Connection } from "../../../../hosts/src/contract";
import { afterwards } from "./stop";

/** @param ends asked for each new connection */
export async function wayTo(behind: Connection, ends: () => boolean): Promise<Connection> {
  const way = createServer((socket) => {
    if (ends()) return void socket.destroy();
    const onward = connect(behind.port, "127.0.0.1");
    for (const end of [socket, onward]) end.on("error", () => undefined);
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => way.listen(0, "127.0.0.1", resolve));
  afterwards(() => way.close());
  return { ...behind, port: (way.address() as AddressInfo).port };
}
