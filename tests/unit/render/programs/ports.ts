import { once } from "node:events";
import * as net from "node:net";

/** A port from the kernel, for a program that cannot ask for one itself: nothing listens on it. */
export async function freePort(host: string): Promise<number> {
  const server = net.createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
